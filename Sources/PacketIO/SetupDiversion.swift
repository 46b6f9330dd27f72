// How packets to an address of the host's own reach a TUN device: policy rules that ask a table of ours, each for one
// protocol number, must stand before the rule that asks the local table, which the kernel puts at priority 0, the first
// there is (ip-rule(8)). Rules of one priority stand in the order of their making, so ours get priority 0 too, and the
// local rule is made anew behind them:
//
//     0: lookup local                    0: ipproto 41 lookup 434
//     …                          →       0: ipproto 17 dport 434 lookup 434
//                                        0: lookup local
//
// The local rule thus keeps its priority, which `ip rule flush` and others rely on, and undoing is the deletion of our
// rules. Meanwhile a bridge stands a little further down, another local rule, told by its origin: at no moment is the host
// without one, and wherever a crash leaves off, the same computation finds what is still to do. Two processes at it
// together could delete each other's bridge, so the changes are made under a lock of the network namespace's
// (`RouteSocket.init(port:)`).

import Glibc
import RouteNetlink
import Wire

/// A change to the policy rules.
enum RuleChange: Sendable, Equatable {
    case add(RoutingRule)
    case delete(RoutingRule)

    var command: String {
        switch self {
        case .add(let rule): "ip rule add \(rule) protocol \(rule.origin)"
        case .delete(let rule): "ip rule del \(rule)"
        }
    }
}

/// The diversion of tunnel packets to a table.
struct SetupDiversion: Sendable, Equatable {
    /// Each once, in the order of `TunnelProtocol`.
    let protocols: [TunnelProtocol]
    let table: RouteTable

    init(of protocols: some Sequence<TunnelProtocol>, to table: RouteTable) {
        let wanted = Set(protocols)
        self.protocols = TunnelProtocol.allCases.filter { wanted.contains($0) }
        self.table = table
    }

    static let lockPort: UInt32 = 0x4D6F_6F72

    private static let local = RoutingRule(family: .v4, priority: 0, table: .local, origin: .kernel)

    private func rule(_ tunnel: TunnelProtocol) -> RoutingRule {
        RoutingRule(
            family: .v4, priority: 0, ipProtocol: tunnel.number, destinationPort: tunnel.destinationPort, table: table,
            origin: .mooring)
    }

    private func diverts(_ rule: RoutingRule, _ tunnel: TunnelProtocol) -> Bool {
        rule.ipProtocol == tunnel.number && rule.destinationPort == tunnel.destinationPort && rule.table == table
            && rule.inputInterface == nil && !rule.hasSelectors
    }

    /// What makes all protocols come before the local table; nothing where they do and no bridge is left.
    func changes(to rules: [RoutingRule]) -> [RuleChange] {
        let locals = rules.filter { $0.table == .local && $0.isUnconditional }
        let bridges = locals.filter { $0.priority > 0 && $0.origin == .mooring }
        let inTheWay = locals.filter { $0.priority == 0 }
        let before = rules.prefix { !($0.table == .local && $0.isUnconditional) }
        let late = protocols.filter { tunnel in !before.contains { diverts($0, tunnel) } }
        // One that stands at priority 0 behind the local rule is in its place once that one is made anew.
        let missing = late.filter { tunnel in !rules.contains { $0.priority == 0 && diverts($0, tunnel) } }

        let reorders = !late.isEmpty && !inTheWay.isEmpty
        var changes: [RuleChange] = []
        var built = bridges
        if reorders, bridges.isEmpty {
            // Not where another's local rule stands: some kernels could not tell the two apart.
            let priority = (1...UInt32.max).first { number in !locals.contains { $0.priority == number } } ?? 1
            built = [RoutingRule(family: .v4, priority: priority, table: .local, origin: .mooring)]
            changes += built.map { .add($0) }
        }
        if reorders { changes += inTheWay.map { .delete($0) } }
        changes += missing.map { .add(rule($0)) }
        if reorders || (!bridges.isEmpty && inTheWay.isEmpty) { changes.append(.add(Self.local)) }
        changes += built.map { .delete($0) }
        return changes
    }

    /// Whether Mooring made the rule, for the table.
    func isMade(_ rule: RoutingRule) -> Bool {
        rule.origin == .mooring && rule.table == table && rule.priority == 0
    }

    /// Rules that Mooring made and that divert other packets to the table: of a description that no longer holds.
    func leftovers(among rules: [RoutingRule]) -> [RoutingRule] {
        rules.filter { rule in isMade(rule) && !protocols.contains { diverts(rule, $0) } }
    }

    /// Carries out what `compute` makes of the rules, alone in this namespace.
    static func change(
        _ compute: ([RoutingRule]) -> [RuleChange]
    ) throws(SetupError) {
        var socket = try lockedSocket()
        do throws(RouteError) {
            for change in compute(try socket.rules(.v4)) {
                switch change {
                case .add(let rule): try tolerating(.alreadyExists) { () throws(RouteError) in try socket.add(rule) }
                case .delete(let rule): try tolerating(.notFound) { () throws(RouteError) in try socket.delete(rule) }
                }
            }
        } catch {
            throw SetupError(error)
        }
    }

    /// Waits up to five seconds for another that is changing the rules.
    private static func lockedSocket() throws(SetupError) -> RouteSocket {
        var attempts = 0
        while true {
            do throws(RouteError) {
                return try RouteSocket(port: lockPort)
            } catch {
                attempts += 1
                guard error.reason == .portTaken, attempts < 500 else { throw SetupError(error) }
            }
            usleep(10_000)
        }
    }
}
