// Nodes that operators add and remove while the home agent runs, and files that are read anew. A node is kept in the
// directory of nodes before anybody is told; what files are read, written and taken is one order (FileWork).

import Bindings
import MobileIP
import OperatorProtocol
import Wire

extension HomeAgentService {
    // MARK: - Files

    /// Reads the configuration and what it names anew, and takes it, all or nothing.
    func reload(_ path: String) {
        // One that has not begun reads what is there when it does.
        guard !isReloadWaiting else { return }
        isReloadWaiting = true
        files.inTurn { [self] done in
            isReloadWaiting = false
            files.run { () throws(StrictJSON.Failure) in
                try HomeAgentFiles(contentsOf: path)
            } _: { [self] result in
                switch result {
                case .success(let files): change(to: files)
                case .failure(let error):
                    logger.error("configuration not changed", metadata: ["reason": "\(error)"])
                }
                done()
            }
        }
    }

    // MARK: - Nodes

    /// A node with all that is known of it.
    func node(_ name: String) -> OperatorReply {
        guard let node = identity(named: name).flatMap({ nodes[$0] }) else { return Self.unknown(name) }
        return Self.reply(report(node))
    }

    /// Serves another node, and answers when it is kept and served.
    func add(_ definition: NodeDefinition, _ reply: @escaping (OperatorReply) -> Void) {
        inTurn(reply) { [self] in addInTurn(definition, $0) }
    }

    private func inTurn(
        _ reply: @escaping (OperatorReply) -> Void, _ change: @escaping (@escaping (OperatorReply) -> Void) -> Void
    ) {
        guard !files.isFull else {
            return reply(OperatorReply(error: "\(FileWork.limit) changes of nodes wait already; try again", .refused))
        }
        files.inTurn { done in
            change {
                reply($0)
                done()
            }
        }
    }

    private func addInTurn(_ definition: NodeDefinition, _ turn: @escaping (OperatorReply) -> Void) {
        guard let directory else {
            return turn(
                OperatorReply(
                    error: "there is nowhere to keep a node: name a directory by nodes-directory in the configuration "
                        + "of mooring-ha, and send it SIGHUP", .refused))
        }
        files.run { [policies] () throws(StrictJSON.Failure) in
            try directory.draft(definition, policies)
        } _: { [self] result in
            switch result {
            case .failure(let error): turn(OperatorReply(error, directory))
            case .success(let node):
                if let obstacle = obstacle(to: node) {
                    return files.run {
                        directory.discard()
                    } _: { _ in
                        turn(obstacle)
                    }
                }
                keep(node, in: directory, turn)
            }
        }
    }

    private func keep(_ node: ServedNode, in directory: NodeDirectory, _ turn: @escaping (OperatorReply) -> Void) {
        files.run { () throws(StrictJSON.Failure) in
            try directory.keep(as: node.identity)
        } _: { [self] result in
            switch result {
            case .failure(let error): turn(OperatorReply(error, directory))
            case .success(let name):
                // A node of a pool may have got the address in between.
                if let obstacle = obstacle(to: node) {
                    return files.run {
                        try? directory.remove(name)
                    } _: { _ in
                        turn(obstacle)
                    }
                }
                nodes[node.identity] = node
                ownFiles[node.identity] = name
                logger.notice("node added by an operator", metadata: ["node": "\(node.identity)"])
                take(.nodesChanged(put: [node], removed: [])) { [self] in turn(Self.reply(report(node))) }
            }
        }
    }

    /// Why a node can't be served beside the others; nil where it can.
    private func obstacle(to node: ServedNode) -> OperatorReply? {
        let reason: String
        if nodes[node.identity] != nil {
            reason = "\(node.identity) is served already"
        } else if let address = node.homeAddress, settings.homeAgent.addresses.contains(address) {
            reason = "\(address) is an address of the home agent itself"
        } else if let obstacle = (node.networks + node.implicitNetworks).lazy.compactMap({ [settings] in
            $0.mobileNetworkObstacle(homeAddress: node.homeAddress, homeAgents: settings.homeAgent.addresses)
        }).first {
            reason = obstacle
        } else if let address = node.homeAddress, let other = agent.identity(of: address) {
            reason = "\(address) is the home address of \(other) already"
        } else if node.homeAddress == nil, !mayGetHomeAddress {
            reason =
                "\(node.identity) has no home address, and there is no pool to get one of: give it one, or name "
                + "home-address-pools in the configuration of mooring-ha"
        } else if let overlap = overlap(withImplicitPrefixesOf: node) {
            reason = overlap
        } else if nodes.count >= settings.homeAgent.limits.nodes {
            reason = "there are \(nodes.count) nodes already, as many as limits.nodes of mooring-ha allows"
        } else {
            return nil
        }
        return OperatorReply(error: reason, .refused)
    }

