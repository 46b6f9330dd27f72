// What the program that chooses queues says of packets, asked of the kernel.

import Testing
import Wire

@testable import PacketIO

@Suite("The choice of a queue", .enabled(if: SteeredPackets.isAvailable, "\(SteeredPackets.reason)"))
struct SteeringProgramTests {
    /// The result's lower half is what the kernel uses (tun_ebpf_select_queue of drivers/net/tun.c).
    private func queue(_ packet: [UInt8], _ device: SteeringProgram.Device, of count: Int = 16) throws -> Int {
        let program = try SteeringProgram(device, for: "test")
        let result = program.result(of: packet)
        return Int(UInt16(truncatingIfNeeded: try #require(result))) % count
    }

    @Test("On the home side IPv4 goes by its destination, IPv6 by the prefix of 64 bits that holds it")
    func home() throws {
        for _ in 0..<50 {
            let (source, destination) = (UInt32.random(in: .min ... .max), UInt32.random(in: .min ... .max))
            let wanted = Steering.queue(IPv4Address(rawValue: destination), of: 16)
            #expect(try queue(SteeredPackets.ipv4(from: source, to: destination), .home) == wanted)
            let address = IPv6Address(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
            let byPrefix = Steering.queue(IPv6Address(high: address.high, low: 0), of: 16)
            #expect(try queue(SteeredPackets.ipv6(to: address), .home) == byPrefix)
            #expect(
                SteeredPackets.ipv6(to: address).withUnsafeBytes { Steering.queue(ofPacket: $0, of: 16) } == byPrefix)
        }
    }

    @Test("On the access side all packets of a node go alike: tunnels of every kind, and their fragments")
    func access() throws {
        for _ in 0..<10 {
            let (source, destination) = (UInt32.random(in: .min ... .max), UInt32.random(in: .min ... .max))
            let wanted = Steering.queue(IPv4Address(rawValue: source), of: 16)
            let udp = SteeredPackets.ipv4(from: source, to: destination)
            for packet in SteeredPackets.kinds(from: source, to: destination) + [udp] {
                #expect(try queue(packet, .access) == wanted)
            }
        }
    }

    @Test("On a device of both sides a node's tunnel has one queue, and so has each flow to a home address")
    func both() throws {
        for _ in 0..<10 {
            let (source, destination) = (UInt32.random(in: .min ... .max), UInt32.random(in: .min ... .max))
            let bySource = Steering.queue(IPv4Address(rawValue: source), of: 16)
            for packet in SteeredPackets.kinds(from: source, to: destination) {
                #expect(try queue(packet, .both) == bySource)
            }
            let byBoth = Int(Steering.hash(source, destination)) % 16
            for number in [IPProtocol.udp, IPProtocol.tcp, IPProtocol.icmpv4] {
                for fragment: UInt16 in [0, 0x2000, 0x0006] {
                    let packet = SteeredPackets.ipv4(
                        from: source, to: destination, protocol: number, fragment: fragment,
                        payload: (0..<40).map { _ in .random(in: 0...255) })
                    #expect(try queue(packet, .both) == byBoth)
                }
            }
            let address = IPv6Address(high: .random(in: .min ... .max), low: 1)
            #expect(try queue(SteeredPackets.ipv6(to: address), .both) == Steering.queue(address, of: 16))
        }
    }

    @Test("Addresses beside each other are spread over all queues", arguments: [2, 3, 4, 16])
    func spread(count: Int) {
        var nodes = [Int](repeating: 0, count: count)
        var prefixes = nodes
        for index in 0..<1600 {
            nodes[Steering.queue(IPv4Address(rawValue: 0xCB00_7100 + UInt32(index)), of: count)] += 1
            prefixes[Steering.queue(IPv6Address(high: 0x2001_0DB8_0001_0000 + UInt64(index), low: 1), of: count)] += 1
        }
        // A share is 1600 / count; with 16 of them its deviation is below 10.
        for share in nodes + prefixes { #expect(share > 1600 / count / 2, "\(nodes), \(prefixes)") }
    }

    @Test("What is cut off, or no IP, has the first queue", arguments: SteeringProgram.Device.allCases)
    func malformed(device: SteeringProgram.Device) throws {
        let whole = SteeredPackets.ipv4(from: 0xCB00_7109, to: 0xC000_0201, protocol: IPProtocol.gre)
        #expect(try queue(Array(whole[..<12]), device) == 0)
        #expect(try queue(Array(SteeredPackets.ipv6(to: IPv6Address("2001:db8::1")!)[..<30]), device) == 0)
        for version: UInt8 in [0, 1, 5, 7, 15] {
            #expect(try queue([version << 4] + [UInt8](repeating: 0xAA, count: 47), device) == 0)
        }
    }
}
