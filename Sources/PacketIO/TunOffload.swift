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

/// What is to be done with super-frames.
public enum OffloadChoice: String, Sendable, CaseIterable {
    /// The best that the host allows.
    case automatic
    /// They are cut into segments here.
    case split
    /// There are none: the kernel cuts them before they come.
    case off

    /// What came of the choice.
    /// - Returns: `split` or `off`, and why it is off where that was not chosen.
    public func outcome(_ queues: borrowing PortQueues) -> (OffloadChoice, reason: String) {
        if queues.hasSuperFrames { return (.split, "") }
        if self == .off { return (.off, "") }
        return (
            .off, queues.isShared ? "one device serves both sides" : "the device has no virtio headers, or the kernel refuses"
        )
    }
}
