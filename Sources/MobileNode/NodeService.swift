// The mobile node on a host: one task that takes what has come out of the inbox, tells it the state machine, and carries
// out its actions in their order. Nothing else touches the state. What can't be carried out because mooringd or its device
// is not there is made up for when it is there again; it is tried every second.

import Bindings
import ControlProtocol
import Glibc
import Logging
import MobileIP
import RouteNetlink
import ServiceProcess
import Wire

/// Why the service could not start.
public struct NodeServiceError: Error, CustomStringConvertible {
    /// What is wrong and what to do.
    public let description: String
    /// Whether it is that mooringd can't be reached.
    public let isForwarderUnreachable: Bool
}

/// A mobile node that runs.
public final class NodeService {
    private static let retryInterval: Duration = .seconds(1)

    let settings: NodeSettings
    let logger: Logger
    let inbox: Inbox
    var node: MobileNode
    var network: NodeNetwork
    var discovery: AgentDiscovery
    private let start = ContinuousClock.now
    private let desk: InquiryDesk

    var choice: CareOfAddressChoice?
    private var homeAgent: IPv4Address?
    private var socket: RegistrationSocket?
    private var forwarder: ForwarderLink?
    private var keepalives: KeepaliveSocket?
    private var tunnel: MobileNode.Tunnel?
    /// When to try again what could not be done; nil where all is done.
    private var retryAt: Duration?
    private var deadlineTask: Task<Void, Never>?
    private var droppedDatagrams = 0
    private var lastProblem = ""
    private var isFinished = false

    /// A service that does not run yet.
    public init(_ settings: NodeSettings, logger: Logger) throws(NodeServiceError) {
        self.settings = settings
        self.logger = logger
        inbox = Inbox()
        desk = InquiryDesk(settings.node, inbox: inbox)
        node = MobileNode(settings.node)
        discovery = AgentDiscovery(port: settings.node.port, inbox: inbox)
        do throws(RouteError) {
            network = try NodeNetwork(
                device: settings.homeDevice, table: RouteTable(rawValue: settings.table),
                tunnelMTU: settings.tunnelMTU ?? BindingLimits.tunnelMTU.lowerBound)
            try network.removeAll()
        } catch {
            throw NodeServiceError(description: "\(error)", isForwarderUnreachable: false)
        }
    }

    /// Has the node deregister and end; may be called from anywhere.
    public var stop: @Sendable () -> Void {
        { [inbox] in inbox.put { $0.isStopped = true } }
    }

    /// Runs until the node has stopped.
    /// - Parameter ready: is called when it listens and mooringd is connected.
    public func run(ready: () -> Void) async throws(NodeServiceError) {
        do throws(ControlClientError) {
            forwarder = try await ForwarderLink(to: settings.forwarder, inbox: inbox)
        } catch {
            throw NodeServiceError(description: "\(error)", isForwarderUnreachable: true)
        }
        let listener: LocalListener
        do throws(LocalSocketError) {
            listener = try LocalListener(path: settings.socket) { [desk] in desk.answer($0) }
        } catch {
            throw NodeServiceError(description: error.description, isForwarderUnreachable: false)
        }
        defer { listener.end() }
        try watchNetwork()
        for homeAgent in settings.node.homeAgents { exempt(homeAgent) }
        tellStatus()
        ready()
        inbox.put { $0.isNetworkChanged = true }
        for await _ in inbox.wakes {
            await take(inbox.take())
            if isFinished { break }
            tellStatus()
            setDeadline()
        }
        await end()
    }

    private func take(_ content: Inbox.Content) async {
        droppedDatagrams += content.droppedDatagrams
        if content.isForwarderLost { await loseForwarder() }
        if content.isNetworkChanged { await lookAtNetwork() }
        discovery.count(content.droppedAdvertisements)
        for heard in content.advertisements {
            guard let advertisement = discovery.read(heard) else { continue }
            await tell(.advertisementHeard(advertisement, from: heard.location))
        }
        if let prefixes = content.delegatedPrefixes { await tell(.delegatedPrefixesChanged(prefixes)) }
        for datagram in content.datagrams where discovery.admits(datagram) {
            await tell(.datagramReceived(datagram.payload, from: datagram.source, port: datagram.port))
        }
        for sequence in content.echoes { await tell(.keepaliveAnswered(sequence: sequence)) }
        if content.isStopped { await tell(.stopped) }
        if let deadline = node.deadline, deadline <= elapsed { await tell(.deadlineReached) }
        if let retryAt, retryAt <= elapsed { await retry() }
    }

    private var elapsed: Duration { start.duration(to: .now) }

