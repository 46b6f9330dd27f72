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
    /// That, and super-frames may be read.
    case superFrames

    /// Of the header before each packet, in bytes.
    var headerLength: Int { self == .none ? 0 : VirtioNetHeader.length }

    /// Asks the kernel for all that it knows, with or without UDP.
    /// - Returns: the kinds of super-frames that it will hand over; empty where it refuses them.
    func apply(to descriptor: Int32) -> [SegmentKind] {
        guard self == .superFrames else { return [] }
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
    /// They are cut into segments here.
    case split
    /// There are none: the kernel cuts them before they come.
    case off

    /// What the home device is to have for it.
    public var ofHome: TunOffload { self == .off ? .none : .superFrames }

    /// What the access device is to have for it.
    public var ofAccess: TunOffload { self == .push || self == .automatic ? .header : .none }
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
    private let program: PushProgram?

    /// Sees what the devices and the kernel have for a choice, and attaches the program where headers are pushed.
    public init(_ wanted: OffloadChoice, _ queues: borrowing PortQueues) {
        self.wanted = wanted
        takesDatagrams = queues.hasDatagramFrames
        guard queues.hasSuperFrames else {
            choice = .off
            program = nil
            reason =
                wanted == .off
                ? ""
                : queues.isShared
                    ? "one device serves both sides"
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
