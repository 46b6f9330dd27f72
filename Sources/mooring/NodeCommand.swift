import ArgumentParser
import OperatorProtocol

struct NodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "Show the mobile nodes that mooring-ha serves.",
        discussion: "Nodes are added and removed in its files, which it reads anew at SIGHUP.",
        subcommands: [NodeListCommand.self])
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
                node.securityParameterIndexes.map(String.init).joined(separator: ","), node.isRegistered ? "yes" : "no",
            ])
        }
        table.print(to: .standard)
    }
}