    /// Whether a node without a home address of its own can be served: here, or where it is sent.
    private var mayGetHomeAddress: Bool {
        if case .redirected = settings.homeAgent.dynamicHomeAgent { return true }
        return !settings.homeAgent.homeAddressPools.isEmpty
    }

    /// As `NodeReader` refuses it; one pass over all nodes.
    private func overlap(withImplicitPrefixesOf node: ServedNode) -> String? {
        if node.implicitPrefixes.isEmpty { return nil }
        for other in nodes.values {
            for prefix in other.implicitPrefixes {
                guard let own = node.implicitPrefixes.first(where: { $0.overlaps(prefix) }) else { continue }
                return "the implicit prefix \(own) overlaps \(prefix) of node \(other.identity)"
            }
        }
        return nil
    }

    /// Serves a node no more, and answers when its registration has ended.
    func remove(_ name: String, _ reply: @escaping (OperatorReply) -> Void) {
        inTurn(reply) { [self] in removeInTurn(name, $0) }
    }

    private func removeInTurn(_ name: String, _ turn: @escaping (OperatorReply) -> Void) {
        guard let identity = identity(named: name), let node = nodes[identity] else { return turn(Self.unknown(name)) }
        guard let directory, let file = ownFiles[identity] else {
            return turn(
                OperatorReply(
                    error: "\(identity) stands in the configuration of mooring-ha, or in a file with other nodes; take "
                        + "it out there, and send mooring-ha SIGHUP", .refused))
        }
        let report = report(node)
        files.run { [policies] () throws(StrictJSON.Failure) in
            try directory.checkAlone(identity, in: file, policies)
            try directory.remove(file)
        } _: { [self] result in
            if case .failure(let error) = result { return turn(OperatorReply(error, directory)) }
            nodes[identity] = nil
            ownFiles[identity] = nil
            logger.notice("node removed by an operator", metadata: ["node": "\(identity)"])
            take(.nodesChanged(put: [], removed: [identity])) { turn(Self.reply(report)) }
        }
    }

    // MARK: - Answers

    func report(_ node: ServedNode) -> NodeReport {
        NodeReport(
            node: node.identity.description, homeAddress: node.homeAddress?.description,
            associations: node.associations.map { NodeReport.Association($0) }, policy: name(of: node.policy),
            prefixes: node.prefixes.map(\.text), implicitPrefixes: node.implicitPrefixes.map(\.description),
            networks: node.networks.map(\.description), implicitNetworks: node.implicitNetworks.map(\.description),
            isRegistered: agent.registration(of: node.identity, at: .now)?.binding != nil,
            file: ownFiles[node.identity])
    }

    /// Of those that say the same, the default one or else the first.
    private func name(of policy: NodePolicy) -> String? {
        policies["default"] == policy ? "default" : policies.filter { $0.value == policy }.keys.min()
    }

    private static func reply(_ node: NodeReport) -> OperatorReply {
        var reply = OperatorReply()
        reply.nodes = [node]
        return reply
    }

    private static func unknown(_ name: String) -> OperatorReply {
        OperatorReply(error: "there is no node \(name)", .absent)
    }
}

extension OperatorReply {
    /// What is wrong with a definition has a place in it; what is wrong with a file has its path.
    fileprivate init(_ error: StrictJSON.Failure, _ directory: NodeDirectory) {
        self.init(error: "\(error)", error.place.hasPrefix(directory.path) ? .refused : .unusable)
    }
}

extension NodeReport.Association {
    fileprivate init(_ association: SecurityAssociation) {
        var tolerance: Int64?
        if case .timestamps(let duration) = association.replayProtection { tolerance = duration.components.seconds }
        self.init(
            securityParameterIndex: association.securityParameterIndex, algorithm: association.algorithm.rawValue,
            replay: tolerance == nil ? "nonces" : "timestamps", tolerance: tolerance)
    }
}

extension PrefixPermission {
    fileprivate var text: String {
        lengths == range.length...range.length
            ? range.description : "\(range),\(lengths.lowerBound)-\(lengths.upperBound)"
    }
}
