import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Security exceptions")
struct SecurityExceptionTests {
    static let vectors = ForwardingVectors.all

    private func packet(_ reason: String, _ name: String) throws -> Given {
        try #require(Self.vectors.drops.first { $0.reason == reason && $0.name == name }).given
    }

    @Test("H13 H14 say why, where it came from and whom it claimed to be from")
    func content() throws {
        let forwarder = try TestForwarder()
        _ = forwarder.process([
            try packet("inner-source-unregistered", "2001:db8:1:1::9"),
            try packet("outer-source-mismatch", "another node's"), try packet("ecn-not-capable", Self.ecn),
            try packet("outer-source-mismatch", "another address"),
        ])
        let noted = forwarder.forwarder.securityExceptions.drain()
        #expect(
            noted.exceptions.map(\.reason) == [.innerSourceUnregistered, .outerSourceMismatch, .outerSourceMismatch])
        #expect(noted.exceptions.map(\.outerSource.description) == ["203.0.113.9", "203.0.113.10", "203.0.113.200"])
        #expect(
            noted.exceptions.map(\.innerSource.description) == ["2001:db8:1:1::9", "2001:db8:1::9", "2001:db8:1::9"])
        #expect(noted.omitted == 0)
    }

    private static let ecn = "congestion on a packet that is not capable"

    @Test("the ring is bounded: what does not fit is counted, and every drop is")
    func bound() throws {
        let forwarder = try TestForwarder(batchCapacity: 128)
        let ring = forwarder.forwarder.securityExceptions
        let packet = try packet("outer-source-mismatch", "another address")
        let capacity = SecurityExceptionRing.capacity
        _ = forwarder.process(Array(repeating: packet, count: capacity))
        _ = forwarder.process([packet])
        var noted = ring.drain()
        #expect(noted.exceptions.count == capacity)
        #expect(noted.omitted == 1)
        #expect(forwarder.dropped == [.outerSourceMismatch: UInt64(capacity) + 1])
        // Taken out, there is room again, and nothing is told twice.
        noted = ring.drain()
        #expect(noted.exceptions == [])
        #expect(noted.omitted == 0)
        for count in [1, capacity - 1, capacity, capacity + 7] {
            _ = forwarder.process(Array(repeating: packet, count: count))
            noted = ring.drain()
            #expect(noted.exceptions.count == min(count, capacity))
            #expect(noted.omitted == UInt64(max(0, count - capacity)))
        }
    }

    @Test("while a worker notes and another takes out, each is told once or counted as left out")
    func concurrent() throws {
        let reader = try TestForwarder.makeTable().reader
        let (settings, packets) = (
            TestForwarder.settings, Self.vectors.drops.filter { $0.reason == "outer-source-mismatch" }
        )
        let ring = SecurityExceptionRing()
        let published = PublishedCounters()
        let worker = BackgroundThread { stopping in
            var worker = WorkerLoop(
                Forwarder(
                    reading: reader, settings: settings, batchCapacity: 16, published: published,
                    securityExceptions: ring))
            while !stopping() { _ = worker.process(packets.map(\.given)) }
            return []
        }
        let wanted = RandomTest.count(2_000)
        let allowed: Set<String> = ["203.0.113.200", "203.0.113.10", Self.vectors.endpoint]
        var (told, omitted) = (0, UInt64(0))
        while told < wanted {
            let noted = ring.drain()
            told += noted.exceptions.count
            omitted += noted.omitted
            #expect(noted.exceptions.count <= SecurityExceptionRing.capacity)
            let sound = noted.exceptions.allSatisfy {
                $0.reason == .outerSourceMismatch && allowed.contains($0.outerSource.description)
                    && $0.innerSource.description == "2001:db8:1::9"
            }
            #expect(sound)
        }
        #expect(worker.stop() == [])
        let rest = ring.drain()
        #expect(UInt64(told + rest.exceptions.count) + omitted + rest.omitted == published.read()[.outerSourceMismatch])
    }
}

@Suite("Token bucket")
struct TokenBucketTests {
    /// How many of `tries` at one moment are let through.
    private func taken(_ bucket: inout TokenBucket, _ tries: Int, now: UInt64) -> Int {
        (0..<tries).count { _ in bucket.take(now: now) }
    }

    @Test("a full bucket lets a burst through, and then so many a second")
    func rate() {
        var bucket = TokenBucket(perSecond: 10, burst: 5)
        #expect(taken(&bucket, 9, now: 7_000_000_000) == 5)
        #expect(taken(&bucket, 9, now: 7_099_999_999) == 0)
        #expect(taken(&bucket, 9, now: 7_100_000_000) == 1)
        #expect(taken(&bucket, 9, now: 7_350_000_000) == 2)
        #expect(taken(&bucket, 9, now: 7_400_000_000) == 1)
        #expect(taken(&bucket, 9, now: 99_000_000_000) == 5)
    }

    @Test("nothing is lost where it is asked often")
    func often() {
        var bucket = TokenBucket(perSecond: 100, burst: 1)
        var count = 0
        for step in 0..<100_000 { count += bucket.take(now: UInt64(step) * 100_000) ? 1 : 0 }
        #expect(count == 1_000)
    }

    @Test("a clock that runs backwards saves up nothing")
    func backwards() {
        var bucket = TokenBucket(perSecond: 1, burst: 1)
        #expect(taken(&bucket, 2, now: 10_000_000_000) == 1)
        #expect(taken(&bucket, 2, now: 0) == 0)
        #expect(taken(&bucket, 2, now: 10_000_000_000) == 0)
        #expect(taken(&bucket, 2, now: 11_000_000_000) == 1)
    }

    @Test("none a second are none, a burst of 0 is 1")
    func none() {
        var bucket = TokenBucket(perSecond: 0, burst: 10)
        #expect(taken(&bucket, 5, now: 0) == 0)
        #expect(taken(&bucket, 5, now: .max) == 0)
        bucket = TokenBucket(perSecond: 1, burst: 0)
        #expect(taken(&bucket, 5, now: 0) == 1)
    }

    @Test(
        "a burst or rate as large as can be named limits nothing, rather than everything",
        arguments: [(1, UInt64.max), (3, .max), (1_000_000_000, .max), (.max, .max), (.max, 1_000)]
            as [(UInt64, UInt64)])
    func extremes(_ perSecond: UInt64, _ burst: UInt64) {
        var bucket = TokenBucket(perSecond: perSecond, burst: burst)
        #expect(taken(&bucket, 1_000, now: 0) == 1_000)
        #expect(taken(&bucket, 1, now: .max) == 1)
    }
}
