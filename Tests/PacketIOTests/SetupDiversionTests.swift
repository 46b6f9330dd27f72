// The policy rules before and after, also where a run was cut short. The kernel's way with rules (behind those of the
// same priority) is played by a few lines here and checked against the kernel itself.

import NetworkNamespace
import RouteNetlink
import Testing

@testable import PacketIO

@Suite("Setup of policy rules")
struct SetupDiversionTests {
    static let table = RouteTable(rawValue: 434)
    static let diversion = SetupDiversion(of: [.ipv6], to: table)
    static let everything = SetupDiversion(of: TunnelProtocol.allCases, to: table)
    static let local = RoutingRule(family: .v4, priority: 0, table: .local, origin: .kernel)
    static let main = RoutingRule(family: .v4, priority: 32766, table: .main, origin: .kernel)

    static func diverting(_ number: UInt8, priority: UInt32 = 0, origin: RouteOrigin = .mooring) -> RoutingRule {
        RoutingRule(
            family: .v4, priority: priority, ipProtocol: number, destinationPort: number == 17 ? 434 : nil,
            table: table,
            origin: origin)
    }

    static func play(_ changes: some Sequence<RuleChange>, on rules: [RoutingRule]) -> [RoutingRule] {
        var rules = rules
        for change in changes {
            switch change {
            case .add(let rule):
                rules.insert(rule, at: rules.firstIndex { $0.priority > rule.priority } ?? rules.endIndex)
            case .delete(let rule):
                if let index = rules.firstIndex(of: rule) { rules.remove(at: index) }
            }
        }
        return rules
    }

    /// States of a host: as it is, with others' rules, and as others set it up.
    static let hosts: [[RoutingRule]] = [
        [local, main],
        [local, RoutingRule(family: .v4, priority: 1, table: .local, origin: .static), main],
        [local, RoutingRule(family: .v4, priority: 1, ipProtocol: 6, table: .main, origin: .static), main],
        [RoutingRule(family: .v4, priority: 32765, table: .local, origin: .static), main],
        [local, diverting(41, priority: 5, origin: .static), main],
        [local, diverting(41), main],
        [diverting(41), local, diverting(17), diverting(47, priority: 5), main],
        [RoutingRule(family: .v4, priority: 0, ipProtocol: 17, table: table, origin: .mooring), local, main],
        [diverting(4), local, main],
        [diverting(41, origin: .static), local, main],
        [local, RoutingRule(family: .v4, priority: 0, table: .local, origin: .mooring), main],
        [main],
    ]

    @Test(
        "Whenever a run is cut short the host has a local rule, and the next run ends as it would have",
        arguments: hosts, [diversion, everything])
    func recovers(host: [RoutingRule], diversion: SetupDiversion) {
        let changes = diversion.changes(to: host)
        let end = Self.play(changes, on: host)
        #expect(diversion.changes(to: end).isEmpty)
        let isLocal = { (rule: RoutingRule) in rule.table == .local && rule.isUnconditional }
        let firstLocal = end.firstIndex(where: isLocal)
        for tunnel in diversion.protocols {
            let number = tunnel.number
            let diverting = end.firstIndex {
                $0.ipProtocol == number && $0.destinationPort == (number == 17 ? 434 : nil) && $0.table == Self.table
            }
            #expect(diverting != nil)
            #expect((diverting ?? .max) < (firstLocal ?? .max))
        }
        for count in 0...changes.count {
            let cut = Self.play(changes.prefix(count), on: host)
            #expect(!host.contains(where: isLocal) || cut.contains(where: isLocal), "after \(count)")
            #expect(Self.play(diversion.changes(to: cut), on: cut) == end, "after \(count)")
            // A run that shares no endpoint sets the host right too.
            let none = SetupDiversion(of: [], to: Self.table)
            let repaired = Self.play(none.changes(to: cut), on: cut)
            #expect(!repaired.contains { $0.table == .local && $0.priority > 0 && $0.origin == .mooring })
            #expect(repaired.contains(where: isLocal) == host.contains(where: isLocal))
        }
    }

