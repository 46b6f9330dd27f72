import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("ICMPv6 errors")
struct ErrorTests {
    static let vectors = ForwardingVectors.all

    private static var tooBig: ForwardingVectors.Answered {
        vectors.errors.first { $0.name == "1281 bytes for 1280" }!
    }

    @Test(
        "T4 a packet that can't go on is answered as RFC 4443 says, with scapy's bytes, in 1280 bytes at the most",
        arguments: vectors.errors)
    func answered(_ vector: ForwardingVectors.Answered) throws {
        let forwarder = try TestForwarder()
        let outcome = forwarder.process(.home(vector.in.bytes))
        #expect(outcome == .home(vector.out.bytes))
        #expect(try #require(outcome.bytes).count <= 1280)
        let counters = forwarder.counters
        #expect(counters.received == BySide(home: 1))
        #expect(counters.generated == BySide(home: 1))
        #expect(counters.transmitted == BySide(home: 1))
        #expect(counters.transmittedBytes == BySide(home: UInt64(vector.out.bytes.count)))
        #expect(counters.suppressedErrors == 0)
        #expect(forwarder.dropped == [vector.isTooBig ? .packetTooBig : .noBinding: 1])
        #expect(counters.isConserved)
    }

    @Test(
        "RFC 4443, 2.4 e: what must not be answered is not, and no error is counted as left out",
        arguments: vectors.unanswered)
    func unanswered(_ vector: ForwardingVectors.Unanswered) throws {
        let forwarder = try TestForwarder()
        #expect(forwarder.process(.home(vector.in.bytes)) == .released)
        let counters = forwarder.counters
        #expect(counters.generated == BySide())
        #expect(counters.transmitted == BySide())
        #expect(counters.suppressedErrors == 0)
        #expect(forwarder.dropped == [try #require(DropReason(named: vector.reason)): 1])
    }

    @Test("RFC 4443, 2.4 f: errors are limited in rate; what is left out is counted, the drop too")
    func rateLimit() throws {
        var settings = TestForwarder.settings
        settings.errorsPerSecond = 10
        settings.errorBurst = 3
        let forwarder = try TestForwarder(settings: settings)
        let packets = Array(repeating: Given.home(Self.tooBig.in.bytes), count: 5)
        let answer = Outcome.home(Self.tooBig.out.bytes)
        #expect(forwarder.process(packets, now: 1_000) == [answer, answer, answer, .released, .released])
        #expect(forwarder.counters.suppressedErrors == 2)
        #expect(forwarder.counters.generated == BySide(home: 3))
        #expect(forwarder.dropped == [.packetTooBig: 5])
        // 99 ms are too few for one more, 100 ms are enough; errors of another kind share the limit.
        let noRoute = try #require(Self.vectors.errors.first { $0.name == "no route" })
        #expect(forwarder.process(.home(noRoute.in.bytes), now: 99_000_000) == .released)
        #expect(forwarder.process(.home(noRoute.in.bytes), now: 100_001_000) == .home(noRoute.out.bytes))
        #expect(forwarder.counters.suppressedErrors == 3)
        // What must not be answered takes nothing from the limit.
        let unanswered = Self.vectors.unanswered.map { Given.home($0.in.bytes) }
        #expect(forwarder.process(unanswered, now: 200_001_000).allSatisfy { $0 == .released })
        #expect(forwarder.process(packets[0], now: 200_001_000) == answer)
        #expect(forwarder.counters.suppressedErrors == 3)
        #expect(forwarder.counters.isConserved)
    }

    @Test("without a source for errors none is sent, and each is counted as left out")
    func noSource() throws {
        var settings = TestForwarder.settings
        settings.errorSource = nil
        let forwarder = try TestForwarder(settings: settings)
        for vector in Self.vectors.errors { #expect(forwarder.process(.home(vector.in.bytes)) == .released) }
        #expect(forwarder.counters.suppressedErrors == UInt64(Self.vectors.errors.count))
        #expect(forwarder.counters.generated == BySide())
        #expect(forwarder.counters.isConserved)
    }

    @Test(
        "T4 the tunnel MTU is the binding's, else the daemon's, and can be changed",
        arguments: [1280, 1281, 1400, 1480])
    func tunnelMTU(_ mtu: UInt16) throws {
        let table = try TestForwarder.makeTable()
        try table.setDefaults(endpoint: table.configuration.endpoint, tunnelMTU: mtu)
        let forwarder = try TestForwarder(table)
        let long = try #require(Self.vectors.errors.first { $0.name == "1500 bytes for 1280" }).in.bytes
        for (size, fits) in [(Int(mtu), true), (Int(mtu) + 1, false)] {
            var packet = Array(long.prefix(size))
            let payload = size - 40
            (packet[4], packet[5]) = (UInt8(payload >> 8), UInt8(payload & 0xFF))
            let outcome = forwarder.process(.home(packet))
            if fits {
                #expect(outcome.bytes.map { Array($0.dropFirst(20)) } == packet)
            } else {
                // Type 2, and the MTU in the last four bytes of the ICMPv6 header.
                let bytes = try #require(outcome.bytes)
                #expect(Array(bytes[40..<42]) == [2, 0])
                #expect(Array(bytes[44..<48]) == [0, 0, UInt8(mtu >> 8), UInt8(mtu & 0xFF)])
                #expect(Array(bytes[48...]) == Array(packet.prefix(1232)))
            }
        }
    }

    @Test("T4 the outer header never has DF set, whatever the traffic class or size")
    func dontFragment() throws {
        let forwarder = try TestForwarder()
        for vector in Self.vectors.encapsulation {
            let bytes = try #require(forwarder.process(.home(vector.in.bytes)).bytes)
            #expect(Array(bytes[6..<8]) == [0, 0], "\(vector.name)")
        }
    }
}

@Suite("Echo requests to an endpoint")
struct EchoTests {
    static let vectors = ForwardingVectors.all

    private static var settings: ForwarderSettings {
        var settings = TestForwarder.settings
        settings.endpoints = [vectors.endpoint, vectors.otherEndpoint].map { IPv4Address($0)! }
        return settings
    }

    @Test("RFC 792: the reply is scapy's, options and padding left out", arguments: vectors.echoes)
    func reply(_ vector: ForwardingVectors.Pair) throws {
        let forwarder = try TestForwarder(settings: Self.settings)
        #expect(forwarder.process(.access(vector.in.bytes)) == .access(vector.out.bytes))
        let counters = forwarder.counters
        #expect(counters.received == BySide(access: 1))
        #expect(counters.absorbed == 1)
        #expect(counters.generated == BySide(access: 1))
        #expect(counters.transmitted == BySide(access: 1))
        #expect(counters.transmittedBytes == BySide(access: UInt64(vector.out.bytes.count)))
        #expect(counters.isConserved)
        #expect(forwarder.dropped == [:])
    }

    @Test("T1 the reply's TTL is the setting")
    func timeToLive() throws {
        var settings = Self.settings
        settings.timeToLive = 17
        let forwarder = try TestForwarder(settings: settings)
        let bytes = try #require(forwarder.process(.access(Self.vectors.echoes[0].in.bytes)).bytes)
        #expect(bytes[8] == 17)
        #expect(bytes.withUnsafeBytes { try? IPv4View($0).timeToLive } == 17)
    }
}
