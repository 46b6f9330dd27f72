// The foreign agent around its state machine: one thread, which waits for packets of either side, for the next deadline and
// for a signal. Packets in tunnels pass it between the sockets of care-of addresses and a TUN device, behind which the
// kernel forwards (VisitorRoutes):
//
//     home agent ─ IP-in-IP ─► TunnelSocket ─► visitor? ─► TUN ─► kernel ─► visited link
//     home agent ◄ IP-in-IP ── TunnelSocket ◄─ visitor? ◄─ TUN ◄─ kernel ◄─ visited link     with a reverse tunnel

import Glibc
import MobileIP
import PacketIO
import RouteNetlink
import Wire

/// A foreign agent that runs.
struct ForeignAgentProgram: ~Copyable {
    /// Packets that are taken of one side before the others have their turn.
    private static let turn = 64

    private var agent: ForeignAgentStateMachine
    private var link: VisitedLink
    private let registrations: [Boxed<RegistrationSocket>]
    private let tunnels: [Boxed<TunnelSocket>]
    private let device: TunDevice
    private var routes: VisitorRoutes
    private let stop: Int32
    private var output: EventOutput
    private var visitors: [IPv4Address: Visitor]
    private var counters: [String: UInt64]
    /// Of the visited link, in bytes.
    private let mtu: Int
    /// A packet of any length, and the device's header before it.
    private let buffer: UnsafeMutableRawBufferPointer

    /// What cannot be copied, in an array.
    private final class Boxed<Value: ~Copyable> {
        var value: Value
        init(_ value: consuming Value) { self.value = value }
    }

