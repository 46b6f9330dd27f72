import ArgumentParser
import Bindings
import ControlProtocol

struct BindingLoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Put all bindings of a file.",
        discussion: """
            All of them or none, as long as they fit one request (4 MiB; some 50000 bindings); more are put in
            batches, each of which is all or nothing. Other bindings stay, unless --replace is given.
            The file's endpoint and tunnelMTU count for those of its bindings that have none.

            EXAMPLES:
              mooring binding load bindings.json
              mooring binding load bindings.json --replace
              generate | mooring binding load -
            """)

    @OptionGroup var common: ClientOptions

    @Argument(help: "A binding file (JSON); - is standard input.", completion: .file(extensions: ["json"]))
    var file: String

    @Flag(help: "Remove the bindings that are not in the file.")
    var replace = false

    func run() async throws {
        let bindings: [Binding]
        do throws(BindingError) {
            let contents = try BindingFile(contentsOf: file == "-" ? "/dev/stdin" : file)
            try contents.refuseGroups(at: file)
            bindings = contents.resolvedBindings
        } catch {
            throw CommandFailure(.unusable, "\(error)")
        }
        let client = try await common.connect()
        var removedIDs: [String] = []
        if replace {
            let kept = Set(bindings.map(\.id))
            for try await state in client.bindings() where !kept.contains(state.binding.id) {
                removedIDs.append(state.binding.id)
            }
        }
        let changed = try await load(bindings, removing: removedIDs, client)
        await client.close()
        if common.json {
            Output.standard.json(ChangeReport(changed))
        } else {
            Output.standard.line(
                "\(countText(bindings.count, "binding")): \(changed.added) added, \(changed.replaced) replaced; "
                    + "\(changed.removed) removed")
        }
    }

    private func load(
        _ bindings: [Binding], removing removedIDs: [String], _ client: ControlClient
    ) async throws -> ControlBindingsChanged {
        var last: ControlClient.LoadProgress?
        do throws(ControlClientError) {
            return try await client.load(bindings, removing: removedIDs) { progress in
                last = progress
                if progress.batches > 1, !common.json {
                    let put = progress.changed.added + progress.changed.replaced
                    Output.error.line(
                        "batch \(progress.batchesDone) of \(progress.batches): \(put) of \(bindings.count) bindings")
                }
            }
        } catch {
            guard let last else { throw error }
            throw CommandFailure(
                ExitStatus(error),
                "batch \(last.batchesDone + 1) of \(last.batches) failed, those before it are in effect: \(error)")
        }
    }
}
