// Queues of a device: which packets the kernel gives to each, who may have them, and what is left when they end.

import Glibc
import NetworkNamespace
import PacketBuffer
import RouteNetlink
import TestThread
import Testing
import Wire

@testable import PacketIO

@Suite(
    "Queues of a device",
    .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"),
    .enabled(if: SteeredPackets.isAvailable, "\(SteeredPackets.reason)"))
struct TunQueuesTests {
    /// The packets that wait at each queue.
    private func waiting(_ descriptors: [Int32]) -> [[[UInt8]]] {
        descriptors.map { descriptor in
            var packets: [[UInt8]] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                guard count > 0 else { return packets }
                packets.append(Array(buffer[..<count]))
            }
        }
    }

    private func setUp(_ name: String) throws -> DeviceTap {
        try PortNetwork.silenceIPv6()
        try NetworkNamespace.shell("ip link set \(name) txqueuelen 4096 && ip link set \(name) up")
        return try DeviceTap(name)
    }

    @Test("The kernel gives each queue its packets in their order", arguments: 2...4)
    func order(count: Int) async throws {
        try await NetworkNamespace.run {
            let queues = try TunQueues(name: "home", count: count, side: .home)
            let tap = try setUp("home")
            var wanted = [[[UInt8]]](repeating: [], count: count)
            for number in 0..<400 {
                let address = IPv6Address(high: 0x2001_0DB8_0001_0000 + UInt64(number % 16), low: UInt64(number))
                let packet = SteeredPackets.ipv6(to: address, port: UInt16(number))
                wanted[Steering.queue(address, of: count)].append(packet)
                try tap.send(packet)
            }
            #expect(waiting(queues.descriptors) == wanted)
            #expect(wanted.allSatisfy { !$0.isEmpty })
        }
    }

    @Test("What is written to one queue changes nothing of where packets of that node come")
    func learning() async throws {
        try await NetworkNamespace.run {
            let queues = try TunQueues(name: "access", count: 2, side: .access)
            let tap = try setUp("access")
            let (node, endpoint): (UInt32, UInt32) = (0xCB00_7109, 0xC000_0201)
            let packets = SteeredPackets.kinds(from: node, to: endpoint)
            let queue = Steering.queue(IPv4Address(rawValue: node), of: 2)
            for other in 0..<2 {
                for packet in SteeredPackets.kinds(from: endpoint, to: node) {
                    #expect(write(queues.descriptors[other], packet, packet.count) == packet.count)
                }
                for packet in packets { try tap.send(packet) }
                let waiting = waiting(queues.descriptors)
                #expect(waiting[queue] == packets)
                #expect(waiting[1 - queue] == [])
            }
        }
    }

    @Test("Nobody else comes to a device that is in use, and its queues keep their numbers")
    func busy() async throws {
        try await NetworkNamespace.run {
            do {
                let queues = try TunQueues(name: "moor0", count: 2, side: .home)
                #expect(queues.wasCreated == true)
                for count in [1, 2, 3] { #expect(Self.error("moor0", count) == .busy("moor0")) }
                let tap = try setUp("moor0")
                let packet = SteeredPackets.ipv6(to: IPv6Address("2001:db8:1::1")!)
                try tap.send(packet)
                #expect(waiting(queues.descriptors).flatMap(\.self) == [packet])
            }
            #expect(PortNetwork.eventually { Self.error("moor0", 2) == nil })
        }
    }

    @Test("A device for one queue is not taken for several, one for several may have one")
    func kinds() async throws {
        try await NetworkNamespace.run {
            try NetworkNamespace.shell("ip tuntap add dev one mode tun && ip tuntap add dev many mode tun multi_queue")
            #expect(Self.error("one", 2) == .notOfSeveralQueues("one"))
            do {
                let one = try TunDevice(name: "one")
                #expect(Self.error("one", 2) == .busy("one"))
                #expect(one.isAttached == true)
            }
            for count in [1, 4, 2] { #expect(PortNetwork.eventually { Self.error("many", count) == nil }) }
        }
    }

    @Test("Ports get a queue of each device, in order, and close them")
    func ports() async throws {
        try await NetworkNamespace.run {
            var queues = PortQueues(
                home: try TunQueues(name: "home", count: 2, side: .home),
                access: try TunQueues(name: "access", count: 2, side: .access))
            let descriptors = queues.descriptors
            #expect(descriptors.count == 4)
            do {
                let first = queues.takeNext()
                #expect([first.descriptor(.home), first.descriptor(.access)] == [descriptors[0], descriptors[2]])
            }
            #expect(try PortNetwork.eventually { try Self.attached() == [1, 1] })
            let second = queues.takeNext()
            #expect([second.descriptor(.home), second.descriptor(.access)] == [descriptors[1], descriptors[3]])
            #expect(second.isShared == false)
        }
    }

    /// How many queues the kernel says are attached.
    private static func attached() throws -> [UInt32?] {
        var socket = try RouteSocket()
        return [try socket.link(named: "home")?.tunQueues, try socket.link(named: "access")?.tunQueues]
    }

    @Test("Without the right to load programs several queues are refused, with what to do, and one is not")
    func notPermitted() async throws {
        try await NetworkNamespace.run {
            let errors = try TestThread {
                try TunControl.dropBPF()
                return [Self.error("moor0", 2), Self.error("moor1", 1)]
            }.value()
            if errors[0] == nil { try Test.cancel("this kernel lets everybody load programs") }
            #expect(errors == [.steeringNotPermitted("moor0"), nil])
            #expect(errors[0]?.description.contains("CAP_BPF") == true)
            #expect(errors[0]?.description.contains("--workers 1") == true)
        }
    }

    static func error(_ name: String, _ count: Int) -> TunDeviceError? {
        do throws(TunDeviceError) { _ = try TunQueues(name: name, count: count, side: .home) } catch { return error }
        return nil
    }
}
