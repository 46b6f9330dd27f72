// How super-frames come out of tunnels: whole, by sockets, or cut by the kernel, by the access device's queues.

import PacketBuffer

/// What is wanted of super-frames that lie in tunnels. It is a wish: where it can't be had, packets are forwarded without.
public enum AccessOffloadChoice: String, Sendable, CaseIterable {
    /// The best that the host allows.
    case automatic
    /// They come whole, from a packet socket.
    case whole
    /// Those of UDP tunnels come whole, from the access device; the kernel cuts others.
    case datagrams
    /// The kernel cuts them before they come.
    case off
}

/// What came of an `AccessOffloadChoice`, and what it needs for as long as packets are forwarded.
public struct AccessFrameWay: ~Copyable, Sendable {
    /// `whole`, `datagrams` or `off`.
    public let choice: AccessOffloadChoice
    /// Why it is not the best that was asked for; else empty.
    public let reason: String
    /// Whether something else was asked for by name.
    public var isUnfulfilled: Bool { wanted != .automatic && wanted != choice }
    private let wanted: AccessOffloadChoice
    private let program: TakeProgram?

    /// Sees what the devices and the kernel have for a choice. Where frames are to come whole, gives `queues` the sockets
    /// for it, if it has none of a predecessor's, and attaches the programs.
    /// - Parameters:
    ///   - count: of the workers.
    ///   - isSuccession: whether another process forwards by `queues` yet, which would get nothing of what new sockets do.
    public init(
        _ wanted: AccessOffloadChoice, _ queues: inout PortQueues, count: Int, isSuccession: Bool
    ) {
        self.wanted = wanted
        let second: AccessOffloadChoice = wanted != .off && queues.hasTrains ? .datagrams : .off
        if let obstacle = Self.obstacle(to: wanted, queues, isSuccession: isSuccession) {
            queues.removeFrameSockets()
            (choice, reason) = (second, second == wanted ? "" : obstacle)
            program = nil
            return
        }
        do throws(KernelProgramError) {
            try queues.openFrameSockets(count: count)
            program = try TakeProgram(interfaceIndex: queues.accessIndex)
            (choice, reason) = (.whole, "")
        } catch {
            queues.removeFrameSockets()
            program = nil
            (choice, reason) = (second, error.description)
        }
    }

    /// Why none is to be had; nil where it is to be tried.
    private static func obstacle(
        to wanted: AccessOffloadChoice, _ queues: borrowing PortQueues, isSuccession: Bool
    ) -> String? {
        if wanted == .off { return "" }
        if wanted == .datagrams, queues.hasSuperFrames {
            return "the access device has no virtio headers, or the kernel knows no super-frames of UDP (Linux 6.2)"
        }
        guard queues.hasSuperFrames else {
            // Who has super-frames off, or one device for both sides, is told so elsewhere.
            if wanted == .automatic { return "" }
            return queues.isShared
                ? "one device serves both sides"
                : "the home device takes no super-frames: --offload off has it so, or the kernel"
        }
        return isSuccession && !queues.hasFrameSockets
            ? "the mooringd that was taken over took none: restart it for that" : nil
    }
}
