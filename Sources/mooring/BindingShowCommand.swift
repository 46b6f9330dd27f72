import ArgumentParser
import Bindings
import ControlProtocol

struct BindingShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show all of one binding.",
        discussion: """
            EXAMPLES:
              mooring binding show mn1
              mooring binding show mn1 --json | jq -r .careOfAddress
            """)

    @OptionGroup var common: ClientOptions

    @Argument(help: "The binding's id.")
    var id: String

    func run() async throws {
        let client = try await common.connect()
        let state = try await client.binding(id)
        await client.close()
        guard let state else { throw CommandFailure(.no, "\(id) is not bound") }
        if common.json {
            Output.standard.json(try BindingReport(state))
        } else {
            describe(try Binding(state.binding), state)
        }
    }

    private func describe(_ binding: Binding, _ state: ControlBindingState) {
        let output = Output.standard
        output.line("binding \(binding.id)")
        if binding.role == .mobileNode {
            output.line("  role: mobile node")
            output.line("  home agent: \(binding.careOfAddress)")
        } else {
            output.line("  care-of address: \(binding.careOfAddress)")
        }
        output.line("  home address: \(binding.homeAddress?.description ?? "none")")
        output.line("  endpoint: \(binding.endpoint?.description ?? "the daemon's")")
        output.line("  encapsulation: \(binding.encapsulation.rawValue)\(options(of: binding))")
        for bound in binding.prefixes { output.line("  prefix: \(bound.prefix) by \(bound.tunnel.rawValue)") }
        for network in binding.networks { output.line("  network: \(network)") }
        let defaultMTU = binding.mtuDiscovery ? "1480 bytes" : "the daemon's"
        output.line(
            "  tunnel MTU: \(binding.tunnelMTU.map { "\($0) bytes" } ?? defaultMTU)"
                + (binding.mtuDiscovery ? ", or what the path says" : ""))
        output.line("  dscp: \(binding.dscp.rawValue)")
        output.line("  ecn: \(binding.ecn.rawValue)")
        output.line("  lifetime: \(binding.lifetime.map { durationText(seconds: UInt64($0)) + " left" } ?? "for ever")")
        if !state.owner.isEmpty { output.line("  owner: \(state.owner)") }
        output.line("  to node: \(state.toNode.text)")
        output.line("  from node: \(state.fromNode.text)")
    }

    private func options(of binding: Binding) -> String {
        var options: [String] = []
        if let key = binding.gre?.key { options.append("key \(key)") }
        if binding.gre?.sequence == true { options.append("sequence numbers") }
        if binding.gre?.checksum == true { options.append("checksums") }
        if let port = binding.udpPort { options.append("port \(port)") }
        if binding.udpEncapsulation != .ipInIP { options.append("\(binding.udpEncapsulation.rawValue) inside") }
        return options.isEmpty ? "" : " (\(options.joined(separator: ", ")))"
    }
}
