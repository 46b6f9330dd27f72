// Tunnelled super-frames on real devices: that they come whole by a port's socket, in their order with other packets of
// tunnels, while the rest comes by the device's queue as ever. Frames are scapy's (Tests/Vectors/superframes.py).

import Glibc
import NetworkNamespace
import PacketBuffer
import TestSupport
import Testing
import Wire

@testable import PacketIO

@Suite(
    "Super-frames by sockets", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"),
    .timeLimit(.minutes(5)))
struct FrameSocketTests {
    private static let source: UInt32 = 0xCB00_7109
    private static let endpoint: UInt32 = 0xC000_0201

    /// A packet as it came.
    private struct Received: Equatable {
        var bytes: [UInt8]
        var segmentKind: UInt8 = 0
        var segmentSize: UInt16 = 0
        var segmentCount: UInt16 = 1
        var transportOffset: UInt16 = 0
        var side = Side.access
    }

    /// A super-frame in a tunnel of protocol 41 or 4, its virtio header, and as what it is to come.
    private struct Frame {
        let bytes: [UInt8]
        let header: [UInt8]
        let expected: Received

        init(_ name: String) {
            let vector = SuperFrameVectors.named(name)
            let inner = vector.frame.bytes
            bytes = SteeredPackets.ipv4(
                from: source, to: endpoint, protocol: inner[0] >> 4 == 4 ? IPProtocol.ipv4 : IPProtocol.ipv6,
                payload: inner)
            let offset = vector.transportOffset + 20
            let isUDP = vector.kind == SegmentKind.udp.rawValue
            header = [
                1, vector.kind, UInt8(offset) + (isUDP ? 8 : 20), 0, UInt8(vector.segmentSize & 0xFF),
                UInt8(vector.segmentSize >> 8), UInt8(offset), 0, isUDP ? 6 : 16, 0,
            ]
            expected = Received(
                bytes: bytes, segmentKind: vector.kind, segmentSize: vector.segmentSize,
                segmentCount: UInt16(vector.segments.count), transportOffset: offset)
        }
    }

    /// Queues of devices “home” and “access”, which are up.
    private static func queues(count: Int = 1, ofAccess: TunOffload = .header) throws -> PortQueues {
        try PortNetwork.silenceIPv6()
        let home = try TunQueues(name: "home", count: count, side: .home, offload: .superFrames)
        let access = try TunQueues(name: "access", count: count, side: .access, offload: ofAccess)
        for name in ["home", "access"] {
            try NetworkNamespace.shell("ip link set \(name) txqueuelen 16384 && ip link set \(name) up")
        }
        return PortQueues(home: home, access: access)
    }

    /// Cancels the test where frames can't be had whole on this machine.
    private static func way(_ queues: inout PortQueues, count: Int = 1) throws -> AccessFrameWay {
        let way = AccessFrameWay(.whole, &queues, count: count, isSuccession: false)
        if way.choice != .whole { try Test.cancel("\(way.reason)") }
        #expect(way.reason == "")
        return way
    }

    private static func forward(_ count: Int, _ network: inout PortNetwork) throws -> [Received] {
        var all: [Received] = []
        _ = try network.forward(count) { packet in
            all.append(
                Received(
                    bytes: Array(packet.bytes), segmentKind: packet.segmentKind, segmentSize: packet.segmentSize,
                    segmentCount: packet.segmentCount, transportOffset: packet.transportOffset, side: packet.ingress))
            return .release
        }
        return all
    }

