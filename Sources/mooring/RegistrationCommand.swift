import ArgumentParser
import OperatorProtocol

struct RegistrationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registration",
        abstract: "Show and end registrations of mobile nodes with mooring-ha.",
        subcommands: [
            RegistrationListCommand.self, RegistrationShowCommand.self, RegistrationRevokeCommand.self,
            RegistrationCountersCommand.self, RegistrationStatusCommand.self,
        ])
}

struct RegistrationListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List all registrations.",
        discussion: """
            EXAMPLES:
              mooring registration list
              mooring registration list --json | jq -r '.registrations[].careOfAddress'
            """)

    /// Rows that are aligned with each other before they are printed.
    private static let rowsPerPart = 1000

    @OptionGroup var common: HomeAgentOptions

    func run() throws {
        if let failure = try common.ask(OperatorRequest(.status)).status?.storeFailure {
            Output.error.line("registrations can't be stored, so none is answered: \(failure)")
        }
        if common.json {
            var list = JSONList("registrations")
            try common.list(.registrations, \.registrations) { list.add($0) }
            return list.end()
        }
        var table = Table([.left, .left, .left, .left, .right])
        table.add(["NODE", "HOME ADDRESS", "CARE-OF", "PREFIXES", "LIFETIME"])
        var rows = 0
        try common.list(.registrations, \.registrations) { registration in
            table.add(Self.row(registration))
            rows += 1
            if rows % Self.rowsPerPart == 0 { table.print(to: .standard) }
        }
        if rows == 0 { Output.error.line("no registrations") } else { table.print(to: .standard) }
    }

    private static func row(_ registration: RegistrationReport) -> [String] {
        var prefixes = registration.prefixes.first?.prefix ?? "none"
        if registration.prefixes.count > 1 { prefixes += " and \(registration.prefixes.count - 1) more" }
        return [
            registration.node, registration.homeAddress, registration.careOfAddress, prefixes,
            registration.lifetime.map { shortDurationText(seconds: $0) } ?? "for ever",
        ]
    }
}

struct RegistrationShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show all of one registration.",
        discussion: """
            EXAMPLES:
              mooring registration show 198.51.100.7
              mooring registration show mn1@example.org --json | jq .lifetime
            """)

    @OptionGroup var common: HomeAgentOptions

    @Argument(help: "The node's home address or access identifier.")
    var node: String

    func run() throws {
        let reply = try common.ask(OperatorRequest(.registration, node: node))
        guard let registration = reply.registrations?.first else {
            throw CommandFailure(.unreachable, "mooring-ha answered without a registration")
        }
        if common.json { return Output.standard.json(registration) }
        registration.describe()
    }
}

extension RegistrationReport {
    func describe() {
        let output = Output.standard
        output.line("registration of \(node)")
        output.line("  home address: \(homeAddress)")
        output.line("  care-of address: \(careOfAddress)")
        var options = greKey.map { ["key \($0)"] } ?? []
        if let udpPort { options.append("in UDP to port \(udpPort)") }
        let text = options.isEmpty ? "" : " (\(options.joined(separator: ", ")))"
        output.line("  tunnel: \(encapsulation) from \(endpoint) to \(tunnelEnd)\(text)")
        output.line("  reverse tunnel: \(hasReverseTunnel ? "yes" : "no")")
        for prefix in prefixes {
            output.line("  prefix: \(prefix.prefix) by \(prefix.tunnel)\(prefix.isImplicit ? ", implicit" : "")")
        }
        for group in groups ?? [] {
            let left = durationText(seconds: group.remaining)
            output.line("  group: \(group.group) by MLD version \(group.version), \(left) left")
        }
        output.line("  lifetime: \(lifetime.map { durationText(seconds: $0) + " left" } ?? "for ever")")
        output.line("  revocation: \(revocation.map { "agreed with the \($0)" } ?? "not agreed")")
    }
}

struct RegistrationRevokeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "End a registration, and tell who agreed to be told (RFC 3543).",
        discussion: """
            EXAMPLES:
              mooring registration revoke 198.51.100.7
            """)

    @OptionGroup var common: HomeAgentOptions

    @Argument(help: "The node's home address or access identifier.")
    var node: String

    func run() throws {
        let reply = try common.ask(OperatorRequest(.revoke, node: node))
        guard let registration = reply.registrations?.first else {
            throw CommandFailure(.unreachable, "mooring-ha answered without a registration")
        }
        if common.json { return Output.standard.json(registration) }
        Output.standard.line("revoked \(registration.node)")
    }
}

struct RegistrationCountersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "counters", abstract: "Print what became of what came to mooring-ha.",
        discussion: """
            EXAMPLES:
              mooring registration counters
              mooring registration counters --json | jq '."reply-131"'
            """)

    @OptionGroup var common: HomeAgentOptions

    @Flag(help: "Counters at zero too.")
    var all = false

    func run() throws {
        let counters = try common.ask(OperatorRequest(.counters)).counters ?? [:]
        if common.json { return Output.standard.json(counters) }
        var table = Table([.left, .right])
        for (name, count) in counters.sorted(by: { $0.key < $1.key }) where all || count > 0 {
            table.add([name, "\(count)"])
        }
        table.print(to: .standard)
    }
}

struct RegistrationStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Tell what mooring-ha runs, and whether mooringd has all bindings.",
        discussion: """
            EXAMPLES:
              mooring registration status
              mooring registration status --json | jq -r .forwarder
            """)

    @OptionGroup var common: HomeAgentOptions

    func run() throws {
        guard let status = try common.ask(OperatorRequest(.status)).status else {
            throw CommandFailure(.unreachable, "mooring-ha answered without a status")
        }
        if common.json { return Output.standard.json(status) }
        let output = Output.standard
        let uptime = durationText(seconds: status.uptime)
        output.line("mooring-ha \(status.version), process \(status.processID), up \(uptime)")
        output.line("  addresses: \(status.addresses.joined(separator: ", "))")
        output.line("  listens: \(status.listen == "udp" ? "by UDP sockets" : "by way of the forwarder")")
        output.line("  nodes: \(status.nodes), \(status.bindings) of them bound (\(status.bindingLimit) at the most)")
        let reason = status.forwarderReason.map { " (\($0))" } ?? ""
        output.line("  forwarder: \(status.forwarder) at \(status.forwarderSocket)\(reason)")
        if let unheard = status.unheardAddresses {
            output.line("  no endpoints of mooringd, so no registration comes to: \(unheard.joined(separator: ", "))")
        }
        output.line("  database: \(status.database)")
        if let failure = status.storeFailure {
            output.line("  registrations can't be stored, so none is answered: \(failure)")
        }
        let multicast = status.memberships.map { "\($0) memberships, \(status.membershipLimit ?? 0) at the most" }
        output.line("  multicast: \(multicast ?? "off")")
        output.line("  routes: \(status.routeDevice.map { "to \($0)" } ?? "none")")
    }
}
