import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Testing
import Wire

@Suite("Drops")
struct DropTests {
    static let vectors = ForwardingVectors.all

    /// Reasons that views give to those who look further into a packet than to forward it.
    static let notTheForwarders: Set<DropReason> = [.ipv6ExtensionHeader, .udpTruncated, .icmpv6Truncated]
    /// Reasons that a port's failures become.
    static let thePorts: Set<DropReason> = [.receiveFailed, .transmitFailed]
    /// Reasons that a packet has only where others wait (`PuntTests`, `WorkerTests`).
    static let ofQueues: Set<DropReason> = [.puntQueueFull, .workerQueueFull]
    /// One that only a super-frame has (`SuperFrameTests`).
    static let ofSuperFrames: Set<DropReason> = [.superFrameMalformed]

    @Test("H13 H14 H16 T3 T7 P1 each packet is dropped for its reason, in one counter", arguments: vectors.drops)
    func drop(_ vector: ForwardingVectors.Drop) throws {
        let reason = try #require(DropReason(named: vector.reason), "there is no reason of that name")
        var settings = TestForwarder.settings
        settings.errorsPerSecond = 0
        let forwarder = try TestForwarder(settings: settings)
        for given in vector.all { #expect(forwarder.process(given) == .released) }
        #expect(forwarder.dropped == vector.reasons)
        #expect(forwarder.dropped[reason, default: 0] > 0)
        let counters = forwarder.counters
        #expect(counters.received.sum == UInt64(vector.all.count))
        #expect(
            (vector.given.side == .home ? counters.received.home : counters.received.access) == counters.received.sum)
        #expect(counters.receivedBytes.sum == vector.all.reduce(0) { $0 + UInt64($1.bytes.count) })
        #expect(counters.transmitted == BySide())
        #expect(counters.generated == BySide())
        #expect(counters.absorbed == vector.absorbed)
        #expect(counters.isConserved)
        #expect(forwarder.forwarder.securityExceptions.drain().exceptions.count == (reason.isSecurityException ? 1 : 0))
        let traffic = Self.vectors.bindings.map { forwarder.table.state(of: $0.id, now: 0)?.traffic }
        #expect(traffic.allSatisfy { $0 == BindingTraffic() })
    }

    @Test("every reason has a packet that is dropped for it, or is known not to be the forwarder's")
    func everyReason() {
        let covered = Set((Self.vectors.drops + TunnelVectors.all.drops).map(\.reason))
        let expected = Set(DropReason.allCases).subtracting(Self.notTheForwarders).subtracting(Self.thePorts)
            .subtracting(Self.ofQueues).subtracting(Self.ofSuperFrames)
        #expect(covered == Set(expected.map(\.name)))
    }

    @Test("packets that are dropped side by side are told apart")
    func together() throws {
        let packets = Self.vectors.drops.flatMap(\.all)
        let forwarder = try TestForwarder(batchCapacity: packets.count)
        _ = forwarder.process(packets)
        let expected = Self.vectors.drops.map(\.reasons).reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
        #expect(forwarder.dropped == expected)
        #expect(forwarder.counters.isConserved)
    }

    @Test("T7 of every source address that RFC 1122 forbids, and its neighbours")
    func outerSources() throws {
        let packet = try #require(Self.vectors.decapsulation.first { $0.name == "UDP" }).in.bytes
        for (source, reason) in [
            ([0, 0, 0, 0], DropReason.outerSourceInvalid), ([0, 255, 255, 255], .outerSourceInvalid),
            ([1, 0, 0, 0], .outerSourceMismatch), ([126, 255, 255, 255], .outerSourceMismatch),
            ([127, 0, 0, 0], .outerSourceInvalid), ([127, 255, 255, 255], .outerSourceInvalid),
            ([128, 0, 0, 0], .outerSourceMismatch), ([223, 255, 255, 255], .outerSourceMismatch),
            ([224, 0, 0, 0], .outerSourceInvalid), ([255, 255, 255, 255], .outerSourceInvalid),
        ] as [([UInt8], DropReason)] {
            let forwarder = try TestForwarder()
            #expect(forwarder.process(.access(withOuterSource(source, packet))) == .released)
            #expect(forwarder.dropped == [reason: 1], "\(source)")
        }
    }
}

@Suite("One device for both sides")
struct SingleDeviceTests {
    static let vectors = ForwardingVectors.all

    @Test("the version says the side, whatever the port says")
    func sides() throws {
        var settings = TestForwarder.settings
        settings.singleDevice = true
        let forwarder = try TestForwarder(settings: settings, firstIdentification: 1)
        let (outward, inward) = (Self.vectors.encapsulation[0], Self.vectors.decapsulation[0])
        #expect(
            forwarder.process([
                .access(outward.in.bytes), .home(inward.in.bytes), .home(outward.in.bytes), .access(inward.in.bytes),
            ]).map { $0.bytes?.count } == [outward.out, inward.out, outward.out, inward.out].map(\.bytes.count))
        let counters = forwarder.counters
        #expect(counters.received == BySide(home: 2, access: 2))
        #expect(counters.transmitted == BySide(home: 2, access: 2))
        #expect(forwarder.dropped == [:])
    }

    @Test("echo requests and errors work as with two devices")
    func answers() throws {
        var settings = TestForwarder.settings
        settings.singleDevice = true
        let forwarder = try TestForwarder(settings: settings)
        let (echo, error) = (Self.vectors.echoes[0], Self.vectors.errors[0])
        #expect(
            forwarder.process([.home(echo.in.bytes), .access(error.in.bytes)])
                == [.access(echo.out.bytes), .home(error.out.bytes)])
    }

    @Test("what is no IP is dropped as that, and IPv6 without a tunnel counts as from the home side")
    func drops() throws {
        var settings = TestForwarder.settings
        settings.singleDevice = true
        let forwarder = try TestForwarder(settings: settings)
        _ = forwarder.process([.home([0x50]), .access([0x50]), .home([]), .access([]), .access([0x60])])
        #expect(forwarder.dropped == [.notIP: 2, .empty: 2, .ipv6Truncated: 1])
        #expect(forwarder.counters.isConserved)
    }
}