    /// Opens sockets and devices, and sets up nothing yet.
    init(_ settings: ForeignAgentSettings, output: EventOutput) throws {
        var socket = try RouteSocket()
        guard let visited = try socket.link(named: settings.visited) else {
            throw RouteError.noDevice(settings.visited)
        }
        let address = try settings.address ?? Self.address(of: visited, &socket)
        var addresses = [address]
        for other in try socket.addresses(family: .v4) {
            if case .v4(let own) = other.address, own != address { addresses.append(own) }
        }
        for careOf in settings.careOfAddresses where !addresses.contains(careOf) {
            throw CannotStart("no interface has the care-of address \(careOf): give it to one first")
        }
        let own = Set(addresses)
        let link = try VisitedLink(visited, address: address, own: own)
        var registrations: [Boxed<RegistrationSocket>] = []
        for own in settings.careOfAddresses + (settings.careOfAddresses.contains(address) ? [] : [address]) {
            registrations.append(Boxed(try RegistrationSocket(address: own)))
        }
        try registrations[0].value.joinGroups(interface: visited.index)
        let device = try TunDevice(name: settings.device, offload: .header)
        let routes = try VisitorRoutes(
            visited: visited, deviceName: settings.device, table: RouteTable(rawValue: settings.table))
        let tunnels = try settings.careOfAddresses.map { Boxed(try TunnelSocket(careOfAddress: $0)) }
        let stop = try StopSignal.take()
        // What can't be copied must not be there in part where something throws.
        agent = ForeignAgentStateMachine(
            settings.configuration(addresses: addresses), random: SystemRandomNumberGenerator())
        buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536 + VirtioNetHeader.length, alignment: 16)
        mtu = Int(visited.mtu)
        (self.registrations, self.tunnels, self.stop) = (registrations, tunnels, stop)
        (visitors, counters) = ([:], [:])
        self.link = link
        self.device = device
        self.routes = routes
        self.output = output
    }

    deinit { buffer.deallocate() }

    private static func address(of link: Link, _ socket: inout RouteSocket) throws -> IPv4Address {
        for address in try socket.addresses(family: .v4, link: link) {
            if case .v4(let own) = address.address { return own }
        }
        throw CannotStart("\(link.name) has no IPv4 address: give it one (ip address add … dev \(link.name))")
    }

    /// Runs until a signal ends it, and takes back what it has set up.
    mutating func run() throws {
        defer { routes.undo() }
        try routes.setUp()
        output.write("ready", "ready")
        while try wait() {
            if let deadline = agent.nextDeadline, deadline <= Self.now().nanoseconds { try handle(.deadline) }
            for _ in 0..<Self.turn {
                guard let event = try link.receive() else { break }
                try handle(event)
            }
            for socket in registrations {
                for _ in 0..<Self.turn {
                    guard let event = socket.value.receive() else { break }
                    // Of the same request the visited link tells which node it is of.
                    if case .reply(let datagram) = event,
                        datagram.payload.first == MobileIPMessageType.registrationRequest.rawValue
                    {
                        continue
                    }
                    try handle(event)
                }
            }
            for tunnel in tunnels { deliver(from: tunnel) }
            takeIntoTunnels()
        }
        output.write(
            "counters", counters.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: "\n"),
            ["counters": counters])
    }

    /// Waits for something to do.
    /// - Returns: false where a signal has come.
    private func wait() throws(CannotStart) -> Bool {
        let descriptors =
            [stop, link.descriptor, device.descriptor] + registrations.map { $0.value.descriptor }
            + tunnels.map { $0.value.descriptor }
        var waited = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var timeout: Int32 = -1
        if let deadline = agent.nextDeadline {
            let now = Self.now().nanoseconds
            // Rounded up: a millisecond too early would be a turn for nothing.
            timeout = deadline <= now ? 0 : Int32(clamping: (deadline - now + 999_999) / 1_000_000)
        }
        guard poll(&waited, nfds_t(waited.count), timeout) >= 0 || errno == EINTR else {
            throw CannotStart(errno, "wait for packets")
        }
        guard waited[2].revents & Int16(POLLERR) == 0 else { throw CannotStart("the TUN device was deleted") }
        return waited[0].revents == 0
    }

    private static func now() -> Moment {
        var (time, monotonic) = (timespec(), timespec())
        clock_gettime(CLOCK_REALTIME, &time)
        clock_gettime(CLOCK_MONOTONIC, &monotonic)
        return Moment(
            timeOfDay: NetworkTime(secondsSince1970: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec)),
            nanoseconds: UInt64(monotonic.tv_sec) * 1_000_000_000 + UInt64(monotonic.tv_nsec))
    }

    // MARK: - Registrations

    private mutating func handle(_ event: ForeignAgentEvent) throws {
        let now = Self.now()
        for action in agent.handle(event, at: now) {
            switch action {
            case .relay(let bytes, let source, let homeAgent):
                let socket = registrations.first { $0.value.address == source }
                count(socket?.value.send(bytes, to: homeAgent) == true, orElse: "request-not-sent")
            case .answer(let reply): count(link.send(reply), orElse: "reply-not-sent")
            case .advertise(let message, let destination):
                count(link.advertise(message, to: destination), orElse: "advertisement-not-sent")
            case .putVisitor(let visitor):
                visitors[visitor.homeAddress] = visitor
                attempt { (routes: inout VisitorRoutes) throws(RouteError) in try routes.put(visitor) }
                output.write(visitor)
            case .removeVisitor(let homeAddress):
                visitors[homeAddress] = nil
                attempt { (routes: inout VisitorRoutes) throws(RouteError) in try routes.remove(homeAddress) }
                output.write(
                    "visitor-gone", "visitor \(homeAddress) is gone", ["homeAddress": "\(homeAddress)"])
            case .count(let outcome): counters[outcome.name, default: 0] += 1
            case .log(let exception): output.write(exception, at: now)
            }
        }
    }

    private mutating func count(_ isDone: Bool, orElse name: String) {
        if !isDone { counters[name, default: 0] += 1 }
    }

    /// What the kernel refuses of one visitor is told, and does not end the others.
    private mutating func attempt(_ change: (inout VisitorRoutes) throws(RouteError) -> Void) {
        do throws(RouteError) {
            try change(&routes)
        } catch {
            counters["visitor-not-routed", default: 0] += 1
            output.write("error", "\(error)", ["reason": "\(error)"])
        }
    }

    // MARK: - Tunnels

    /// From home agents to visitors (RFC 5944, 4.2.2): what comes from a visitor's own home agent alone.
    private mutating func deliver(from tunnel: Boxed<TunnelSocket>) {
        for _ in 0..<Self.turn {
            guard let length = tunnel.value.receive(into: buffer) else { return }
            counters[deliver(length), default: 0] += 1
        }
    }

    /// Of a packet in the buffer.
    /// - Returns: the counter's name.
    private func deliver(_ length: Int) -> String {
        guard let outer = try? IPv4View(UnsafeRawBufferPointer(rebasing: buffer[..<length])),
            let inner = try? IPv4View(outer.payload)
        else { return "tunnel-malformed" }
        guard let visitor = visitors[inner.destination], visitor.homeAgent == outer.source,
            visitor.careOfAddress == outer.destination
        else { return "tunnel-no-visitor" }
        // RFC 6040, 4.2.
        guard let ecn = ECN.decapsulated(inner: inner.trafficClass.ecn, outer: outer.trafficClass.ecn) else {
            return "tunnel-congestion-unmarkable"
        }
        let start = buffer.baseAddress! + outer.headerLength
        IPv4Header.setTrafficClass(TrafficClass(dscp: inner.trafficClass.dscp, ecn: ecn), at: start)
        let (header, counter): (VirtioNetHeader, String)
        switch JoinedPacket(inner, mtu: mtu) {
        case .single: (header, counter) = (VirtioNetHeader(), "delivered")
        case .segments(let joined): (header, counter) = (joined, "delivered-joined")
        case .datagrams: return "tunnel-datagrams-joined"
        }
        // The outer header has made room for it.
        let first = start - VirtioNetHeader.length
        header.write(to: first)
        let written = VirtioNetHeader.length + inner.totalLength
        return write(device.descriptor, first, written) == written ? counter : "not-delivered"
    }

    /// From visitors to their home agents (RFC 3024, 5.1).
    private mutating func takeIntoTunnels() {
        for _ in 0..<Self.turn {
            let length = read(device.descriptor, buffer.baseAddress, buffer.count)
            guard length > VirtioNetHeader.length else { return }
            counters[takeIntoTunnel(length), default: 0] += 1
        }
    }

    /// Of a packet in the buffer, behind the device's header, which says nothing.
    /// - Returns: the counter's name.
    private func takeIntoTunnel(_ length: Int) -> String {
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[VirtioNetHeader.length..<length])
        guard let packet = try? IPv4View(bytes) else {
            return "reverse-malformed"
        }
        guard let visitor = visitors[packet.source], visitor.usesReverseTunnel,
            let tunnel = tunnels.first(where: { $0.value.careOfAddress == visitor.careOfAddress })
        else { return "reverse-no-visitor" }
        let whole = UnsafeRawBufferPointer(start: packet.start, count: packet.totalLength)
        let isSent = tunnel.value.send(whole, packet.trafficClass, to: visitor.homeAgent)
        return isSent ? "reverse-tunneled" : "reverse-not-sent"
    }
}