    private var moment: MobileNode.Moment {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return MobileNode.Moment(
            elapsed: elapsed,
            timeOfDay: NetworkTime(secondsSince1970: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec)),
            random: .random(in: 0...UInt32.max))
    }

    func tell(_ event: MobileNode.Event) async {
        for action in node.handle(event, at: moment) { await perform(action) }
    }

    private func perform(_ action: MobileNode.Action) async {
        switch action {
        case .send(let datagram): await send(datagram)
        case .installTunnel(let tunnel):
            self.tunnel = tunnel
            exempt(tunnel.homeAgent)
            await putBinding()
        case .removeTunnel:
            tunnel = nil
            await keepalives?.close()
            keepalives = nil
            await putBinding()
        case .addAddress(let address):
            attempt("add \(address)") { network throws(RouteError) in try network.add(address) }
        case .removeAddress(let address):
            attempt("remove \(address)") { network throws(RouteError) in try network.remove(address) }
        case .addRoute(let route): attempt("add \(route)") { network throws(RouteError) in try network.add(route) }
        case .removeRoute(let route):
            attempt("remove \(route)") { network throws(RouteError) in try network.remove(route) }
        case .sendKeepalive(let sequence): await sendKeepalive(sequence)
        case .solicit(let interface): discovery.solicit(on: interface)
        case .report(let status):
            logger.debug("state", metadata: ["state": "\(status.phase.rawValue)"])
            // The way to another home agent may begin elsewhere.
            if status.homeAgent != homeAgent { inbox.put { $0.isNetworkChanged = true } }
            homeAgent = status.homeAgent
        case .log(let entry): logger.log(level: entry.level.logLevel, "\(entry)")
        case .finish: isFinished = true
        }
    }

    /// Runs what concerns the host's network; what fails is tried again.
    func attempt(_ doing: String, _ body: (inout NodeNetwork) throws(RouteError) -> Void) {
        do throws(RouteError) {
            try body(&network)
        } catch {
            complain("can't \(doing): \(error)")
            retryLater()
        }
    }

    /// Logs a problem, but not again and again while it lasts.
    func complain(_ problem: String) {
        if problem != lastProblem { logger.error("\(problem)") }
        lastProblem = problem
    }

    private func exempt(_ homeAgent: IPv4Address) {
        attempt("keep \(homeAgent) out of the tunnel") { network throws(RouteError) in try network.exempt(homeAgent) }
    }

    func retryLater() { retryAt = min(retryAt ?? .seconds(Int64.max), elapsed + Self.retryInterval) }

    private func send(_ datagram: MobileNode.Datagram) async {
        if let agent = datagram.linkLayerAddress {
            if !discovery.send(datagram, to: agent) {
                logger.warning("a request could not be sent to an agent", metadata: ["to": "\(datagram.destination)"])
            }
            return
        }
        discovery.forgetAsked()
        do {
            if socket?.address != datagram.source {
                await socket?.close()
                socket = nil
                socket = try await RegistrationSocket(
                    bindingTo: datagram.source, port: datagram.sourcePort, inbox: inbox)
            }
            try await socket?.send(datagram)
        } catch {
            // As if it were lost on its way: it is sent again in its time, from another socket, since NIO closes one that the
            // kernel refuses a datagram from, as it does where no route leads to the home agent for a moment.
            await socket?.close()
            socket = nil
            logger.warning(
                "a request could not be sent",
                metadata: ["from": "\(datagram.source)", "to": "\(datagram.destination)", "reason": "\(error)"])
        }
    }

    /// Makes mooringd's binding what the tunnel is.
    private func putBinding() async {
        guard let forwarder else { return retryLater() }
        do throws(ControlClientError) {
            guard let tunnel else { return try await forwarder.removeBinding() }
            // A second more than is left: what ends it is this program, in time.
            let remaining = tunnel.expiry.map { UInt32(clamping: max(($0 - elapsed).components.seconds, 0) + 1) }
            try await forwarder.put(Binding(tunnel, remaining: remaining, tunnelMTU: settings.tunnelMTU))
        } catch {
            complain("mooringd did not take the binding: \(error)")
            if case .refused = error { return retryLater() }
            await loseForwarder()
        }
    }

    private func sendKeepalive(_ sequence: UInt16) async {
        guard let tunnel else { return }
        do {
            if keepalives?.homeAddress != tunnel.homeAddress {
                await keepalives?.close()
                keepalives = nil
                keepalives = try await KeepaliveSocket(
                    homeAddress: tunnel.homeAddress, identifier: .random(in: 0...UInt16.max), inbox: inbox)
            }
            guard let keepalives, let forwarder else { return }
            try await forwarder.inject(keepalives.request(sequence: sequence, to: tunnel.homeAgent))
        } catch {
            logger.warning("a keepalive could not be sent", metadata: ["reason": "\(error)"])
        }
    }

    private func loseForwarder() async {
        guard let lost = forwarder else { return }
        forwarder = nil
        await lost.close()
        logger.error("the connection to mooringd has ended; trying every second to have it again")
        retryLater()
    }

    /// Makes up for what could not be done.
    private func retry() async {
        retryAt = nil
        if forwarder == nil {
            do throws(ControlClientError) {
                forwarder = try await ForwarderLink(to: settings.forwarder, inbox: inbox)
                logger.notice("mooringd is connected again")
            } catch {
                return retryLater()
            }
        }
        await lookAtNetwork()
        await putBinding()
        attempt("set up \(settings.homeDevice)") { network throws(RouteError) in try network.restore() }
        if retryAt == nil { lastProblem = "" }
    }

    // MARK: What others see

    private func tellStatus() {
        let report = StatusReport(
            node.status, discarded: node.discardCounts, droppedDatagrams: droppedDatagrams,
            isForwarderConnected: forwarder != nil, expiry: node.status.tunnel?.expiry.map { start + $0 },
            agents: node.heardAgents, start: start, discovery: discovery.counts)
        desk.show(report)
    }

    private func setDeadline() {
        deadlineTask?.cancel()
        guard let deadline = [node.deadline, retryAt].compactMap({ $0 }).min() else { return }
        let instant = start + deadline
        deadlineTask = Task { [inbox] in
            try? await Task.sleep(until: instant, clock: .continuous)
            if !Task.isCancelled { inbox.nudge() }
        }
    }

    private func end() async {
        deadlineTask?.cancel()
        await socket?.close()
        await keepalives?.close()
        attempt("remove the rules") { network throws(RouteError) in try network.removeAll() }
        await forwarder?.close()
    }
}

extension MobileNode.LogEntry.Level {
    fileprivate var logLevel: Logger.Level {
        switch self {
        case .notice: .notice
        case .warning: .warning
        case .securityException: .error
        }
    }
}
