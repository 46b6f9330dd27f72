// What the kernel may leave to who reads from a TUN device (TUNSETOFFLOAD): the checksums of TCP and UDP, and to cut their
// segments. Which of it a kernel knows is found out by asking.

import CLinuxNet
import Glibc
import Wire

/// What is passed with the packets of a device.
public enum TunOffload: Sendable {
    /// Nothing: packets as they are on a wire.
    case none
    /// A virtio header before each, so that super-frames may be written. What is read is as on a wire.
    case header
    /// That, and super-frames of UDP may be read.
    case datagrams
    /// A header, and super-frames of TCP and UDP may be read.
    case superFrames

    /// Of the header before each packet, in bytes.
    var headerLength: Int { self == .none ? 0 : VirtioNetHeader.length }

    /// Asks the kernel for all that it knows, with or without UDP.
    /// - Returns: the kinds of super-frames that it will hand over; empty where it refuses them.
    func apply(to descriptor: Int32) -> [SegmentKind] {
        switch self {
        case .none, .header:
            // Whoever had the device before may have asked for some.
            _ = clinuxnet_tun_offload(descriptor, false, false)
            return []
        case .datagrams: return clinuxnet_tun_offload(descriptor, false, true) == 0 ? [.udp] : []
        case .superFrames: break
        }
        let tcp: [SegmentKind] = [.tcpIPv4, .tcpIPv6]
        if clinuxnet_tun_offload(descriptor, true, true) == 0 { return tcp + [.udp] }
        if clinuxnet_tun_offload(descriptor, true, false) == 0 { return tcp }
        return []
    }
}

/// What is to be done with super-frames. It is a wish: where it can't be had, the next best is done.
public enum OffloadChoice: String, Sendable, CaseIterable {
    /// The best that the host allows.
    case automatic
    /// They leave whole, with headers that a program in the kernel makes a tunnel's.
    case push
    /// They are cut into segments here, which leave together in a UDP tunnel, each by itself in others.
    case split
    /// There are none: the kernel cuts them before they come.
    case off

    /// What the home device is to have for it.
    public var ofHome: TunOffload { self == .off ? .none : .superFrames }

    /// What the access device is to have for it.
    /// - Parameter choice: what is wanted of super-frames in tunnels.
    public func ofAccess(_ choice: AccessOffloadChoice) -> TunOffload {
        self == .off ? .none : choice == .off ? .header : .datagrams
    }
}

/// What came of an `OffloadChoice`, and what it needs for as long as packets are forwarded.
public struct SuperFrameWay: ~Copyable, Sendable {
    /// `push`, `split` or `off`.
    public let choice: OffloadChoice
    /// Why it is not the best that was asked for; else empty.
    public let reason: String
    /// Whether something else was asked for by name.
    public var isUnfulfilled: Bool { wanted != .automatic && wanted != choice }
    private let wanted: OffloadChoice
    /// Whether the home device takes super-frames of UDP, beside those of TCP, where there are any.
    public let takesDatagrams: Bool
    /// Whether the access device takes those of UDP, so that datagrams of a UDP tunnel may leave together.
    public let takesTrains: Bool
    private let program: PushProgram?

    /// Sees what the devices and the kernel have for a choice, and attaches the program where headers are pushed.
    /// - Parameter isSuccession: whether the devices are those of another process, and as that has made them.
    public init(_ wanted: OffloadChoice, _ queues: borrowing PortQueues, isSuccession: Bool) {
        self.wanted = wanted
        takesDatagrams = queues.hasDatagramFrames
        takesTrains = takesDatagrams && queues.accessWithHeaders != nil
        guard queues.hasSuperFrames else {
            choice = .off
            program = nil
            reason =
                wanted == .off
                ? ""
                : queues.isShared
                    ? "one device serves both sides"
                    : isSuccession
                        ? "the mooringd that was taken over had none: restart it for that"
                        : "the home device has no virtio headers, or the kernel refuses them"
            return
        }
        guard wanted != .split else {
            (choice, reason) = (.split, "")
            program = nil
            return
        }
        guard let access = queues.accessWithHeaders else {
            (choice, reason) = (.split, "the access device has no virtio headers")
            program = nil
            return
        }
        do throws(KernelProgramError) {
            program = try PushProgram(interfaceIndex: access)
            (choice, reason) = (.push, "")
        } catch {
            program = nil
            (choice, reason) = (.split, error.description)
        }
    }
}
