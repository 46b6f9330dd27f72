// The set-up of devices against the kernel, each test in a network namespace of its own. What came of it is told by
// `ip -j` and `sysctl`, which know nothing of this code.

import Foundation
import NetworkNamespace
import RouteNetlink
import Testing
import Wire

@testable import PacketIO

@Suite("Setup", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"))
struct SetupPlanTests {
    /// Every kind of description there is.
    enum Kind: String, CaseIterable, Sendable {
        case homeAgent, mobileNode, homeAgentOfOneDevice, mobileNodeOfOneDevice, namedArrival, twoProtocols
        case sharingHomeAgent, onlyIPv4

        var description: SetupDescription {
            get throws {
                let isOne = self == .homeAgentOfOneDevice || self == .mobileNodeOfOneDevice
                var description = SetupDescription(homeDevice: "moor0", accessDevice: isOne ? "moor0" : "moor.1")
                switch self {
                case .homeAgent, .homeAgentOfOneDevice, .namedArrival, .sharingHomeAgent, .onlyIPv4:
                    description.homeAddresses = try Self.list(["2001:db8:1::1/64", "10.7.0.1/24"])
                    // The second is that of an address; the kernel makes it by itself.
                    description.homeRoutes = try Self.list(["2001:db8:2::/48", "10.7.0.0/24", "10.8.0.0/16"])
                    description.endpoints = [try #require(IPv4Address("192.0.2.1"))]
                case .mobileNode, .mobileNodeOfOneDevice, .twoProtocols:
                    description.homeAddresses = try Self.list(["2001:db8:1::1/64", "10.7.0.7/32"])
                    description.homeRoutes = try Self.list(["::/0", "10.8.0.0/16"])
                    description.endpoints = [try #require(IPv4Address("203.0.113.9"))]
                    description.sharesEndpoint = true
                    description.forwarding = false
                }
                if self == .sharingHomeAgent {
                    (description.endpoints, description.sharesEndpoint) = (try Self.list(["203.0.113.9"]), true)
                }
                if self == .onlyIPv4 {
                    description.homeAddresses.removeAll { $0.address.family == .v6 }
                    description.homeRoutes.removeAll { $0.family == .v6 }
                }
                if self == .namedArrival { description.arrivalInterfaces = ["eth0"] }
                if self == .twoProtocols { description.diverted = [.gre, .ipv6, .gre] }
                return description
            }
        }

        private static func list<Element: LosslessStringConvertible>(_ texts: [String]) throws -> [Element] {
            try texts.map { try #require(Element($0)) }
        }
    }

    @Test("Nothing holds at first, all of it when applied, and a second run changes nothing", arguments: Kind.allCases)
    func appliesOnce(kind: Kind) async throws {
        try await Self.namespace(Self.devices) {
            let plan = try SetupPlan(kind.description)
            let missing = try plan.missing()
            #expect(missing.allSatisfy { !$0.commands.isEmpty && !$0.sentence.isEmpty })
            let lines = try Self.apply(plan)
            #expect(lines == missing.map { "set: \($0)" })
            #expect(try plan.missing() == [])
            for step in try plan.steps() { #expect(try step.isSatisfied(), "\(step)") }
            let before = try Self.snapshot()
            #expect(try Self.apply(plan) == [])
            for step in try plan.steps() { try step.apply() }
            let after = try Self.snapshot()
            #expect(after == before, "\(Self.difference(before, after))")
        }
    }

    @Test("Each step applied alone holds from then on", arguments: Kind.allCases)
    func appliesEachStep(kind: Kind) async throws {
        try await Self.namespace(Self.devices) {
            let plan = try SetupPlan(kind.description)
            for step in try plan.missing() {
                #expect(try !step.isSatisfied(), "\(step)")
                try step.apply()
                #expect(try step.isSatisfied(), "\(step)")
                try step.apply()
            }
            #expect(try plan.missing() == [])
        }
    }

    @Test("The commands of the missing steps, run by a shell, do what applying does", arguments: Kind.allCases)
    func commandsDoTheSame(kind: Kind) async throws {
        let byCommands = try await Self.namespace {
            let plan = try SetupPlan(kind.description)
            let missing = try plan.missing()
            #expect(missing.first?.commands == ["ip tuntap add dev moor0 mode tun"])
            for step in missing {
                // A device made anew may have some of it from the start.
                if try step.isSatisfied() { continue }
                for command in step.commands { try NetworkNamespace.shell(command) }
                #expect(try step.isSatisfied(), "\(step)")
            }
            #expect(try plan.missing() == [])
            return try Self.snapshot()
        }
        let byApplying = try await Self.namespace {
            let plan = try SetupPlan(kind.description)
            for device in plan.description.devices {
                try NetworkNamespace.shell("ip tuntap add dev \(device) mode tun")
            }
            _ = try Self.apply(plan)
            return try Self.snapshot()
        }
        #expect(byCommands == byApplying)
    }

    @Test("A home agent's set-up, as ip and sysctl show it")
    func showsHomeAgent() async throws {
        try await Self.namespace(Self.devices) {
            _ = try Self.apply(try SetupPlan(Kind.homeAgent.description))
            for device in ["moor0", "moor.1"] {
                let link = try #require(try NetworkNamespace.json("ip -j link show dev \(device)").first)
                #expect(link["mtu"] as? Int == 1500)
                #expect(link["txqlen"] as? Int == 4096)
                #expect((link["flags"] as? [String])?.contains("UP") == true)
            }
            let addresses = try NetworkNamespace.json("ip -j -6 addr show dev moor0").first?["addr_info"]
            let list = try #require(addresses as? [[String: Any]])
            #expect(list.map { $0["local"] as? String } == ["2001:db8:1::1"])
            #expect(list.first?["prefixlen"] as? Int == 64)
            #expect(list.first?["tentative"] == nil)
            #expect(try NetworkNamespace.json("ip -j -6 addr show dev moor.1").isEmpty)
            let v6 = try NetworkNamespace.json("ip -j -6 route show proto 54")
            #expect(v6.map { $0["dst"] as? String } == ["2001:db8:2::/48"])
            #expect(v6.first?["dev"] as? String == "moor0")
            let v4 = try NetworkNamespace.json("ip -j route show proto 54")
            #expect(v4.map { $0["dst"] as? String } == ["10.8.0.0/16", "192.0.2.1"])
            #expect(v4.map { $0["dev"] as? String } == ["moor0", "moor.1"])
            #expect(try NetworkNamespace.shell("ip -4 -br addr show dev moor0").contains(" 10.7.0.1/24"))
            #expect(
                try NetworkNamespace.shell("ip route show 10.7.0.0/24").hasPrefix(
                    "10.7.0.0/24 dev moor0 proto kernel scope link src 10.7.0.1"))
            #expect(try NetworkNamespace.shell(Self.showRules) == "0:\tfrom all lookup local\n" + Self.otherRules)
            let settings = try NetworkNamespace.shell(
                """
                sysctl -n net.ipv6.conf.all.forwarding net.ipv4.ip_forward net/ipv4/conf/moor.1/forwarding \
                net.ipv6.conf.moor0.addr_gen_mode net.ipv6.conf.moor0.accept_ra net/ipv6/conf/moor.1/disable_ipv6 \
                net.ipv4.conf.moor0.forwarding net.ipv4.conf.moor0.rp_filter net.ipv4.conf.moor0.accept_local
                """)
            #expect(settings == "1\n1\n1\n1\n0\n1\n1\n2\n0\n")
        }
    }

    /// Some versions of ip show a protocol without a name as "ipproto-55".
    static let showRules = "ip rule | sed s/ipproto-//"
    static let otherRules = "32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n"
    static let divertedRules =
        ["ipv6", "ipencap", "gre", "55", "udp dport 434"].map { "0:\tfrom all ipproto \($0) lookup 434 proto 54\n" }
        .joined() + "0:\tfrom all lookup local\n" + otherRules

    @Test("A mobile node's set-up, as ip and sysctl show it; and what is undone at its end")
    func showsMobileNode() async throws {
        try await Self.namespace(Self.devices) {
            let before = try NetworkNamespace.shell(Self.showRules)
            let plan = try SetupPlan(Kind.mobileNode.description)
            _ = try Self.apply(plan)
            let routes = try NetworkNamespace.json("ip -j route show table 434")
            #expect(routes.map { $0["dst"] as? String } == ["203.0.113.9"])
            #expect(routes.first?["dev"] as? String == "moor.1")
            #expect(try NetworkNamespace.shell(Self.showRules) == Self.divertedRules)
            #expect(try NetworkNamespace.json("ip -j -6 route show default").first?["dev"] as? String == "moor0")
            let settings = try NetworkNamespace.shell(
                """
                sysctl -n net.ipv6.conf.all.forwarding net.ipv4.ip_forward net/ipv4/conf/moor.1/forwarding \
                net.ipv4.conf.eth0.forwarding net.ipv4.conf.lo.forwarding net.ipv4.conf.moor0.forwarding \
                net.ipv4.conf.moor0.rp_filter net.ipv4.conf.moor0.accept_local
                """)
            #expect(settings == "0\n0\n1\n1\n0\n0\n2\n1\n")
            #expect(try NetworkNamespace.shell("ip route get 10.8.0.1").contains("dev moor0 src 10.7.0.7"))

            var lines: [String] = []
            try plan.undo { lines.append($0) }
            #expect(
                lines
                    == ["41", "4", "47", "55", "17 dport 434"].map {
                        "removed: the rule pref 0 ipproto \($0) lookup 434"
                    })
            #expect(try NetworkNamespace.shell(Self.showRules) == before)
            try plan.undo { _ in Issue.record("there is nothing left to undo") }
            #expect(try plan.missing().map(\.lifetime) == [.undone])
            _ = try Self.apply(plan)
            #expect(try NetworkNamespace.shell(Self.showRules) == Self.divertedRules)
        }
    }

    @Test("What would outlive the devices is undone, or said to stay", arguments: Kind.allCases)
    func lifetimesAreTrue(kind: Kind) async throws {
        try await Self.namespace(Self.devices) {
            let before = try Self.snapshot().split(separator: "\n").filter { !$0.contains("moor") }
            let plan = try SetupPlan(kind.description)
            let staying = try plan.missing().filter { $0.lifetime == .stays }
            _ = try Self.apply(plan)
            try plan.undo { _ in }
            try NetworkNamespace.shell("ip link del moor0; ip link del moor.1")
            // What stays are settings; taken back by hand, the host is as before.
            for step in staying {
                let setting = try #require(step.commands.first)
                #expect(step.commands.count == 1 && setting.hasPrefix("sysctl -w ") && setting.hasSuffix("=1"))
                try NetworkNamespace.shell("\(setting.dropLast())0")
            }
            try NetworkNamespace.shell(Self.devices)
            // The indices of the devices differ, so their lines are left out of both.
            let after = try Self.snapshot().split(separator: "\n").filter { !$0.contains("moor") }
            #expect(after == before)
        }
    }

    @Test("Without a device its steps are missing, and applying says what is")
    func missingDevice() async throws {
        try await Self.namespace {
            let plan = try SetupPlan(Kind.homeAgent.description)
            #expect(try plan.missing().count == plan.steps().count)
            #expect {
                try plan.apply { _ in Issue.record("nothing can be set") }
            } throws: {
                "\($0)".contains("there is no device moor0")
            }
        }
    }

    @Test("A device that is no TUN device is left alone")
    func refusesOtherDevices() async throws {
        try await Self.namespace("ip link add moor0 type veth peer name moor.1") {
            let before = try Self.snapshot()
            let plan = try SetupPlan(Kind.homeAgent.description)
            for attempt in [{ try plan.apply { _ in } }, { _ = try plan.missing() }] {
                #expect(throws: SetupError("moor0 is no TUN device: give the name of one, or a name that is free")) {
                    try attempt()
                }
            }
            #expect(try Self.snapshot() == before)
        }
    }

    @Test("Another's route to the same destination is neither taken for ours nor replaced")
    func keepsOthersRoutes() async throws {
        try await Self.namespace(Self.devices, "ip route add 192.0.2.1/32 dev eth0") {
            let plan = try SetupPlan(Kind.homeAgent.description)
            #expect {
                try plan.apply { _ in }
            } throws: {
                "\($0)".contains("`ip route show 192.0.2.1/32 table main`")
            }
            #expect(try NetworkNamespace.json("ip -j route show 192.0.2.1").first?["dev"] as? String == "eth0")
        }
    }

    @Test("What an earlier run left and the description lacks is removed; others' entries stay")
    func removesLeftovers() async throws {
        let others = """
            ip link set moor0 up && ip link set moor.1 up
            ip route add 192.0.2.77/32 dev moor.1 proto 99
            ip route add 192.0.2.78/32 dev eth0 proto 54
            ip -6 route add 2001:db8:77::/48 dev moor0 proto 99
            ip route add 10.77.0.0/16 dev moor0 proto 99
            ip rule add pref 0 ipproto 4 lookup 434 protocol 99
            ip rule add pref 7 ipproto 47 lookup 434 protocol 54
            """
        let stale = """
            ip route add 192.0.2.2/32 dev moor.1 proto 54
            ip route add 192.0.2.1/32 dev moor.1 table 434 proto 54
            ip -6 route add 2001:db8:3::/48 dev moor0 proto 54
            ip route add 10.9.0.0/16 dev moor0 proto 54
            ip route add 10.8.0.0/16 dev moor0 table 434 proto 54
            ip route add 10.8.0.0/16 dev moor.1 proto 54
            ip rule add pref 0 ipproto 47 lookup 434 protocol 54
            ip rule add pref 0 ipproto 17 dport 434 lookup 434 protocol 54
            """
        let expected = try await Self.namespace(Self.devices, others) {
            _ = try Self.apply(try SetupPlan(Kind.homeAgent.description))
            return try Self.snapshot()
        }
        for byCommands in [false, true] {
            try await Self.namespace(Self.devices, others, stale) {
                let plan = try SetupPlan(Kind.homeAgent.description)
                #expect(try plan.missing().filter { $0.sentence.contains("no longer") }.count == 6)
                #expect(try plan.missing().filter { $0.sentence.contains("is gone") }.count == 2)
                if byCommands {
                    for step in try plan.missing() where try !step.isSatisfied() {
                        for command in step.commands { try NetworkNamespace.shell(command) }
                    }
                } else {
                    _ = try Self.apply(plan)
                }
                #expect(try plan.missing() == [])
                #expect(try Self.snapshot() == expected)
            }
        }
    }

    @Test("Endpoints come and go while the forwarder runs", arguments: [Kind.homeAgent, .mobileNode])
    func endpointsMove(kind: Kind) async throws {
        try await Self.namespace(Self.devices, "ip addr add 198.51.100.7/24 dev lo") {
            var plan = try SetupPlan(kind.description)
            _ = try Self.apply(plan)
            let table = plan.description.sharesEndpoint ? "434" : "main"
            let old = try #require(plan.description.endpoints.first)
            let new = try #require(IPv4Address("198.51.100.7"))
            var lines: [String] = []
            try plan.addEndpoint(new) { lines.append($0) }
            #expect(lines.first?.contains("198.51.100.7/32 is routed into moor.1") == true)
            // A shared one is reached by the interface that bears it, which must forward then.
            #expect(lines.count == (plan.description.sharesEndpoint ? 2 : 1))
            #expect(try plan.missing() == [])
            try plan.addEndpoint(new) { _ in Issue.record("it is there already") }
            try plan.removeEndpoint(old) { lines.append($0) }
            #expect(lines.last?.contains("\(old)/32 is no longer routed into moor.1") == true)
            try plan.removeEndpoint(old) { _ in Issue.record("it is gone already") }
            let routes = try NetworkNamespace.json("ip -j route show table \(table) dev moor.1")
            #expect(routes.map { $0["dst"] as? String } == ["198.51.100.7"])
            #expect(plan.description.endpoints == [new])
            #expect(try plan.missing() == [])
            #expect(throws: SetupError.self) { try plan.addEndpoint(.unspecified) { _ in } }
            #expect(plan.description.endpoints == [new])
        }
    }

    @Test("A device that containers deny IPv6 gets it")
    func enablesIPv6() async throws {
        try await Self.namespace("sysctl -w net.ipv6.conf.default.disable_ipv6=1", Self.devices) {
            let plan = try SetupPlan(Kind.homeAgent.description)
            _ = try Self.apply(plan)
            #expect(try plan.missing() == [])
        }
    }

    @Test(
        "An interface keeps what router advertisements gave it when the host begins to forward",
        arguments: [true, false])
    func keepsRouterAdvertisements(byApplying: Bool) async throws {
        try await NetworkNamespace.run {
            let uplink = try TunDevice(name: "eth0")
            try NetworkNamespace.shell(Self.devices + " && ip link set eth0 up")
            try RouterAdvertisement.send(on: uplink)
            let routes = "ip -6 route show default proto ra dev eth0"
            #expect(try NetworkNamespace.shell(routes).contains("via fe80::bad"))
            if byApplying {
                let lines = try Self.apply(try SetupPlan(Kind.homeAgent.description))
                #expect(lines.contains { $0.hasSuffix("sysctl -w net.ipv6.conf.eth0.accept_ra=2") })
                #expect(try NetworkNamespace.shell(routes).contains("via fe80::bad"))
            } else {
                // The reason for the step.
                try NetworkNamespace.shell("sysctl -w net.ipv6.conf.all.forwarding=1")
                #expect(try NetworkNamespace.shell(routes) == "")
            }
        }
    }

    @Test("A lack of privilege is told with its remedy, and looking needs none")
    func needsPrivilege() async throws {
        try await Self.namespace(Self.devices) {
            try Self.dropCapabilities()
            let plan = try SetupPlan(Kind.homeAgent.description)
            #expect(try !plan.missing().isEmpty)
            let routing = try #require(try plan.missing().first { $0.commands.contains("ip link set dev moor0 up") })
            #expect {
                try routing.apply()
            } throws: {
                "\($0)".contains("CAP_NET_ADMIN")
            }
        }
    }

    /// capset(2), of the calling thread alone.
    private static func dropCapabilities() throws {
        typealias CapabilitySet = @convention(c) (UnsafeRawPointer, UnsafeRawPointer) -> Int32
        let symbol = try #require(dlsym(nil, "capset"))
        let header: [UInt32] = [0x2008_0522, 0]
        let none = [UInt32](repeating: 0, count: 6)
        try #require(unsafeBitCast(symbol, to: CapabilitySet.self)(header, none) == 0)
    }

    static func warnings(_ kind: Kind, _ endpoint: String) throws -> [String] {
        var description = try kind.description
        description.endpoints = [try #require(IPv4Address(endpoint))]
        return try SetupPlan(description).warnings()
    }

    @Test("Endpoints that can't work are told of")
    func warns() async throws {
        try await Self.namespace(Self.devices) {
            let fitting = try Self.warnings(.homeAgent, "192.0.2.1") + Self.warnings(.mobileNode, "203.0.113.9")
            #expect(fitting == [])
            let own = try Self.warnings(.homeAgent, "203.0.113.9")
            #expect(own.first?.contains("describe the endpoint as shared") == true)
            let foreign = try Self.warnings(.mobileNode, "203.0.113.10")
            #expect(foreign.first?.contains("no interface has it") == true)
            let onLink = try Self.warnings(.homeAgent, "203.0.113.10")
            #expect(onLink.first?.contains("ip neigh add proxy 203.0.113.10 dev eth0") == true)
        }
    }
}
