// A TUN device is a network interface whose packets a process reads and writes through a descriptor, one packet a call
// (Documentation/networking/tuntap.rst). Devices here have no packet information, and a virtio header where super-frames are
// wanted (`TunOffload`). A device that the process made vanishes with its last descriptor; one that an operator made
// persistent stays.

import CLinuxNet
import Glibc

/// The owner of a descriptor attached to a TUN device: to its one queue, or to one of several (`TunQueues`).
public struct TunDevice: ~Copyable, Sendable {
    /// The longest name of a network interface, in bytes.
    public static let maximumNameLength = 15

    /// The device's name.
    public let name: String
    /// Reads and writes whole packets; non-blocking. Owned by this value.
    public let descriptor: Int32
    /// Whether this made the device. Otherwise it existed before.
    public let wasCreated: Bool
    /// The kernel's number of the interface.
    public let interfaceIndex: UInt32
    /// Of the virtio header before each packet, in bytes: 0 where there is none.
    public let headerLength: Int

    /// Attaches to the device of that name, or makes it, in the calling thread's network namespace.
    /// - Throws: `TunDeviceError`.
    public init(name: String, offload: TunOffload = .none) throws(TunDeviceError) {
        var queues = try TunQueues(name: name, offload: offload)
        self = queues.takeNext()
    }

    /// A descriptor that is attached already, which this owns from now on.
    init(name: String, descriptor: Int32, wasCreated: Bool, interfaceIndex: UInt32, headerLength: Int) {
        self.name = name
        self.descriptor = descriptor
        self.wasCreated = wasCreated
        self.interfaceIndex = interfaceIndex
        self.headerLength = headerLength
    }

    deinit { close(descriptor) }

    /// The largest packet that the kernel hands over, in bytes. It may change at any time.
    public func mtu() throws(TunDeviceError) -> Int {
        let result = clinuxnet_interface_mtu(name)
        guard result >= 0 else { throw .failed(name, errorNumber: -result) }
        return Int(result)
    }

    /// Whether the device still exists. A device that was deleted never comes back to its descriptor.
    public var isAttached: Bool { clinuxnet_tun_check(descriptor) == 0 }

    /// What the kernel accepts as a name (dev_valid_name in net/core/dev.c), and no pattern such as `tun%d`.
    static func check(_ name: String) throws(TunDeviceError) {
        guard name.utf8.count <= maximumNameLength else { throw .nameTooLong(name) }
        let isValid =
            !name.isEmpty && name != "." && name != ".."
            && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && !"/:%".utf8.contains($0) }
        guard isValid else { throw .invalidName(name) }
    }
}

/// A TUN device can't be had.
public enum TunDeviceError: Error, Equatable, Sendable, CustomStringConvertible {
    /// More than 15 bytes.
    case nameTooLong(String)
    /// Empty, or with characters that a device's name can't have.
    case invalidName(String)
    /// `/dev/net/tun` can't be opened.
    case noControlDevice(errorNumber: Int32)
    /// CAP_NET_ADMIN is missing, or the device belongs to another user.
    case notPermitted(String)
    /// Another process is attached.
    case busy(String)
    /// A device of that name exists that is no TUN device.
    case notTun(String)
    /// Several queues are wanted, and a device of that name exists that is no TUN device with several.
    case notOfSeveralQueues(String)
    /// The program that chooses queues can't be loaded: CAP_BPF is missing.
    case steeringNotPermitted(String)
    /// The kernel does not take the program that chooses queues.
    case steeringFailed(String, errorNumber: Int32)
    /// Who uses the device can't be seen, for the reason given.
    case unseen(String, reason: String)
    /// Anything else that the kernel said.
    case failed(String, errorNumber: Int32)

    /// Says what to do.
    public var description: String {
        switch self {
        case .nameTooLong(let name):
            "the device name “\(name)” is too long: \(name.utf8.count) bytes, of \(TunDevice.maximumNameLength) at most"
        case .invalidName(let name):
            "“\(name)” is no device name: use letters, digits, “-”, “_” and “.”"
        case .noControlDevice(let errorNumber) where errorNumber == ENOENT || errorNumber == ENODEV:
            "there is no /dev/net/tun: load the kernel module (modprobe tun), or give the container the device"
        case .noControlDevice(let errorNumber):
            "/dev/net/tun can't be opened (\(String(cString: strerror(errorNumber)))): allow this user or container "
                + "to read and write it"
        case .notPermitted(let name):
            "no permission for the TUN device “\(name)”: give CAP_NET_ADMIN, or make it beforehand for this user "
                + "(ip tuntap add dev \(name) mode tun user …)"
        case .busy(let name):
            "the TUN device “\(name)” is in use by another process: end that process, or choose another name"
        case .notTun(let name):
            "a device “\(name)” exists that is no TUN device: choose another name, or delete it"
        case .notOfSeveralQueues(let name):
            "a device “\(name)” exists that is no TUN device with several queues, one for each worker: delete it, make it "
                + "with several (ip tuntap add dev \(name) mode tun multi_queue), or use one worker (--workers 1)"
        case .steeringNotPermitted(let name):
            "no permission for the program by which “\(name)” keeps each flow with one worker: give CAP_BPF in the "
                + "initial user namespace (AmbientCapabilities=CAP_NET_ADMIN CAP_BPF in the systemd unit) and let "
                + "seccomp pass bpf(2), or use one worker (--workers 1)"
        case .steeringFailed(let name, let errorNumber):
            "“\(name)” can't be told to keep each flow with one worker (bpf, TUNSETSTEERINGEBPF: "
                + "\(String(cString: strerror(errorNumber)))): use one worker (--workers 1), or a kernel from 4.16 with "
                + "CONFIG_BPF_SYSCALL"
        case .unseen(let name, let reason):
            "whether another process uses “\(name)” can't be seen: \(reason)"
        case .failed(let name, let errorNumber):
            "the TUN device “\(name)”: \(String(cString: strerror(errorNumber)))"
        }
    }
}
