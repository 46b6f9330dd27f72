// What a port is made of besides the kernel interface it uses: its devices, the means to wake it, and its sizes.

import CLinuxNet
import Glibc
import PacketBuffer

/// The devices of one port: one for each side, or one for both.
public struct PortDevices: ~Copyable, Sendable {
    /// The device of the home side, or of both.
    public let home: TunDevice
    /// The device of the access side, where it has its own.
    public let access: TunDevice?
    /// What packets of tunnels come by from the access side, beside its device.
    let frames: FrameSocket?

    /// A device for each side.
    public init(home: consuming TunDevice, access: consuming TunDevice) {
        self.init(home: home, access: access, frames: nil)
    }

    init(home: consuming TunDevice, access: consuming TunDevice, frames: consuming FrameSocket?) {
        self.home = home
        self.access = .some(access)
        self.frames = frames
    }

    /// One device for both sides. All packets are received from `.home`; the forwarder tells the sides apart.
    public init(shared: consuming TunDevice) {
        home = shared
        access = nil
        frames = nil
    }

    /// Whether one device serves both sides.
    public var isShared: Bool {
        switch access {
        case .some: false
        case .none: true
        }
    }

    /// The socket that packets of tunnels come by, or -1 where there is none.
    var frameDescriptor: Int32 {
        switch frames {
        case .some(let socket): socket.descriptor
        case .none: -1
        }
    }

    /// The descriptor that packets to and from a side pass.
    public func descriptor(_ side: Side) -> Int32 {
        switch access {
        case .some(let device) where side == .access: device.descriptor
        default: home.descriptor
        }
    }

    /// Of the header before packets to and from a side, in bytes; 0 where there is none.
    func headerLength(_ side: Side) -> Int {
        switch access {
        case .some(let device) where side == .access: device.headerLength
        default: home.headerLength
        }
    }

    /// Whether the access device may hand over super-frames: whoever had it before may have asked for them.
    var mayHaveTrains: Bool { home.headerLength > 0 && !isShared && headerLength(.access) > 0 }

    /// The largest packet that is received, in bytes; a super-frame where the home device has those.
    func packetCapacity(_ configuration: PortConfiguration) -> Int {
        home.headerLength > 0 ? Int(UInt16.max) : configuration.packetCapacity
    }

    /// What a slot needs for packets, in bytes: one more than the largest, so that one that was cut off is told, and for
    /// what stands before a frame where the access device has no header of its own.
    func slotCapacity(_ configuration: PortConfiguration) -> Int {
        packetCapacity(configuration) + 1 + (frameDescriptor >= 0 ? FrameSocket.headerLength : 0)
    }

    /// The error for a read that failed for good; nil where the side's device is still there.
    func goneError(_ side: Side) -> PortError? {
        switch access {
        case .some(let device) where side == .access: Self.goneError(device)
        default: Self.goneError(home)
        }
    }

    private static func goneError(_ device: borrowing TunDevice) -> PortError? {
        if device.isAttached { return nil }
        return PortError(
            "the TUN device “\(device.name)” was deleted while in use: make it again, then start the service anew")
    }
}

/// The queues of all devices of all ports: of one for each side, or of one for both.
public struct PortQueues: ~Copyable, Sendable {
    private var home: TunQueues
    private var access: TunQueues?
    private var frames: FrameSockets?

    /// A device for each side, with the same number of queues.
    public init(home: consuming TunQueues, access: consuming TunQueues) {
        self.init(home: home, access: access, frames: nil)
    }

    /// A device for each side, and a predecessor's sockets for frames, where it had any.
    public init(home: consuming TunQueues, access: consuming TunQueues, frames: consuming FrameSockets?) {
        precondition(home.descriptors.count == access.descriptors.count, "every port has a queue of each device")
        self.home = home
        self.access = .some(access)
        self.frames = frames
    }

    /// One device for both sides.
    public init(shared: consuming TunQueues) {
        home = shared
        access = nil
        frames = nil
    }

    /// Every descriptor: those of the home device in the order of its queues, then those of the access device, where that
    /// is another, then the sockets for frames, where there are any. They stay open as long as their ports.
    public var descriptors: [Int32] {
        var result = home.descriptors
        switch access {
        case .some(let access): result += access.descriptors
        case .none: break
        }
        switch frames {
        case .some(let frames): result += frames.descriptors
        case .none: break
        }
        return result
    }

