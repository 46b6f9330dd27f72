// The program that chooses the queue of a TUN device with several (TUNSETSTEERINGEBPF): `Steering` in the kernel's eBPF
// (Documentation/bpf/standardization/instruction-set.rst). Where a device has none, the kernel chooses by a hash that looks
// into tunnels but not into fragments, and by what it has learnt from packets written to the device: several workers
// that write packets of one tunnel would have its other direction leap from queue to queue.
//
//   home side     IPv6: the first 64 bits of the destination; IPv4: the destination
//   access side   IPv4: the source
//   both          IPv6 as on the home side. IPv4 of the protocols of tunnels: the source. All other IPv4: source and
//                 destination, for UDP may be a tunnel too, and of its fragments only the first says so. A node's tunnel has
//                 one source and one destination, as any flow has.
//
// What is too short for that, and what is no IP, goes to the first queue.

import CLinuxNet
import Glibc
import Wire

/// A steering program that the kernel has checked; the owner of its descriptor.
struct SteeringProgram: ~Copyable {
    /// What packets the kernel sends to a device.
    enum Device: Sendable, CaseIterable {
        /// Those of the home side.
        case home
        /// Those of the access side.
        case access
        /// Those of both.
        case both
    }

    let descriptor: Int32

    /// Loads the program.
    /// - Throws: `TunDeviceError.steeringNotPermitted`, or `.steeringFailed` with what the kernel said.
    init(_ device: Device, for name: String) throws(TunDeviceError) {
        let instructions = Self.instructions(device).map(\.encoded)
        let result = clinuxnet_bpf_load(
            CLINUXNET_BPF_SOCKET_FILTER, "mooring_queue", instructions, UInt32(instructions.count))
        guard result >= 0 else {
            switch -result {
            case EPERM, EACCES: throw .steeringNotPermitted(name)
            default: throw .steeringFailed(name, errorNumber: -result)
            }
        }
        descriptor = result
    }

    deinit { close(descriptor) }

    /// What the program says of a packet; nil where the kernel does not let it be tried.
    func result(of packet: [UInt8]) -> UInt32? {
        var result: UInt32 = 0
        return clinuxnet_bpf_run(descriptor, packet, packet.count, &result) == 0 ? result : nil
    }

    // MARK: The instructions

    /// struct bpf_insn of linux/bpf.h.
    struct Instruction {
        var code: UInt8
        var destination: UInt8 = 0
        var source: UInt8 = 0
        var offset: Int16 = 0
        var value: UInt32 = 0

        /// As the kernel reads it, on machines of this one's order.
        var encoded: UInt64 {
            #if _endian(big)
                let registers = destination << 4 | source
                return UInt64(code) << 56 | UInt64(registers) << 48 | UInt64(UInt16(bitPattern: offset)) << 32
                    | UInt64(value)
            #else
                let registers = source << 4 | destination
                return UInt64(code) | UInt64(registers) << 8 | UInt64(UInt16(bitPattern: offset)) << 16
                    | UInt64(value) << 32
            #endif
        }

        // Arithmetic is of 32 bits.
        static func move(_ to: UInt8, value: UInt32) -> Self { Self(code: 0xB4, destination: to, value: value) }
        static func move(_ to: UInt8, _ from: UInt8) -> Self { Self(code: 0xBC, destination: to, source: from) }
        static func shiftRight(_ register: UInt8, by bits: UInt32) -> Self {
            Self(code: 0x74, destination: register, value: bits)
        }
        static func and(_ register: UInt8, value: UInt32) -> Self {
            Self(code: 0x54, destination: register, value: value)
        }
        static func multiply(_ register: UInt8, by value: UInt32) -> Self {
            Self(code: 0x24, destination: register, value: value)
        }
        static func add(_ to: UInt8, _ from: UInt8) -> Self { Self(code: 0x0C, destination: to, source: from) }
        static func exclusiveOr(_ to: UInt8, _ from: UInt8) -> Self { Self(code: 0xAC, destination: to, source: from) }
        /// All 64 bits of a register: the packet that the loads are from is in register 6.
        static let keepPacket = Self(code: 0xBF, destination: 6, source: 1)
        /// Into register 0, from the packet's first byte on; where it is shorter the program ends with 0.
        static func loadByte(at offset: Int) -> Self { Self(code: 0x30, value: UInt32(offset)) }
        static func loadWord(at offset: Int) -> Self { Self(code: 0x20, value: UInt32(offset)) }
        static func skip(_ count: Int) -> Self { Self(code: 0x05, offset: Int16(count)) }
        static func skip(_ count: Int, whereRegister0Is value: UInt32) -> Self {
            Self(code: 0x15, offset: Int16(count), value: value)
        }
        static func skip(_ count: Int, whereRegister0IsNot value: UInt32) -> Self {
            Self(code: 0x55, offset: Int16(count), value: value)
        }
        static let exit = Self(code: 0x95)
    }

    static func instructions(_ device: Device) -> [Instruction] {
        let ipv4 = readIPv4(device)
        let ipv6: [Instruction] = [
            .loadWord(at: IPv6.Offset.destination), .move(7, 0), .loadWord(at: IPv6.Offset.destination + 4),
            .move(8, 0),
        ]
        let end: [Instruction] = [.move(0, value: 0), .exit]
        let start: [Instruction] = [
            .keepPacket, .loadByte(at: 0), .shiftRight(0, by: 4),
            .skip(1 + end.count + ipv4.count + 1, whereRegister0Is: 6),
            .skip(end.count, whereRegister0Is: 4),
        ]
        return start + end + ipv4 + [.skip(ipv6.count)] + ipv6 + hash
    }

    /// What is hashed of an IPv4 packet into registers 7 and 8.
    private static func readIPv4(_ device: Device) -> [Instruction] {
        func first(_ offset: Int) -> [Instruction] { [.loadWord(at: offset), .move(7, 0), .move(8, value: 0)] }
        let (source, destination) = (IPv4.Offset.source, IPv4.Offset.destination)
        switch device {
        case .home: return first(destination)
        case .access: return first(source)
        case .both:
            let both: [Instruction] = [.loadWord(at: source), .move(7, 0), .loadWord(at: destination), .move(8, 0)]
            let one = first(source)
            // Each leads behind `both` and the jump over `one`.
            let tunnels = [IPProtocol.ipv4, IPProtocol.ipv6, IPProtocol.gre, IPProtocol.minimal]
            let tests: [Instruction] = tunnels.enumerated().map { index, number in
                .skip(tunnels.count - 1 - index + both.count + 1, whereRegister0Is: UInt32(number))
            }
            return [.loadByte(at: IPv4.Offset.protocol)] + tests + both + [.skip(one.count)] + one
        }
    }

    /// `Steering.hash` of registers 7 and 8.
    private static var hash: [Instruction] {
        let (multipliers, shifts) = (Steering.multipliers, Steering.shifts)
        return [
            .multiply(7, by: multipliers.0), .move(0, 7), .shiftRight(0, by: shifts.0), .exclusiveOr(7, 0),
            .add(7, 8), .multiply(7, by: multipliers.1), .move(0, 7), .shiftRight(0, by: shifts.1),
            .exclusiveOr(7, 0), .multiply(7, by: multipliers.2), .move(0, 7), .shiftRight(0, by: shifts.2),
            // A device takes no more of it (linux: tun_ebpf_select_queue); a group of sockets would.
            .exclusiveOr(0, 7), .and(0, value: 0xFFFF), .exit,
        ]
    }
}
