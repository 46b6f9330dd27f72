// What operators ask: registrations, nodes, counters, and the end of a registration.

import ControlProtocol
import Glibc
import MobileIP
import OperatorProtocol
import Wire

extension HomeAgentService {
    /// Entries of a page; of nodes without a registration as many are passed over.
    private static let pageSize = 256

    /// Answers a question. A revocation is answered when it is stored and carried out.
    func answer(_ request: OperatorRequest, _ reply: @escaping (OperatorReply) -> Void) {
        switch request.request {
        case .status: reply(status())
        case .counters:
            var answer = OperatorReply()
            answer.counters = counters.all
            reply(answer)
        case .registrations: reply(registrations(from: max(request.position ?? 0, 0)))
        case .nodes: reply(nodePage(from: max(request.position ?? 0, 0)))
        case .registration: reply(registration(request.node ?? "").answer)
        case .revoke: revoke(request.node ?? "", reply)
        case .node: reply(node(request.node ?? ""))
        case .addNode:
            guard let definition = request.definition else { return reply(OperatorReply(error: "no node is named")) }
            add(definition, reply)
        case .removeNode: remove(request.node ?? "", reply)
        }
    }

    /// Datagrams for these come from the forwarder.
    var addressesToHear: [IPv4Address] { settings.listen == .forwarder ? settings.homeAgent.addresses : [] }

    private func status() -> OperatorReply {
        let unheard = dataplane.unheardAddresses
        var reply = OperatorReply()
        let forwarder = dataplane.isSynchronized ? "synchronized" : dataplane.isConnected ? "connected" : "absent"
        reply.status = StatusReport(
            version: mooringVersion, processID: getpid(),
            uptime: (Moment.now.nanoseconds - startTime) / 1_000_000_000,
            addresses: settings.homeAgent.addresses.map(\.description), listen: settings.listen.rawValue,
            nodes: nodes.count, bindings: agent.bindingCount, bindingLimit: settings.homeAgent.limits.bindings,
            forwarderSocket: settings.forwarderSocket, forwarder: forwarder,
            forwarderReason: dataplane.isConnected ? nil : dataplane.reason,
            unheardAddresses: unheard.isEmpty ? nil : unheard.map(\.description), database: settings.database,
            storeFailure: store.failure?.description, routeDevice: settings.routes?.device,
            memberships: multicast?.membershipCount,
            membershipLimit: multicast?.limit)
        return reply
    }

    private func registrations(from position: Int) -> OperatorReply {
        let now = Moment.now
        let page = agent.records(from: position, limit: Self.pageSize, at: now)
        var reply = OperatorReply()
        reply.registrations = page.records.compactMap { report($0, now) }
        reply.next = page.next
        return reply
    }

    /// In the order of their identities' texts, which is not kept: a page costs what all nodes do, so they are sorted
    /// once a list.
    private func nodePage(from position: Int) -> OperatorReply {
        if position == 0 || nodeList.isEmpty { nodeList = nodes.keys.sorted { $0.description < $1.description } }
        let end = min(position + Self.pageSize, nodeList.count)
        var reply = OperatorReply()
        reply.nodes = []
        guard position < end else { return reply }
        for identity in nodeList[position..<end] {
            guard let node = nodes[identity] else { continue }
            reply.nodes?.append(report(node))
        }
        if end < nodeList.count { reply.next = end } else { nodeList = [] }
        return reply
    }

    private enum Found {
        case registration(NodeIdentity, RegistrationReport)
        case nothing(String)

        var answer: OperatorReply {
            switch self {
            case .registration(_, let report):
                var reply = OperatorReply()
                reply.registrations = [report]
                return reply
            case .nothing(let reason): return OperatorReply(error: reason, .absent)
            }
        }
    }

    /// Of a node by its home address, which may be of a pool, or its access identifier; nil where nothing is named so.
    func identity(named name: String) -> NodeIdentity? {
        IPv4Address(name).flatMap { agent.identity(of: $0) }
            ?? NetworkAccessIdentifier(name).map { NodeIdentity.accessIdentifier($0) }
    }

    private func registration(_ name: String) -> Found {
        let now = Moment.now
        guard let identity = identity(named: name), let record = agent.registration(of: identity, at: now) else {
            return .nothing("there is no node \(name)")
        }
        guard let report = report(record, now) else { return .nothing("\(name) is not registered") }
        return .registration(identity, report)
    }

    /// Nil where there is no binding.
    private func report(_ record: StoredRegistration, _ now: Moment) -> RegistrationReport? {
        guard var report = RegistrationReport(record, at: now), let binding = record.binding else { return nil }
        report.groups = multicast?.groups(of: binding.homeAddress).map {
            .init(group: $0.group.description, remaining: $0.remaining, version: $0.version)
        }
        return report
    }

    private func revoke(_ name: String, _ reply: @escaping (OperatorReply) -> Void) {
        let found = registration(name)
        guard case .registration(let identity, _) = found else { return reply(found.answer) }
        logger.notice("registration revoked by an operator", metadata: ["node": "\(identity)"])
        take(.revoked(identity)) { reply(found.answer) }
    }
}

extension RegistrationReport {
    /// Nil where there is no binding.
    fileprivate init?(_ record: StoredRegistration, at now: Moment) {
        guard let binding = record.binding else { return nil }
        var key: UInt32?
        let encapsulation: String
        switch binding.tunnel.encapsulation {
        case .ipInIP: encapsulation = "ip-in-ip"
        case .gre(let greKey): (encapsulation, key) = ("gre", greKey)
        case .minimal: encapsulation = "minimal"
        }
        self.init(
            node: record.identity.description, homeAddress: binding.homeAddress.description,
            careOfAddress: binding.careOfAddress.description, endpoint: binding.tunnel.endpoint.description,
            tunnelEnd: binding.tunnel.careOfAddress.description, encapsulation: encapsulation, greKey: key,
            udpPort: binding.tunnel.udpPort, hasReverseTunnel: binding.reverseTunnel,
            prefixes: binding.prefixes.map {
                Prefix(
                    prefix: $0.prefix.description, tunnel: $0.usesCareOfAddress ? "care-of" : "home-address",
                    isImplicit: $0.isImplicit)
            },
            lifetime: record.expiry.map { UInt64(max($0.units(since: now.timeOfDay), 0)) >> 32 },
            revocation: binding.revocation.map { $0.isForeignAgent ? "foreign-agent" : "node" })
    }
}