    @Test("Others' rules keep their places", arguments: hosts)
    func keepsOthersRules(host: [RoutingRule]) {
        let end = Self.play(Self.diversion.changes(to: host), on: host)
        let others = { (rules: [RoutingRule]) in rules.filter { $0.table != .local && $0 != Self.diverting(41) } }
        #expect(others(end) == others(host))
        #expect(
            end.filter { $0.table == .local && $0.priority > 0 }
                == host.filter { $0.table == .local && $0.priority > 0 })
    }

    @Test("A rule with further conditions does not count, neither as diverting nor as local")
    func conditionsCount() {
        var narrow = Self.diverting(41)
        narrow.hasOtherConditions = true
        var toOne = Self.diverting(41)
        toOne.destination = IPPrefix("192.0.2.1/32")
        var narrowLocal = Self.local
        narrowLocal.inputInterface = "eth0"
        #expect(!Self.diversion.changes(to: [narrow, Self.local, Self.main]).isEmpty)
        #expect(!Self.diversion.changes(to: [toOne, Self.local, Self.main]).isEmpty)
        #expect(Self.diversion.changes(to: [narrowLocal, Self.diverting(41), Self.local, Self.main]).isEmpty)
    }

    @Test(
        "The kernel does with each state what is played here, and a run repairs each",
        .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"), arguments: 0...9, [true, false])
    func kernelAgrees(count: Int, repairing: Bool) async throws {
        try await NetworkNamespace.run {
            var socket = try RouteSocket()
            let host = try socket.rules(.v4)
            let changes = Self.everything.changes(to: host)
            try #require(changes.count == 9)
            for change in changes.prefix(count) {
                switch change {
                case .add(let rule): try socket.add(rule)
                case .delete(let rule): try socket.delete(rule)
                }
            }
            let cut = try socket.rules(.v4)
            #expect(cut == Self.play(changes.prefix(count), on: host))
            if repairing {
                try SetupDiversion.change { Self.everything.changes(to: $0) }
            } else {
                for change in Self.everything.changes(to: cut) { try NetworkNamespace.shell(change.command) }
            }
            let shown = try NetworkNamespace.shell(SetupPlanTests.showRules)
            #expect(shown == SetupPlanTests.divertedRules)
            // `ip rule flush` deletes what has a priority above 0; the host must not lose its local rule by it.
            #expect(
                try NetworkNamespace.shell("ip rule flush; \(SetupPlanTests.showRules)")
                    == SetupPlanTests.divertedRules.replacing(SetupPlanTests.otherRules, with: ""))
        }
    }

    @Test(
        "Two at once do not take each other's rules",
        .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"))
    func waitsForTheLock() async throws {
        try await NetworkNamespace.run {
            let lock = try RouteSocket(port: SetupDiversion.lockPort)
            #expect(throws: SetupError.self) { try SetupDiversion.change { Self.everything.changes(to: $0) } }
            #expect(try NetworkNamespace.shell(SetupPlanTests.showRules).hasPrefix("0:\tfrom all lookup local\n3"))
            _ = consume lock
            try SetupDiversion.change { Self.everything.changes(to: $0) }
            #expect(try NetworkNamespace.shell(SetupPlanTests.showRules) == SetupPlanTests.divertedRules)
        }
    }

    @Test(
        "The rules stay for another's endpoints in the same table, and go with the last",
        .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"))
    func sharesTheTable() async throws {
        try await SetupPlanTests.namespace(
            SetupPlanTests.devices, "ip addr add 203.0.113.8/24 dev eth0",
            "ip tuntap add dev other0 mode tun && ip tuntap add dev other1 mode tun"
        ) {
            let plan = try SetupPlan(SetupPlanTests.Kind.mobileNode.description)
            var second = try SetupPlanTests.Kind.twoProtocols.description
            (second.homeDevice, second.accessDevice) = ("other0", "other1")
            second.homeRoutes = []
            second.endpoints = [try #require(.init("203.0.113.8"))]
            let other = try SetupPlan(second)
            _ = try SetupPlanTests.apply(plan)
            _ = try SetupPlanTests.apply(other)
            #expect(try plan.missing() == [])
            let both = try NetworkNamespace.shell(SetupPlanTests.showRules)
            var lines: [String] = []
            try plan.undo { lines.append($0) }
            #expect(lines == ["left: the rules for table 434, which has routes by other devices"])
            #expect(try NetworkNamespace.shell(SetupPlanTests.showRules) == both)
            try NetworkNamespace.shell("ip link del moor0; ip link del moor.1")
            try other.undo { _ in }
            #expect(
                try NetworkNamespace.shell(SetupPlanTests.showRules) == "0:\tfrom all lookup local\n"
                    + SetupPlanTests.otherRules)
        }
    }
}
