import ArgumentParser
import Bindings
import ControlProtocol

struct BindingLoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Put all bindings of a file, and the groups that their nodes are members of.",
        discussion: """
            All of them or none, as long as they fit one request (4 MiB; some 50000 bindings); more are put in
            batches, each of which is all or nothing. Other bindings and memberships stay, unless --replace is given.
            The file's endpoint and tunnelMTU count for those of its bindings that have none.

            EXAMPLES:
              mooring binding load bindings.json
              mooring binding load bindings.json --replace
              generate | mooring binding load -
            """)

    @OptionGroup var common: ClientOptions

    @Argument(help: "A binding file (JSON); - is standard input.", completion: .file(extensions: ["json"]))
    var file: String

    @Flag(help: "Remove the bindings and end the memberships that are not in the file.")
    var replace = false

    func run() async throws {
        let contents: BindingFile
        do throws(BindingError) {
            contents = try BindingFile(contentsOf: file == "-" ? "/dev/stdin" : file)
        } catch {
            throw CommandFailure(.unusable, "\(error)")
        }
        let bindings = contents.resolvedBindings
        let joining = contents.groups.map { ControlGroup($0.group, members: $0.members) }
        let client = try await common.connect()
        let old = replace ? try await Leftovers(of: client, comparedTo: contents) : Leftovers()
        let changed = try await load(bindings, joining: joining, removing: old, client)
        await client.close()
        let hasGroups = !joining.isEmpty || !old.memberships.isEmpty
        if common.json {
            Output.standard.json(ChangeReport(changed, hasGroups: hasGroups))
        } else {
            Output.standard.line(
                "\(countText(bindings.count, "binding")): \(changed.added) added, \(changed.replaced) replaced; "
                    + "\(changed.removed) removed"
                    + (hasGroups ? "; groups: \(changed.joined) joined, \(changed.left) left" : ""))
        }
    }

    /// What is there and not in a file.
    private struct Leftovers {
        var ids: [String] = []
        var memberships: [ControlGroup] = []

        init() {}

        init(of client: ControlClient, comparedTo file: BindingFile) async throws {
            let kept = Set(file.bindings.map(\.id))
            for try await state in client.bindings() where !kept.contains(state.binding.id) {
                ids.append(state.binding.id)
            }
            let members = Dictionary(uniqueKeysWithValues: file.groups.map { ($0.group.networkOrder, Set($0.members)) })
            for try await var group in client.groups() {
                // Other memberships go with their bindings.
                group.members = group.members.filter { kept.contains($0) && members[group.group]?.contains($0) != true }
                if !group.members.isEmpty { memberships.append(group) }
            }
        }
    }

    private func load(
        _ bindings: [Binding], joining: [ControlGroup], removing old: Leftovers, _ client: ControlClient
    ) async throws -> ControlBindingsChanged {
        var last: ControlClient.LoadProgress?
        do throws(ControlClientError) {
            return try await client.load(
                bindings, removing: old.ids, leaving: old.memberships, joining: joining
            ) { progress in
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
