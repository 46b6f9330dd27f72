import ArgumentParser
import Bindings
import ControlProtocol

struct BindingLoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load", abstract: "Put all bindings of a file, and the groups that their nodes are members of.",
        discussion: """
            All of them or none, as long as they fit one request (4 MiB; some 50000 bindings); more are put in
            batches, each of which is all or nothing. Other bindings and memberships stay, unless --replace is given.
            Then a binding that is there as the file has it is not touched but for its lifetime, and in the end those
            of the same owner go that the file does not name. Where anything was refused, nothing goes.
            The file's endpoint and tunnelMTU count for those of its bindings that have none.

            EXAMPLES:
              mooring binding load bindings.json
              mooring binding load bindings.json --replace
              mooring binding load subscribers.json --replace --owner subscribers
              generate | mooring binding load -
            """)

    @OptionGroup var common: ClientOptions

    @Argument(help: "A binding file (JSON); - is standard input.", completion: .file(extensions: ["json"]))
    var file: String

    @Flag(
        help: ArgumentHelp(
            "Remove the owner's bindings that are not in the file, and end memberships of the file's that it has not."))
    var replace = false

    @OptionGroup var ownership: OwnerOptions

    func run() async throws {
        let contents: BindingFile
        do throws(BindingError) {
            contents = try BindingFile(contentsOf: file == "-" ? "/dev/stdin" : file)
        } catch {
            throw CommandFailure(.unusable, "\(error)")
        }
        let joining = contents.groups.map { ControlGroup($0.group, members: $0.members) }
        let client = try await common.connect(owner: ownership.owner)
        let leaving = replace ? try await leftovers(of: client, comparedTo: contents) : []
        let changed = try await load(contents, leaving: leaving, joining: joining, client)
        await client.close()
        let hasGroups = !joining.isEmpty || !leaving.isEmpty
        if common.json {
            Output.standard.json(ChangeReport(changed, hasGroups: hasGroups, hasKept: replace))
        } else {
            Output.standard.line(
                "\(countText(contents.bindings.count, "binding")): \(changed.added) added, \(changed.replaced) replaced"
                    + (replace ? ", \(changed.kept) kept" : "") + "; \(changed.removed) removed"
                    + (hasGroups ? "; groups: \(changed.joined) joined, \(changed.left) left" : ""))
        }
    }

    /// Memberships of the file's bindings that it does not name; others go with their bindings.
    private func leftovers(
        of client: ControlClient, comparedTo file: BindingFile
    ) async throws -> [ControlGroup] {
        let kept = Set(file.bindings.map(\.id))
        let members = Dictionary(uniqueKeysWithValues: file.groups.map { ($0.group.networkOrder, Set($0.members)) })
        var memberships: [ControlGroup] = []
        for try await var group in client.groups() {
            group.members = group.members.filter { kept.contains($0) && members[group.group]?.contains($0) != true }
            if !group.members.isEmpty { memberships.append(group) }
        }
        return memberships
    }

    private func load(
        _ file: BindingFile, leaving: [ControlGroup], joining: [ControlGroup], _ client: ControlClient
    ) async throws -> ControlBindingsChanged {
        let bindings = file.resolvedBindings
        let display = ProgressLine(shows: !common.json)
        defer { display.clear() }
        var last: ControlClient.LoadProgress?
        do throws(ControlClientError) {
            return try await client.load(
                bindings, leaving: leaving, joining: joining, replacing: replace
            ) { progress in
                last = progress
                display.show("\(progress.bindingsDone) of \(progress.bindings) bindings")
            }
        } catch {
            display.clear()
            throw CommandFailure(ExitStatus(error), explain(error, bindings, last))
        }
    }

    /// Names the first binding that was refused by its place in the file, and says what is in effect.
    private func explain(
        _ error: ControlClientError, _ bindings: [Binding], _ last: ControlClient.LoadProgress?
    ) -> String {
        var text = "\(error)"
        if case .refused(let refusal) = error, !refusal.binding.isEmpty,
            let index = bindings.firstIndex(where: { $0.id == refusal.binding })
        {
            text = "binding \(refusal.binding), bindings[\(index)] of \(file): \(text)"
        }
        guard let last, last.bindingsDone > 0 else { return text }
        let done = last.changed.added + last.changed.replaced + last.changed.kept
        return text + "; \(done) of \(last.bindings) bindings are in effect"
            + (replace ? ", and nothing was removed" : "")
    }
}
