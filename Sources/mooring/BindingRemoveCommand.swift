import ArgumentParser
import ControlProtocol

struct BindingRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove bindings.",
        discussion: """
            Those that are not bound are named, and make the exit status 1; the others are removed all the same.

            EXAMPLES:
              mooring binding remove mn1 mn2
            """)

    @OptionGroup var common: ClientOptions

    @Argument(help: "The bindings' ids.")
    var ids: [String]

    private struct Report: Encodable {
        var removed: [String] = []
        var notFound: [String] = []
    }

    func run() async throws {
        let client = try await common.connect()
        var report = Report()
        // One at a time, since a reply only counts the ids that were not bound.
        for id in ids {
            if try await client.remove([id]).removed > 0 {
                report.removed.append(id)
                if !common.json { Output.standard.line("removed \(id)") }
            } else {
                report.notFound.append(id)
            }
        }
        await client.close()
        if common.json { Output.standard.json(report) }
        if !report.notFound.isEmpty {
            throw CommandFailure(.no, "not bound: \(report.notFound.joined(separator: ", "))")
        }
    }
}
