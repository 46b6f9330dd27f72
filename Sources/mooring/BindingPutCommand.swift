import ArgumentParser
import Bindings
import ControlProtocol

struct BindingPutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put", abstract: "Put a binding, or change one.",
        discussion: """
            Replaces the binding with that id: what is not named takes its default. With --update only what is named
            changes, and the lifetime runs on; another's change at the same time is not undone.

            EXAMPLES:
              mooring binding put mn1 --care-of 203.0.113.9 --prefix 2001:db8:1::/64
              mooring binding put mn1 --update --care-of 198.51.100.20
              mooring binding put mn2 --care-of 203.0.113.10 --home-address 198.51.100.7 \\
                --prefix 2001:db8:2::/64,home-address --encapsulation gre --gre-key 7 --lifetime 600
              mooring binding put mn2 --update --lifetime forever --gre-key none
            """)

    @OptionGroup var common: ClientOptions

    @Argument(help: "The binding's id: 1 to 128 printable ASCII characters, no space.")
    var id: String

    @Flag(help: "Change only what is named, of a binding that is there.")
    var update = false

    @OptionGroup var ownership: OwnerOptions

    @OptionGroup(title: "THE BINDING") var options: BindingOptions

    func validate() throws {
        if !update, options.careOf == nil { throw ValidationError("--care-of is missing (or --update)") }
        if update, !options.isAnythingNamed { throw ValidationError("--update changes nothing without what to change") }
    }

    func run() async throws {
        let changed = try await put()
        if common.json {
            Output.standard.json(ChangeReport(changed))
        } else {
            Output.standard.line(changed.added > 0 ? "added \(id)" : "replaced \(id)")
        }
    }

    private func applyOptions(to binding: inout Binding) throws(CommandFailure) {
        do {
            try options.apply(to: &binding)
        } catch {
            throw CommandFailure(.unusable, "\(error)")
        }
    }

    private func put() async throws -> ControlBindingsChanged {
        guard update else {
            // Checked before the daemon is asked: what is wrong here is wrong without one, too.
            var binding = Binding(id: id, careOfAddress: options.careOf ?? .unspecified)
            try applyOptions(to: &binding)
            let client = try await common.connect(owner: ownership.owner)
            let changed = try await client.put([binding])
            await client.close()
            return changed
        }
        let client = try await common.connect(owner: ownership.owner)
        guard try await client.update(id, applyOptions) != nil else {
            throw CommandFailure(.no, "\(id) is not bound; without --update it is put anew")
        }
        await client.close()
        var changed = ControlBindingsChanged()
        changed.replaced = 1
        return changed
    }
}