    /// Whether there are sockets for frames.
    var hasFrameSockets: Bool {
        switch frames {
        case .some: true
        case .none: false
        }
    }

    /// Opens sockets for frames at the access device, where there are none.
    mutating func openFrameSockets(count: Int) throws(KernelProgramError) {
        guard !hasFrameSockets, let (index, name) = accessDevice else { return }
        frames = try FrameSockets(interfaceIndex: index, name: name, count: count)
    }

    /// Does without.
    mutating func removeFrameSockets() { frames = nil }

    /// The kernel's number of the access device, and its name; nil where one device serves both sides.
    private var accessDevice: (index: UInt32, name: String)? {
        switch access {
        case .some(let access): (access.interfaceIndex, access.name)
        case .none: nil
        }
    }

    /// The kernel's number of the access device; 0 where one device serves both sides.
    var accessIndex: UInt32 { accessDevice?.index ?? 0 }

    /// Whether one device serves both sides.
    public var isShared: Bool {
        switch access {
        case .some: false
        case .none: true
        }
    }

    /// Whether the kernel hands over super-frames from the home side.
    public var hasSuperFrames: Bool { !isShared && !home.segmentKinds.isEmpty }

    /// Whether the kernel knows super-frames of UDP (Linux 6.2).
    var hasDatagramFrames: Bool { home.segmentKinds.contains(.udp) }

    /// Whether datagrams of a UDP tunnel come together from the access device.
    var hasTrains: Bool {
        switch access {
        case .some(let access): hasSuperFrames && access.segmentKinds.contains(.udp)
        case .none: false
        }
    }

    /// The kernel's number of the access device, where that has virtio headers.
    var accessWithHeaders: UInt32? {
        switch access {
        case .some(let access) where access.headerLength > 0: access.interfaceIndex
        default: nil
        }
    }

    /// The devices of the next port: its queue of each. There must be one left.
    public mutating func takeNext() -> PortDevices {
        let homeQueue = home.takeNext()
        guard access != nil, let accessQueue = access?.takeNext() else { return PortDevices(shared: homeQueue) }
        return PortDevices(home: homeQueue, access: accessQueue, frames: frames?.takeNext())
    }
}

/// Sizes of a port.
public struct PortConfiguration: Sendable, Equatable {
    /// The largest packet that is received, in bytes: the greater of the devices' MTUs. Longer ones are counted in
    /// `PacketPort.receiveFailures`.
    public var packetCapacity: Int
    /// How many packets a port holds at most, half of them from each side where the sides have devices of their own.
    /// What comes beyond that waits in the devices' queues. Even, from 2 to 32768.
    public var slotCount: Int
    /// The capacity of the batches that are used with the port, and so how many packets one system call moves at most.
    public var batchCapacity: Int

    /// Sizes; those left out are the ones that measured best.
    public init(packetCapacity: Int, slotCount: Int = 1024, batchCapacity: Int = 128) {
        precondition(
            packetCapacity > 0 && packetCapacity <= 65_535 && slotCount >= 2 && slotCount <= 32_768
                && slotCount.isMultiple(of: 2) && batchCapacity > 0 && batchCapacity <= 4096,
            "a port has 2 to 32768 slots for packets of up to 65535 bytes, and batches of up to 4096")
        self.packetCapacity = packetCapacity
        self.slotCount = slotCount
        self.batchCapacity = batchCapacity
    }
}

/// Ends a port's wait from another thread. A wake that comes while the port isn't waiting ends its next wait.
public final class PortWaker: Sendable {
    /// An eventfd(2).
    let descriptor: Int32

    /// A waker for one port.
    /// - Throws: `PortError` where the process has too many descriptors open.
    public init() throws(PortError) {
        descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard descriptor >= 0 else {
            throw PortError(
                "no descriptor to wake the worker with (\(String(cString: strerror(errno)))): raise the limit of open "
                    + "files (ulimit -n, LimitNOFILE= of the service)")
        }
    }

    deinit { close(descriptor) }

    /// Wakes the port, from any thread. Several wakes may count as one.
    public func wake() {
        var one: UInt64 = 1
        // Fails only where the counter is full, that is, where the port is woken already.
        _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
    }
}
