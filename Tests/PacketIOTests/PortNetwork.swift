// A port on two TUN devices of the calling thread's namespace, and the kernel's end of each device.
//
//     home tap ── kernel ── device “home” ── port ── device “access” ── kernel ── access tap

import Glibc
import IOUring
import NetworkNamespace
import PacketBuffer
import Testing

@testable import PacketIO

/// A port of either kind, so that a test is written once.
struct EitherPort: ~Copyable {
    var ioUring: IOUringPort?
    var systemCalls: SystemCallPort?

    init(_ chosen: consuming ChosenPort) {
        switch consume chosen {
        case .ioUring(let port):
            ioUring = consume port
            systemCalls = nil
        case .systemCalls(let port, _):
            ioUring = nil
            systemCalls = consume port
        }
    }

    mutating func receive(into batch: inout PacketBatch, wait: Bool) throws(PortError) {
        try ioUring?.receive(into: &batch, wait: wait)
        try systemCalls?.receive(into: &batch, wait: wait)
    }

    mutating func complete(_ batch: inout PacketBatch) {
        ioUring?.complete(&batch)
        systemCalls?.complete(&batch)
    }

    var inFlight: Int { ask({ $0.inFlight }, { $0.inFlight }) }
    var idleSlots: Int { ask({ $0.idleSlots }, { $0.idleSlots }) }
    var transmitFailures: PortFailures { ask({ $0.transmitFailures }, { $0.transmitFailures }) }
    var receiveFailures: PortFailures { ask({ $0.receiveFailures }, { $0.receiveFailures }) }

    func ask<Value>(
        _ ofIOUring: (borrowing IOUringPort) -> Value, _ ofSystemCalls: (borrowing SystemCallPort) -> Value
    ) -> Value {
        switch ioUring {
        case .some(let port): return ofIOUring(port)
        case .none: break
        }
        switch systemCalls {
        case .some(let port): return ofSystemCalls(port)
        case .none: preconditionFailure("one of them is there")
        }
    }
}

/// A packet that a port received.
struct ReceivedPacket: Equatable {
    let side: Side
    let bytes: [UInt8]
}

struct PortNetwork: ~Copyable {
    /// The choices that name one port.
    static let kinds: [IOChoice] = [.ioUring, .systemCalls]
    /// How long something that will happen may take on a busy machine.
    static let patience = Duration.seconds(30)

    var port: EitherPort
    var batch: PacketBatch
    let waker: PortWaker
    let home: DeviceTap
    let access: DeviceTap
    let slotCount: Int

    /// Cancels the running test, with the reason, where the port can't be had on this machine.
    static func require(_ choice: IOChoice) throws {
        guard choice == .ioUring else { return }
        do {
            try IOUring(submissionCapacity: 1, completionCapacity: 2).requireMultishotRead()
        } catch { try Test.cancel("\(error)") }
    }

