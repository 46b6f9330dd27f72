import ArgumentParser
import OperatorProtocol

struct NodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "Show, add and remove the mobile nodes that mooring-ha serves.",
        discussion: """
            Nodes that are added are files of mooring-ha's nodes-directory, which stay over a restart. Others stand in \
            its configuration, which it reads anew at SIGHUP.
            """,
        subcommands: [NodeListCommand.self, NodeShowCommand.self, NodeAddCommand.self, NodeRemoveCommand.self])
}

extension HomeAgentOptions {
    /// Asks something that is answered with one node.
    func askForNode(_ request: OperatorRequest) throws -> NodeReport {
        guard let node = try ask(request).nodes?.first else {
            throw CommandFailure(.unreachable, "mooring-ha answered without a node")
        }
        return node
    }
}

struct NodeListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List all nodes.",
        discussion: """
            EXAMPLES:
              mooring node list
              mooring node list --json | jq -r '.nodes[] | select(.isRegistered | not) | .node'
            """)

    @OptionGroup var common: HomeAgentOptions

    func run() throws {
        if common.json {
            var list = JSONList("nodes")
            try common.list(.nodes, \.nodes) { list.add($0) }
            return list.end()
        }
        var table = Table([.left, .left, .left, .left])
        table.add(["NODE", "HOME ADDRESS", "SPI", "REGISTERED"])
        try common.list(.nodes, \.nodes) { node in
            table.add([
                node.node, node.homeAddress ?? "of a pool",
                node.associations.map { "\($0.securityParameterIndex)" }.joined(separator: ","),
                node.isRegistered ? "yes" : "no",
            ])
        }
        table.print(to: .standard)
    }
}

struct NodeShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show all of one node but its keys.",
        discussion: """
            EXAMPLES:
              mooring node show 198.51.100.7
              mooring node show mn1@example.org --json | jq -r '.prefixes[]'
            """)

    @OptionGroup var common: HomeAgentOptions

    @Argument(help: "The node's home address or access identifier.")
    var node: String

    func run() throws {
        let report = try common.askForNode(OperatorRequest(.node, node: node))
        if common.json { return Output.standard.json(report) }
        report.describe()
    }
}

extension NodeReport {
    func describe() {
        let output = Output.standard
        output.line("node \(node)")
        output.line("  home address: \(homeAddress ?? "of a pool")")
        for association in associations {
            let replay = association.replay + (association.tolerance.map { " within \($0) s" } ?? "")
            output.line("  SPI \(association.securityParameterIndex): \(association.algorithm), \(replay)")
        }
        if let policy { output.line("  policy: \(policy)") }
        for (name, values) in [
            ("prefix", prefixes), ("implicit prefix", implicitPrefixes), ("network", networks),
            ("implicit network", implicitNetworks),
        ] {
            for value in values { output.line("  \(name): \(value)") }
        }
        output.line("  registered: \(isRegistered ? "yes" : "no")")
        output.line("  stands in: \(file.map { "\($0) of nodes-directory" } ?? "the configuration")")
    }
}

struct NodeRemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Serve a node no more, and end its registration.",
        discussion: """
            Its file in mooring-ha's nodes-directory goes with it. A node of the configuration, or of a file with \
            others, is taken out there.

            EXAMPLES:
              mooring node remove 198.51.100.7
            """)

    @OptionGroup var common: HomeAgentOptions

    @Argument(help: "The node's home address or access identifier.")
    var node: String

    func run() throws {
        let report = try common.askForNode(OperatorRequest(.removeNode, node: node))
        if common.json { return Output.standard.json(report) }
        Output.standard.line("removed \(report.node)")
    }
}
