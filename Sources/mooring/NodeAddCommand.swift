import ArgumentParser
import ConfigurationFile
import OperatorProtocol
import Wire

struct NodeAddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Serve another node.",
        discussion: """
            It is kept as a file of mooring-ha's nodes-directory. The key comes from a file that only its owner can \
            use, or from standard input, as openssl rand -hex 16 makes it.

            EXAMPLES:
              mooring node add 198.51.100.7 --spi 1000 --key-file mn1.key --prefix 2001:db8:1::/48
              openssl rand -hex 16 | tee mn2.key | mooring node add mn2@example.org --spi 1001 --key-file -
              mooring node add mn3@example.org --home-address 198.51.100.8 --spi 1002 --key-file mn3.key \\
                --policy delegated --prefix 2001:db8:2::/48,56-64 --network 10.1.0.0/16
            """)

    @OptionGroup var common: HomeAgentOptions

    @Argument(help: "By what it is known: its access identifier, or its home address.")
    var node: String

    @Option(
        help: ArgumentHelp(
            "The home address of a node that is known by an access identifier.",
            discussion: "Without it, the node gets one of a pool.", valueName: "ipv4-address"), transform: parseIPv4)
    var homeAddress: IPv4Address?

    @Option(help: ArgumentHelp("Its security parameter index, 256 to 4294967295.", valueName: "index"))
    var spi: UInt32

    @Option(help: ArgumentHelp("The file with its key; - is standard input.", valueName: "path"))
    var keyFile: String

    @Option(
        help: ArgumentHelp("hmac-md5 (by default), hmac-sha-256 or keyed-md5.", valueName: "algorithm"))
    var algorithm: String?

    @Option(help: ArgumentHelp("Protection from replays: timestamps (by default) or nonces.", valueName: "style"))
    var replay: String?

    @Option(help: ArgumentHelp("How far clocks may differ: 7 without it.", valueName: "seconds"))
    var tolerance: Int?

    @Option(help: ArgumentHelp("What it may do: a policy of the configuration.", valueName: "name"))
    var policy: String?

    @Option(
        name: .customLong("prefix"),
        help: ArgumentHelp(
            "An IPv6 prefix that it may register; may be given several times.",
            discussion: "With two lengths behind it, such as \",56-64\", prefixes within it from the shortest to the "
                + "longest.", valueName: "prefix[,lengths]"), transform: parsePermission)
    var prefixes: [NodeDefinition.Permission] = []

    @Option(
        name: .customLong("implicit-prefix"),
        help: ArgumentHelp(
            "An IPv6 prefix that each of its bindings has; may be given several times.", valueName: "prefix"))
    var implicitPrefixes: [String] = []

    @Option(
        name: .customLong("network"),
        help: ArgumentHelp(
            "An IPv4 network behind it that it may register; may be given several times.", valueName: "network"))
    var networks: [String] = []

    @Option(
        name: .customLong("implicit-network"),
        help: ArgumentHelp(
            "An IPv4 network that each of its bindings has; may be given several times.", valueName: "network"))
    var implicitNetworks: [String] = []

    func validate() throws {
        if homeAddress != nil, IPv4Address(node) != nil {
            throw ValidationError("--home-address stands beside an access identifier; \(node) is a home address")
        }
    }

    func run() throws {
        let report = try common.askForNode(OperatorRequest(.addNode, definition: definition()))
        if common.json { return Output.standard.json(report) }
        Output.standard.line("added \(report.node)")
    }

    private func definition() throws -> NodeDefinition {
        let key: [UInt8]
        do {
            key = keyFile == "-" ? try KeyFile.readStandardInput() : try KeyFile.read(keyFile)
        } catch {
            throw CommandFailure(.unusable, "\(error)")
        }
        var definition = NodeDefinition(securityParameterIndex: spi, key: KeyFile.digits(of: key))
        if IPv4Address(node) != nil {
            definition.homeAddress = node
        } else {
            definition.accessIdentifier = node
            definition.homeAddress = homeAddress?.description
        }
        definition.algorithm = algorithm
        definition.replay = replay
        definition.tolerance = tolerance
        definition.policy = policy
        definition.prefixes = prefixes
        definition.implicitPrefixes = implicitPrefixes
        definition.networks = networks
        definition.implicitNetworks = implicitNetworks
        return definition
    }

    private static func parsePermission(_ text: String) throws -> NodeDefinition.Permission {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard parts.count > 1 else { return NodeDefinition.Permission(within: text) }
        let lengths = parts[1].split(separator: "-", omittingEmptySubsequences: false).map { UInt8($0) }
        guard parts.count == 2, lengths.count == 2, let shortest = lengths[0], let longest = lengths[1] else {
            throw ValidationError(
                "\(text) is not a prefix with a shortest and a longest length, as 2001:db8::/32,56-64")
        }
        return NodeDefinition.Permission(within: parts[0], lengths: [shortest, longest])
    }
}