    /// Keeps the kernel from sending packets of its own accord, such as router solicitations.
    static func silenceIPv6() throws {
        try NetworkNamespace.shell(
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1")
    }

    /// Devices of the names “home” and “access”, up, without IPv6 of the kernel's own, and with room for a flood.
    static func makeDevices(
        mtu: Int = 1500, homeOffload: TunOffload = .none, accessOffload: TunOffload = .none
    ) throws -> PortDevices {
        try silenceIPv6()
        let home = try TunDevice(name: "home", offload: homeOffload)
        let access = try TunDevice(name: "access", offload: accessOffload)
        for name in ["home", "access"] {
            try NetworkNamespace.shell("ip link set \(name) mtu \(mtu) txqueuelen 16384 && ip link set \(name) up")
        }
        return PortDevices(home: home, access: access)
    }

    init(
        _ choice: IOChoice, packetCapacity: Int = 1500, slotCount: Int = 64, batchCapacity: Int = 16, mtu: Int = 1500,
        homeOffload: TunOffload = .none, accessOffload: TunOffload = .none
    ) throws {
        try self.init(
            choice,
            devices: try Self.makeDevices(mtu: mtu, homeOffload: homeOffload, accessOffload: accessOffload),
            packetCapacity: packetCapacity, slotCount: slotCount, batchCapacity: batchCapacity)
    }

    /// On devices of the names “home” and “access”, which are there and up.
    init(
        _ choice: IOChoice, devices: consuming PortDevices, packetCapacity: Int = 1500, slotCount: Int = 64,
        batchCapacity: Int = 16
    ) throws {
        let taps = (home: try DeviceTap("home"), access: try DeviceTap("access"))
        let waker = try PortWaker()
        port = EitherPort(
            try ChosenPort(
                choice, devices: devices, waker: waker,
                configuration: PortConfiguration(
                    packetCapacity: packetCapacity, slotCount: slotCount, batchCapacity: batchCapacity)))
        batch = PacketBatch(capacity: batchCapacity)
        home = taps.home
        access = taps.access
        self.waker = waker
        self.slotCount = slotCount
    }

    func tap(_ side: Side) -> DeviceTap { side == .home ? home : access }

    /// An IPv4 packet that no one answers, told from others by its number: protocol 253 (RFC 3692), to 198.51.100.1.
    static func packet(_ number: Int, length: Int = 64) -> [UInt8] {
        precondition(length >= 24, "there is room for the header and the number")
        var bytes: [UInt8] = [
            0x45, 0, UInt8(length >> 8), UInt8(length & 255), 0, 0, 0, 0, 64, 253, 0, 0, 203, 0, 113, 7, 198, 51, 100,
            1,
        ]
        bytes += (0..<4).map { UInt8(number >> (24 - 8 * $0) & 255) }
        bytes += (24..<length).map { UInt8(($0 &* 7 &+ number) & 255) }
        return bytes
    }

    /// Receives without waiting, gives each packet its verdict and completes, until `count` packets came or patience is
    /// at an end.
    mutating func forward(_ count: Int, verdict: (inout Packet) -> Verdict = { _ in .release }) throws
        -> [ReceivedPacket]
    {
        let deadline = ContinuousClock.now + Self.patience
        var packets: [ReceivedPacket] = []
        while packets.count < count && ContinuousClock.now < deadline {
            try port.receive(into: &batch, wait: false)
            packets += takeBatch(verdict)
        }
        return packets
    }

    /// Gives each packet of the batch its verdict and completes it.
    mutating func takeBatch(_ verdict: (inout Packet) -> Verdict = { _ in .release }) -> [ReceivedPacket] {
        var packets: [ReceivedPacket] = []
        for index in 0..<batch.count {
            packets.append(ReceivedPacket(side: batch[index].ingress, bytes: Array(batch[index].bytes)))
            let choice = verdict(&batch[index])
            batch[index].verdict = choice
        }
        port.complete(&batch)
        return packets
    }

    /// Receives without waiting until the condition holds or patience is at an end; packets that come are released.
    mutating func turn(until condition: (borrowing EitherPort) -> Bool) throws -> Bool {
        let deadline = ContinuousClock.now + Self.patience
        while !condition(port) {
            guard ContinuousClock.now < deadline else { return false }
            try port.receive(into: &batch, wait: false)
            port.complete(&batch)
        }
        return true
    }

    /// Hands over what is queued; whether then no write is under way and all slots wait for packets.
    mutating func allSlotsComeBack() throws -> Bool {
        let slotCount = slotCount
        return try turn { $0.idleSlots == slotCount && $0.inFlight == 0 }
    }

    /// Whether the condition holds within the time that patience allows.
    static func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
        let deadline = ContinuousClock.now + patience
        while try !condition() {
            guard ContinuousClock.now < deadline else { return false }
            sched_yield()
        }
        return true
    }
}

extension PortFailures {
    init(home: UInt64, access: UInt64) {
        self.init()
        self.home = home
        self.access = access
    }
}
