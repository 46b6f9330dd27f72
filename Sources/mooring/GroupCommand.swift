import ArgumentParser
import Bindings
import ControlProtocol
import Wire

struct GroupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group", abstract: "Show and change which nodes get what is sent to a multicast group.",
        discussion: """
            EXAMPLES:
              mooring group list
              mooring group join ff3e::1234 mn1 mn2
            """,
        subcommands: [GroupJoinCommand.self, GroupLeaveCommand.self, GroupListCommand.self])

    /// A group from the command line.
    static func parse(_ text: String) throws -> IPv6Address {
        guard let address = IPv6Address(text), Binding.isGroup(address) else {
            throw ValidationError("it is no IPv6 multicast address whose scope is at least that of a link (ff02::/16)")
        }
        return address
    }
}

struct GroupJoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join", abstract: "Make nodes members of a group.",
        discussion: """
            All of them or none; those that are members stay it. A membership goes with its binding.

            EXAMPLES:
              mooring group join ff3e::1234 mn1 mn2
            """)

    private struct Report: Encodable {
        let joined: UInt32
        let unchanged: UInt32
    }

    @OptionGroup var common: ClientOptions

    @Argument(help: "The group's IPv6 address.", transform: GroupCommand.parse)
    var group: IPv6Address

    @Argument(help: "The ids of the nodes' bindings.")
    var ids: [String]

    func run() async throws {
        let client = try await common.connect()
        let changed = try await client.join(group, ids)
        await client.close()
        if common.json {
            Output.standard.json(Report(joined: changed.joined, unchanged: changed.unchanged))
        } else {
            Output.standard.line(
                "\(group): \(changed.joined) joined"
                    + (changed.unchanged > 0 ? ", \(changed.unchanged) were members already" : ""))
        }
    }
}

struct GroupLeaveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leave", abstract: "End nodes' memberships in a group.",
        discussion: """
            Those that are no members are named, and make the exit status 1; the others leave all the same.

            EXAMPLES:
              mooring group leave ff3e::1234 mn1 mn2
            """)

    private struct Report: Encodable {
        var left: [String] = []
        var notMembers: [String] = []
    }

    @OptionGroup var common: ClientOptions

    @Argument(help: "The group's IPv6 address.", transform: GroupCommand.parse)
    var group: IPv6Address

    @Argument(help: "The ids of the nodes' bindings.")
    var ids: [String]

    func run() async throws {
        let client = try await common.connect()
        var report = Report()
        // One at a time, since a reply only counts the ids that were no members.
        for id in ids {
            if try await client.leave(group, [id]).left > 0 {
                report.left.append(id)
                if !common.json { Output.standard.line("\(id) left \(group)") }
            } else {
                report.notMembers.append(id)
            }
        }
        await client.close()
        if common.json { Output.standard.json(report) }
        if !report.notMembers.isEmpty {
            throw CommandFailure(.no, "no members of \(group): \(report.notMembers.joined(separator: ", "))")
        }
    }
}

struct GroupListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the groups that have members, and these.",
        discussion: """
            EXAMPLES:
              mooring group list
              mooring group list ff3e::1234
              mooring group list --json | jq -r '.groups[] | select(.members[] == "mn1") | .group'
            """)

    @OptionGroup var common: ClientOptions

    /// Rows that are aligned with each other before they are printed.
    private static let rowsPerPart = 1000

    @Argument(help: "Only this group; where it has no members, the exit status is 1.", transform: GroupCommand.parse)
    var group: IPv6Address?

    func run() async throws {
        let client = try await common.connect()
        var table = Table([.left, .left])
        table.add(["GROUP", "MEMBER"])
        var previous: String?
        if common.json { Output.standard.line("{\"groups\":[") }
        var (count, rows) = (0, 0)
        for try await group in client.groups(group) {
            let contents = try Self.contents(of: group)
            count += 1
            if common.json {
                if let previous { Output.standard.line(previous + ",") }
                previous = jsonText(contents)
            } else {
                for member in contents.members {
                    table.add(["\(contents.group)", member])
                    rows += 1
                    if rows % Self.rowsPerPart == 0 { table.print(to: .standard) }
                }
            }
        }
        await client.close()
        if common.json {
            if let previous { Output.standard.line(previous) }
            Output.standard.line("]}")
        }
        if count > 0, !common.json { table.print(to: .standard) }
        if count == 0, let group { throw CommandFailure(.no, "\(group) has no members") }
        if count == 0, !common.json { Output.error.line("no groups") }
    }

    /// A group in the words of a binding file.
    private static func contents(of group: ControlGroup) throws -> BindingFile.Group {
        guard let address = IPv6Address(networkOrder: group.group) else {
            throw ControlClientError.unexpected("a group of \(group.group.count) bytes")
        }
        return BindingFile.Group(address, members: group.members)
    }
}
