// Packet sockets at the access device that get tunnelled super-frames whole (`TakeProgram`): one for each worker. Where
// there are several the program that chooses queues of a device chooses among them too, in the same order, so that a node's
// packets come to one worker, by whichever of the two.

import CLinuxNet
import Glibc
import PacketBuffer

/// One socket, to read from: a virtio header and a frame that begins with its IP header, each time. Owned by this value.
public struct FrameSocket: ~Copyable, Sendable {
    /// Of the virtio header before each frame, in bytes.
    @usableFromInline static var headerLength: Int { Int(clinuxnet_frame_header) }

    let descriptor: Int32

    deinit { close(descriptor) }
}

/// The sockets of a device that no port has taken yet.
public struct FrameSockets: ~Copyable, Sendable {
    /// What may wait in a socket, in bytes of the kernel's memory: more than a hundred frames of 64 KiB, or some five
    /// thousand small packets.
    static let receiveLimit: Int32 = 8 << 20

    /// All of them, in the order of the workers; those that were taken belong to who took them.
    let descriptors: [Int32]
    private var taken = 0

    /// Opens sockets at a device.
    init(interfaceIndex: UInt32, name: String, count: Int) throws(KernelProgramError) {
        var descriptors: [Int32] = []
        do throws(KernelProgramError) {
            for _ in 0..<count {
                let result = clinuxnet_frames_open(interfaceIndex, TakeProgram.mark, Self.receiveLimit)
                guard result >= 0 else { throw Self.error(-result) }
                descriptors.append(result)
            }
            if count > 1 { try Self.join(descriptors, name) }
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw error
        }
        self.descriptors = descriptors
    }

    /// Takes over sockets that another process opened, in their order, and owns them from now on.
    /// - Throws: where they are none of that device.
    public init(deviceNamed name: String, adopting descriptors: [Int32]) throws(TunDeviceError) {
        let interfaceIndex = if_nametoindex(name)
        for descriptor in descriptors {
            let result = clinuxnet_frames_check(descriptor, interfaceIndex)
            guard result != 0 else { continue }
            for descriptor in descriptors { close(descriptor) }
            throw .failed(name, errorNumber: -result)
        }
        self.descriptors = descriptors
    }

    deinit {
        for descriptor in descriptors[taken...] { close(descriptor) }
    }

    /// Takes the next. There must be one left.
    mutating func takeNext() -> FrameSocket {
        defer { taken += 1 }
        return FrameSocket(descriptor: descriptors[taken])
    }

    /// Has them share what comes.
    private static func join(_ descriptors: [Int32], _ name: String) throws(KernelProgramError) {
        let program: SteeringProgram
        do throws(TunDeviceError) { program = try SteeringProgram(.access, for: name) } catch { throw .notPermitted }
        var group: Int32 = -1
        for descriptor in descriptors {
            group = clinuxnet_frames_join(descriptor, group, program.descriptor)
            guard group >= 0 else { throw .refused("PACKET_FANOUT", errorNumber: -group) }
        }
    }

    private static func error(_ number: Int32) -> KernelProgramError {
        switch number {
        case EPERM, EACCES: .noPacketSocket
        case ENOPROTOOPT, EINVAL: .tooOldKernel
        default: .refused("a packet socket", errorNumber: number)
        }
    }
}