    @Test("They come whole, in their place among packets of tunnels", arguments: PortNetwork.kinds, [true, false])
    func whole(kind: IOChoice, hasHeaders: Bool) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var queues = try Self.queues(ofAccess: hasHeaders ? .header : .none)
            let way = try Self.way(&queues)
            var network = try PortNetwork(kind, devices: queues.takeNext())
            let plain = (0..<3).map { number in
                SteeredPackets.ipv4(
                    from: Self.source, to: Self.endpoint, protocol: IPProtocol.ipv6,
                    payload: [0x60] + [UInt8](repeating: UInt8(number), count: 50))
            }
            let frames = ["TCP over IPv4, identifications that wrap", "TCP over IPv6, the last shorter"].map(Frame.init)
            // As often as it takes to have every slot used more than once.
            for _ in 0..<30 {
                try network.access.send(plain[0])
                try network.access.send(frames[0].bytes, header: frames[0].header)
                try network.access.send(plain[1])
                try network.access.send(frames[1].bytes, header: frames[1].header)
                try network.access.send(plain[2])
                let expected = [
                    Received(bytes: plain[0]), frames[0].expected, Received(bytes: plain[1]), frames[1].expected,
                    Received(bytes: plain[2]),
                ]
                #expect(try Self.forward(5, &network) == expected)
                #expect(try network.allSlotsComeBack())
            }
            #expect(network.port.receiveFailures == PortFailures())
            _ = way.choice
        }
    }

    @Test(
        "what is no tunnel's, and GRE whose packets differ, come by the queue; fragments come as what they are of",
        arguments: PortNetwork.kinds)
    func others(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var queues = try Self.queues()
            let way = try Self.way(&queues)
            // Of the socket nothing is read: what comes does by the queue.
            let devices = queues.takeNext()
            let socket = devices.frameDescriptor
            let taps = (home: try DeviceTap("home"), access: try DeviceTap("access"))
            func packet(_ number: UInt8, fragment: UInt16 = 0, flags: UInt8 = 0) -> [UInt8] {
                SteeredPackets.ipv4(
                    from: Self.source, to: Self.endpoint, protocol: number, fragment: fragment,
                    payload: [flags] + [UInt8](repeating: 7, count: 40))
            }
            let byQueue = [
                packet(IPProtocol.udp), packet(IPProtocol.minimal), packet(IPProtocol.icmpv4),
                packet(IPProtocol.udp, fragment: 0x2000), packet(IPProtocol.udp, fragment: 5),
                packet(IPProtocol.gre, flags: 0x80), packet(IPProtocol.gre, flags: 0x10),
                packet(IPProtocol.gre, fragment: 0x2000, flags: 0x10),
            ]
            let bySocket = [
                packet(IPProtocol.ipv4), packet(IPProtocol.ipv6, fragment: 0x4000), packet(IPProtocol.gre),
                packet(IPProtocol.gre, flags: 0x20),
                packet(IPProtocol.ipv4, fragment: 0x2000), packet(IPProtocol.ipv6, fragment: 5),
                packet(IPProtocol.gre, fragment: 0x2000), packet(IPProtocol.gre, fragment: 0x2005, flags: 0x90),
            ]
            for packet in byQueue + bySocket { try taps.access.send(packet) }
            var buffer = [UInt8](repeating: 0, count: 2048)
            func readAll(_ descriptor: Int32, header: Int, count: Int) -> [[UInt8]] {
                var packets: [[UInt8]] = []
                _ = PortNetwork.eventually {
                    let length = read(descriptor, &buffer, buffer.count)
                    if length > 0 { packets.append(Array(buffer[header..<length])) }
                    return packets.count >= count
                }
                return packets
            }
            #expect(readAll(socket, header: 12, count: bySocket.count) == bySocket)
            #expect(readAll(devices.descriptor(.access), header: 16, count: byQueue.count) == byQueue)
            for descriptor in [socket, devices.descriptor(.access)] {
                #expect(read(descriptor, &buffer, buffer.count) < 0)
            }
            _ = way.choice
        }
    }

    @Test("Those that find no room count", arguments: PortNetwork.kinds)
    func lost(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var queues = try Self.queues()
            let way = try Self.way(&queues)
            var network = try PortNetwork(kind, devices: queues.takeNext())
            let frame = Frame("TCP over IPv6, the last shorter")
            let sent = 6000
            for _ in 0..<sent { try network.access.send(frame.bytes, header: frame.header) }
            let received = try Self.forward(100, &network)
            #expect(received.allSatisfy { $0 == frame.expected })
            // Some turns after that the kernel is asked.
            #expect(try network.turn { $0.receiveFailures.access > 0 })
            #expect(Int(network.port.receiveFailures.access) <= sent - received.count)
            #expect(network.port.receiveFailures.home == 0)
            _ = way.choice
        }
    }

    @Test("Without the programs all comes by the queue again")
    func end() async throws {
        try await NetworkNamespace.run {
            var queues = try Self.queues()
            do {
                let way = try Self.way(&queues)
                _ = way.choice
            }
            var network = try PortNetwork(.systemCalls, devices: queues.takeNext())
            let packet = SteeredPackets.ipv4(from: Self.source, to: Self.endpoint, protocol: IPProtocol.ipv6)
            try network.access.send(packet)
            #expect(try Self.forward(1, &network) == [Received(bytes: packet)])
        }
    }

    @Test(
        "Of several workers each gets by its socket what it would by its queue",
        .enabled(if: SteeredPackets.isAvailable))
    func workers() async throws {
        try await NetworkNamespace.run {
            let count = 3
            var queues = try Self.queues(count: count)
            let way = try Self.way(&queues, count: count)
            let sockets = Array(queues.descriptors.suffix(count))
            let tap = try DeviceTap("access")
            var buffer = [UInt8](repeating: 0, count: 2048)
            for number in UInt32(0)..<40 {
                let source = IPv4Address(rawValue: Self.source &+ number)
                try tap.send(
                    SteeredPackets.ipv4(from: source.rawValue, to: Self.endpoint, protocol: IPProtocol.ipv6))
                let expected = Steering.queue(source, of: count)
                try #require(PortNetwork.eventually { read(sockets[expected], &buffer, buffer.count) > 0 }, "\(source)")
                for socket in sockets { #expect(read(socket, &buffer, buffer.count) < 0, "\(source)") }
            }
            _ = way.choice
        }
    }

    @Test("A successor takes the sockets over, and opens none beside a predecessor that has none")
    func succession() async throws {
        try await NetworkNamespace.run {
            var first = try Self.queues()
            let way = try Self.way(&first)
            let descriptors = first.descriptors.map { dup($0) }
            #expect(descriptors.count == 3)
            var second = PortQueues(
                home: try TunQueues(name: "home", adopting: [descriptors[0]], offload: .superFrames),
                access: try TunQueues(name: "access", adopting: [descriptors[1]], offload: .header),
                frames: try FrameSockets(deviceNamed: "access", adopting: [descriptors[2]]))
            let next = AccessFrameWay(.automatic, &second, count: 1, isSuccession: true)
            #expect(next.choice == .whole)
            var network = try PortNetwork(.systemCalls, devices: second.takeNext())
            let frame = Frame("TCP over IPv6, the last shorter")
            // The programs of both are there, and do it once.
            try network.access.send(frame.bytes, header: frame.header)
            try network.access.send(frame.bytes, header: frame.header)
            #expect(try Self.forward(2, &network) == [frame.expected, frame.expected])
            #expect(throws: TunDeviceError.self) {
                _ = try FrameSockets(deviceNamed: "home", adopting: [dup(descriptors[2])])
            }
            #expect(throws: TunDeviceError.self) {
                _ = try FrameSockets(deviceNamed: "access", adopting: [dup(descriptors[0])])
            }
            let others = [dup(descriptors[0]), dup(descriptors[1])]
            var third = PortQueues(
                home: try TunQueues(name: "home", adopting: [others[0]], offload: .superFrames),
                access: try TunQueues(name: "access", adopting: [others[1]], offload: .header))
            let none = AccessFrameWay(.automatic, &third, count: 1, isSuccession: true)
            #expect(none.choice == .off && none.reason.contains("restart"))
            #expect(third.descriptors.count == 2)
            _ = (way.choice, next.choice)
        }
    }

    @Test("Where there can be none it says why", arguments: ["off", "one device", "no super-frames"])
    func none(_ why: String) async throws {
        try await NetworkNamespace.run {
            var queues: PortQueues
            switch why {
            case "one device": queues = PortQueues(shared: try TunQueues(name: "home"))
            case "no super-frames":
                queues = PortQueues(
                    home: try TunQueues(name: "home"), access: try TunQueues(name: "access", offload: .header))
            default: queues = try Self.queues()
            }
            let way = AccessFrameWay(why == "off" ? .off : .whole, &queues, count: 1, isSuccession: false)
            #expect(way.choice == .off)
            #expect(way.reason.isEmpty == (why == "off"))
            // Who has named what is not had is warned; who takes what there is, is not.
            let isWarned = way.isUnfulfilled
            #expect(isWarned == (why != "off"))
            #expect(way.reason.contains("one device") == (why == "one device"))
            let other = AccessFrameWay(.automatic, &queues, count: 1, isSuccession: true)
            let isOtherWarned = other.isUnfulfilled
            #expect(!isOtherWarned)
            #expect(queues.descriptors.count == (why == "one device" ? 1 : 2))
        }
    }
}
