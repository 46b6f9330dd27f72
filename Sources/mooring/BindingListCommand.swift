import ArgumentParser
import Bindings
import ControlProtocol

struct BindingListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List all bindings in the order of their ids.",
        discussion: """
            EXAMPLES:
              mooring binding list
              mooring binding list --json | jq -r '.bindings[].id'
            """)

    /// Rows that are aligned with each other before they are printed.
    private static let rowsPerPart = 1000

    @OptionGroup var common: ClientOptions

    func run() async throws {
        let client = try await common.connect()
        if common.json {
            try await listJSON(client)
        } else {
            try await listTable(client)
        }
        await client.close()
    }

    private func listJSON(_ client: ControlClient) async throws {
        var list = JSONList("bindings")
        for try await state in client.bindings() { list.add(try BindingReport(state)) }
        list.end()
    }

    private func listTable(_ client: ControlClient) async throws {
        var table = Table([.left, .left, .left, .right, .right, .right])
        table.add(["ID", "CARE-OF", "PREFIXES", "LIFETIME", "TO NODE", "FROM NODE"])
        var rows = 0
        for try await state in client.bindings() {
            table.add(try Self.row(state))
            rows += 1
            if rows % Self.rowsPerPart == 0 { table.print(to: .standard) }
        }
        if rows == 0 {
            Output.error.line("no bindings")
        } else {
            table.print(to: .standard)
        }
    }

    private static func row(_ state: ControlBindingState) throws -> [String] {
        let binding = try Binding(state.binding)
        let all = binding.prefixes.count + binding.networks.count
        let first = binding.prefixes.first.map { "\($0.prefix)" } ?? binding.networks.first.map { "\($0)" }
        let prefixes = (first ?? "none") + (all > 1 ? " and \(all - 1) more" : "")
        return [
            binding.id, binding.careOfAddress.description, prefixes,
            binding.lifetime.map { shortDurationText(seconds: UInt64($0)) } ?? "for ever",
            bytesText(state.toNode.bytes), bytesText(state.fromNode.bytes),
        ]
    }
}
