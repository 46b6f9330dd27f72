// TUN devices: which names can be had, what of a device that exists is taken over, and what is left when one ends.

import Glibc
import NetworkNamespace
import TestThread
import Testing

@testable import PacketIO

@Suite("TUN device names")
struct TunDeviceNameTests {
    static func error(_ name: String) -> TunDeviceError? {
        do throws(TunDeviceError) { try TunDevice.check(name) } catch { return error }
        return nil
    }

    @Test(
        "Names that the kernel takes",
        arguments: ["a", "tun0", "home-side_1.2", "fifteen-bytes-x", "größe", "-", "a@b"])
    func valid(name: String) { #expect(Self.error(name) == nil) }

    @Test(
        "Names of more than 15 bytes are too long",
        arguments: ["sixteen-bytes-xx", "größengrößengr", String(repeating: "%", count: 5000)])
    func tooLong(name: String) throws {
        #expect(Self.error(name) == .nameTooLong(name))
        #expect(try #require(Self.error(name)).description.contains("\(name.utf8.count) bytes"))
    }

    @Test(
        "Names that are none, or a pattern, are invalid",
        arguments: ["", ".", "..", "a/b", "a:b", "tun%d", "%", "a b", "a\tb", "a\u{0}b", "a\n", "\u{7f}"])
    func invalid(name: String) { #expect(Self.error(name) == .invalidName(name)) }

    @Test(
        "An error says what to do",
        arguments: [
            (TunDeviceError.noControlDevice(errorNumber: ENOENT), "modprobe tun"),
            (.noControlDevice(errorNumber: ENODEV), "modprobe tun"),
            (.noControlDevice(errorNumber: EACCES), "allow this user"),
            (.notPermitted("moor0"), "CAP_NET_ADMIN"),
            (.busy("moor0"), "end that process"),
            (.notTun("moor0"), "choose another name"),
            (.notOfSeveralQueues("moor0"), "multi_queue"),
            (.steeringNotPermitted("moor0"), "CAP_BPF"),
            (.steeringFailed("moor0", errorNumber: ENOSYS), "use one worker"),
            (.unseen("moor0", reason: "no answer"), "no answer"),
            (.failed("moor0", errorNumber: EIO), "Input/output error"),
            (.nameTooLong("sixteen-bytes-xx"), "16 bytes, of 15 at most"),
            (.invalidName("a b"), "use letters"),
        ])
    func sentence(error: TunDeviceError, part: String) { #expect(error.description.contains(part)) }
}

@Suite("TUN devices", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"))
struct TunDeviceTests {
    static func error(_ name: String) -> TunDeviceError? {
        do throws(TunDeviceError) { _ = try TunDevice(name: name) } catch { return error }
        return nil
    }

    /// Attaches to a device that was in use just now. A process that another test is about to start may hold the last
    /// user's descriptor for a moment, between its fork and its program's begin.
    static func attach(_ name: String) throws -> TunDevice {
        let deadline = ContinuousClock.now + PortNetwork.patience
        while true {
            do throws(TunDeviceError) { return try TunDevice(name: name) } catch {
                guard error == .busy(name), ContinuousClock.now < deadline else { throw error }
                sched_yield()
            }
        }
    }

    static func names() throws -> [String] {
        try NetworkNamespace.json("ip -j link").compactMap { $0["ifname"] as? String }
    }

    @Test("A device that is made has its name, number and MTU, and vanishes with its owner")
    func made() async throws {
        try await NetworkNamespace.run {
            do {
                let device = try TunDevice(name: "fifteen-bytes-x")
                #expect(device.name == "fifteen-bytes-x")
                #expect(device.wasCreated == true)
                #expect(device.isAttached == true)
                let shown = try NetworkNamespace.json("ip -j -d link show dev \(device.name)")
                #expect(shown.first?["ifindex"] as? Int == Int(device.interfaceIndex))
                let info = (shown.first?["linkinfo"] as? [String: Any])?["info_data"] as? [String: Any]
                #expect(info?["type"] as? String == "tun")
                #expect(info?["pi"] as? Bool == false)
                #expect(info?["vnet_hdr"] as? Bool == false)
                #expect(info?["multi_queue"] as? Bool == false)
                #expect(info?["persist"] as? Bool == false)
                #expect(try device.mtu() == 1500)
                try NetworkNamespace.shell("ip link set \(device.name) mtu 1280")
                #expect(try device.mtu() == 1280)
                #expect(fcntl(device.descriptor, F_GETFL) & O_NONBLOCK != 0)
                #expect(fcntl(device.descriptor, F_GETFD) & FD_CLOEXEC != 0)
            }
            #expect(try PortNetwork.eventually { try Self.names() == ["lo"] })
        }
    }

    @Test("A device that was made persistent is taken as it is, and stays")
    func persistent() async throws {
        try await NetworkNamespace.run {
            try NetworkNamespace.shell("ip tuntap add dev moor0 mode tun && ip link set moor0 mtu 1400")
            for _ in 0..<3 {
                let device = try Self.attach("moor0")
                #expect(device.wasCreated == false)
                #expect(try device.mtu() == 1400)
            }
            #expect(try Self.names() == ["lo", "moor0"])
        }
    }

    @Test("A device has one user")
    func busy() async throws {
        try await NetworkNamespace.run {
            do {
                let device = try TunDevice(name: "moor0")
                #expect(Self.error("moor0") == .busy("moor0"))
                #expect(device.isAttached == true)
            }
            #expect(PortNetwork.eventually { Self.error("moor0") == nil })
        }
    }

    @Test(
        "Devices of other kinds are refused and stay as they are",
        arguments: [
            "ip link add moor0 type dummy", "ip link add moor0 type veth peer name moor1",
            "ip tuntap add dev moor0 mode tap",
        ])
    func otherKinds(command: String) async throws {
        try await NetworkNamespace.run {
            do { try NetworkNamespace.shell(command) } catch {
                try Test.cancel("this kernel or `ip` lacks such devices: \(error)")
            }
            let before = try NetworkNamespace.shell("ip -d link")
            #expect(Self.error("moor0") == .notTun("moor0"))
            #expect(try NetworkNamespace.shell("ip -d link") == before)
        }
    }

    @Test("The loopback device is no TUN device")
    func loopback() async throws {
        try await NetworkNamespace.run { #expect(Self.error("lo") == .notTun("lo")) }
    }

    @Test("Bad names make no device", arguments: ["tun%d", "sixteen-bytes-xx", ""])
    func badName(name: String) async throws {
        try await NetworkNamespace.run {
            #expect(Self.error(name) != nil)
            let names = try Self.names()
            #expect(names == ["lo"])
        }
    }

    @Test("Without CAP_NET_ADMIN a device can't be made, another user's not be taken, but one's own can")
    func notPermitted() async throws {
        try await NetworkNamespace.run {
            do { try NetworkNamespace.shell("ip tuntap add dev moor0 mode tun user 4711") } catch {
                try Test.cancel("needs a second user, which a user namespace may lack: \(error)")
            }
            try NetworkNamespace.shell("ip tuntap add dev moor1 mode tun user \(geteuid())")
            let errors = try TestThread {
                try TunControl.dropNetworkAdministration()
                return [Self.error("moor0"), Self.error("moor1"), Self.error("moor2")]
            }.value()
            if case .noControlDevice = errors[0] { try Test.cancel("/dev/net/tun can't be opened without privilege") }
            #expect(errors == [.notPermitted("moor0"), nil, .notPermitted("moor2")])
        }
    }

    @Test("A device that was deleted is detached, and its name is free")
    func deleted() async throws {
        try await NetworkNamespace.run {
            let device = try TunDevice(name: "moor0")
            try NetworkNamespace.shell("ip link del moor0")
            #expect(device.isAttached == false)
            #expect(throws: TunDeviceError.failed("moor0", errorNumber: ENODEV)) { _ = try device.mtu() }
            let successor = try TunDevice(name: "moor0")
            #expect(successor.wasCreated == true)
            #expect(device.isAttached == false)
            #expect(successor.isAttached == true)
        }
    }

    @Test("A device that is refused leaves no descriptor")
    func descriptors() async throws {
        try await NetworkNamespace.run {
            try NetworkNamespace.shell("ip link add moor0 type dummy || ip tuntap add dev moor0 mode tap")
            let (before, after, refused) = try TestThread(hasOwnDescriptors: true) {
                let before = CurrentThread.descriptorCount
                let refused = ["moor0", "lo", "tun%d"].filter { Self.error($0) != nil }
                return (before, CurrentThread.descriptorCount, refused)
            }.value()
            #expect(before == after)
            #expect(refused == ["moor0", "lo", "tun%d"])
        }
    }

    @Test("Offloads of a former user are switched off")
    func offloads() async throws {
        try await NetworkNamespace.run {
            try NetworkNamespace.shell("ip tuntap add dev moor0 mode tun")
            let features = { try NetworkNamespace.shell("ethtool -k moor0") }
            let isOn = { (text: String) in text.contains("tcp-segmentation-offload: on") }
            do {
                let former = try TunDevice(name: "moor0")
                // TUNSETOFFLOAD with TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 of <linux/if_tun.h>.
                try TunControl.setOffloads(former.descriptor, 0x07)
                do { try #require(try isOn(features())) } catch {
                    try Test.cancel("needs ethtool, to see offloads: \(error)")
                }
            }
            #expect(try isOn(features()), "the device keeps them, so there is something to switch off")
            let device = try Self.attach("moor0")
            #expect(try !isOn(features()))
            #expect(device.wasCreated == false)
        }
    }
}

/// System calls that Swift's Glibc module leaves out.
enum TunControl {
    static func setOffloads(_ descriptor: Int32, _ offloads: UInt) throws {
        typealias Control = @convention(c) (Int32, UInt, UInt) -> Int32
        guard let symbol = dlsym(nil, "ioctl"),
            unsafeBitCast(symbol, to: Control.self)(descriptor, 0x4004_54d0, offloads) == 0
        else { throw PortTestError(description: "TUNSETOFFLOAD: \(String(cString: strerror(errno)))") }
    }

    /// Takes CAP_NET_ADMIN from the calling thread, for as long as it lives.
    static func dropNetworkAdministration() throws { try drop([12]) }

    /// The same of CAP_BPF and CAP_SYS_ADMIN, either of which allows to load programs.
    static func dropBPF() throws { try drop([21, 39]) }

    /// Takes capabilities from the calling thread, by their numbers (capset(2)).
    private static func drop(_ capabilities: [Int]) throws {
        typealias Call = @convention(c) (UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>) -> Int32
        // _LINUX_CAPABILITY_VERSION_3 and the calling thread; effective, permitted and inheritable, twice.
        var header: [UInt32] = [0x2008_0522, 0]
        var sets = [UInt32](repeating: 0, count: 6)
        guard let get = dlsym(nil, "capget"), let set = dlsym(nil, "capset"),
            unsafeBitCast(get, to: Call.self)(&header, &sets) == 0
        else { throw PortTestError(description: "capget: \(String(cString: strerror(errno)))") }
        // The lower 32 of all three sets stand first.
        for capability in capabilities {
            for index in 0..<3 { sets[index + capability / 32 * 3] &= ~(1 << UInt32(capability % 32)) }
        }
        guard unsafeBitCast(set, to: Call.self)(&header, &sets) == 0 else {
            throw PortTestError(description: "capset: \(String(cString: strerror(errno)))")
        }
    }
}
