// The queues of a TUN device: one, or as many as there are workers, each with a descriptor of its own. The kernel numbers
// them in the order in which they were attached, and a program chooses one for each packet (SteeringProgram).

import CLinuxNet
import Glibc
import PacketBuffer
import RouteNetlink
import Wire

/// The queues of a device that no port has taken yet.
public struct TunQueues: ~Copyable, Sendable {
    /// The device's name.
    public let name: String
    /// Whether this made the device. Otherwise it existed before.
    public let wasCreated: Bool
    /// The kernel's number of the interface.
    public let interfaceIndex: UInt32
    /// The descriptors of all queues, in the kernel's order; those that were taken belong to who took them.
    public let descriptors: [Int32]
    /// Of the virtio header before each packet, in bytes: 0 where there is none.
    public let headerLength: Int
    /// The kinds of super-frames that the kernel hands over.
    public let segmentKinds: [SegmentKind]
    private var taken = 0

    /// Attaches to the device of that name, or makes it, in the calling thread's network namespace.
    /// - Parameters:
    ///   - count: of its queues, 1 to `Steering.queueLimit`.
    ///   - side: whose packets it is for, by which a queue is chosen; nil: of both.
    ///   - offload: what is to be passed with the packets.
    /// - Throws: `TunDeviceError`.
    public init(
        name: String, count: Int = 1, side: Side? = nil, offload: TunOffload = .none
    ) throws(TunDeviceError) {
        precondition((1...Steering.queueLimit).contains(count), "a device has 1 to \(Steering.queueLimit) queues")
        try TunDevice.check(name)
        // Of a device with several queues everybody may attach to another one, so who is there must be asked for.
        guard try Self.attachedQueues(of: name) ?? 0 == 0 else { throw .busy(name) }
        var descriptors: [Int32] = []
        let (wasCreated, interfaceIndex): (Bool, UInt32)
        do throws(TunDeviceError) {
            (wasCreated, interfaceIndex) = try Self.open(name, count: count, side: side, offload, &descriptors)
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw error
        }
        self.name = name
        self.wasCreated = wasCreated
        self.interfaceIndex = interfaceIndex
        headerLength = offload.headerLength
        segmentKinds = offload.apply(to: descriptors[0])
        self.descriptors = descriptors
    }

    /// Takes over queues that another process attached to, in their order, and owns their descriptors from now on. The
    /// device keeps the program by which it chooses one.
    /// - Parameter offload: what is to be passed with the packets, where it has virtio headers. The device keeps those or does
    ///   without.
    /// - Throws: where they are of no device of that name.
    public init(name: String, adopting descriptors: [Int32], offload: TunOffload) throws(TunDeviceError) {
        precondition((1...Steering.queueLimit).contains(descriptors.count), "a device has queues")
        do throws(TunDeviceError) {
            interfaceIndex = if_nametoindex(name)
            guard interfaceIndex != 0 else { throw .failed(name, errorNumber: errno) }
            for descriptor in descriptors where clinuxnet_tun_check(descriptor) != 0 { throw .notTun(name) }
            let length = clinuxnet_tun_header_length(descriptors[0])
            guard length == 0 || length == VirtioNetHeader.length else {
                throw .failed(name, errorNumber: length < 0 ? -length : EPROTO)
            }
            headerLength = Int(length)
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw error
        }
        self.name = name
        self.descriptors = descriptors
        wasCreated = false
        segmentKinds = headerLength > 0 ? offload.apply(to: descriptors[0]) : []
    }

    deinit {
        for descriptor in descriptors[taken...] { close(descriptor) }
    }

    /// Takes the next queue, as a device by itself. There must be one left.
    public mutating func takeNext() -> TunDevice {
        defer { taken += 1 }
        return TunDevice(
            name: name, descriptor: descriptors[taken], wasCreated: wasCreated, interfaceIndex: interfaceIndex,
            headerLength: headerLength)
    }

    /// Attaches to all queues.
    /// - Parameter descriptors: gets those that are open, where this fails too.
    private static func open(
        _ name: String, count: Int, side: Side?, _ offload: TunOffload, _ descriptors: inout [Int32]
    ) throws(TunDeviceError) -> (wasCreated: Bool, interfaceIndex: UInt32) {
        let length = Int32(offload.headerLength)
        let (first, wasCreated) = try attach(name, isOneOfSeveral: count > 1, headerLength: length)
        descriptors.append(first)
        if count > 1 {
            try steer(first, side, name)
            while descriptors.count < count { descriptors.append(try attach(name, headerLength: length)) }
        }
        // Another may have come at the same time; both then go.
        if let attached = try attachedQueues(of: name), attached != count { throw .busy(name) }
        let interfaceIndex = if_nametoindex(name)
        guard interfaceIndex != 0 else { throw .failed(name, errorNumber: errno) }
        return (wasCreated, interfaceIndex)
    }

    /// A descriptor of a device's first queue. Where there is a device that may have several queues, of that.
    private static func attach(
        _ name: String, isOneOfSeveral: Bool, headerLength: Int32
    ) throws(TunDeviceError) -> (descriptor: Int32, wasCreated: Bool) {
        let descriptor = Glibc.open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw .noControlDevice(errorNumber: errno) }
        // Making it first tells without a race whether it was there.
        var result = clinuxnet_tun_attach(descriptor, name, true, isOneOfSeveral, headerLength)
        let wasCreated = result == 0
        if result == -EBUSY { result = clinuxnet_tun_attach(descriptor, name, false, isOneOfSeveral, headerLength) }
        // Of the other kind: one for several may have one, and one for one may be about to go with its user.
        if result == -EINVAL {
            result = clinuxnet_tun_attach(descriptor, name, false, !isOneOfSeveral, headerLength)
            if result == 0, isOneOfSeveral { result = -EINVAL }
        }
        guard result == 0 else {
            close(descriptor)
            throw error(-result, name, isOneOfSeveral: isOneOfSeveral)
        }
        return (descriptor, wasCreated)
    }

    /// A descriptor of another queue.
    private static func attach(_ name: String, headerLength: Int32) throws(TunDeviceError) -> Int32 {
        let descriptor = Glibc.open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw .noControlDevice(errorNumber: errno) }
        let result = clinuxnet_tun_attach(descriptor, name, false, true, headerLength)
        guard result == 0 else {
            close(descriptor)
            throw error(-result, name, isOneOfSeveral: true)
        }
        return descriptor
    }

    private static func error(_ number: Int32, _ name: String, isOneOfSeveral: Bool) -> TunDeviceError {
        switch number {
        case EPERM, EACCES: .notPermitted(name)
        case EBUSY: .busy(name)
        case EINVAL: isOneOfSeveral ? .notOfSeveralQueues(name) : .notTun(name)
        default: .failed(name, errorNumber: number)
        }
    }

    private static func steer(_ descriptor: Int32, _ side: Side?, _ name: String) throws(TunDeviceError) {
        let program =
            switch side {
            case .home: try SteeringProgram(.home, for: name)
            case .access: try SteeringProgram(.access, for: name)
            case nil: try SteeringProgram(.both, for: name)
            }
        let result = clinuxnet_tun_steer(descriptor, program.descriptor)
        guard result == 0 else { throw .steeringFailed(name, errorNumber: -result) }
    }

    /// How many queues of a device are in use; nil where there is none, or one that can't have several.
    private static func attachedQueues(of name: String) throws(TunDeviceError) -> Int? {
        do throws(RouteError) {
            var socket = try RouteSocket()
            return try socket.link(named: name)?.tunQueues.map(Int.init)
        } catch {
            throw .unseen(name, reason: error.description)
        }
    }
}
