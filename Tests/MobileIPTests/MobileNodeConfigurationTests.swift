import MobileIP
import Testing
import Wire

@Suite("A mobile node's configuration")
struct MobileNodeConfigurationTests {
    typealias Scene = MobileNodeScene
    typealias Change = @Sendable (inout MobileNodeConfiguration) -> Void

    static let faults: [(place: String, change: Change)] = [
        ("homeAddress", { $0.homeAddress = IPv4Address("224.0.0.1") }), ("homeAddress", { $0.homeAddress = nil }),
        ("homeAgents", { $0.homeAgents = [] }), ("homeAgents[1]", { $0.homeAgents.append($0.homeAgents[0]) }),
        ("homeAgents[0]", { $0.homeAgents = [.unspecified] }), ("assignsHomeAgent", { $0.assignsHomeAgent = true }),
        ("prefixes[1]", { $0.prefixes.append(.init(Scene.prefix("2001:db8:1::/48"))) }),
        ("prefixes[0]", { $0.prefixes = [.init(Scene.prefix("fe80::/64"))] }),
        ("prefixes[0]", { $0.prefixes = [.init(Scene.ownPrefix, address: IPv6Address("2001:db8:2::1"))] }),
        ("encapsulations", { $0.encapsulations = [] }), ("encapsulations", { $0.encapsulations = [.gre, .gre] }),
        ("greKey", { $0.greKey = 4 }), ("lifetime", { $0.lifetime = RegistrationLifetime(seconds: 4) }),
        ("renewalMargin", { $0.renewalMargin = .zero }), ("keepaliveInterval", { $0.keepaliveInterval = .seconds(9) }),
        ("port", { $0.port = 0 }),
        (
            "reverseTunneling",
            {
                $0.reverseTunneling = .off
                $0.udpTunneling = .forced
            }
        ), ("mobileNetworks[1]", { $0.mobileNetworks = Array(repeating: IPv4Prefix("10.0.0.0/8")!, count: 2) }),
    ]

    @Test("is refused with its place", arguments: faults)
    func fault(place: String, change: Change) throws {
        var configuration = try Scene().configuration
        change(&configuration)
        let problem = #expect(throws: MobileNodeConfiguration.Problem.self) { try configuration.validate() }
        #expect(problem?.place == place)
    }

    @Test("has the node use the first address but one of a prefix")
    func address() {
        #expect(MobileNodeConfiguration.Prefix(Scene.prefix("2001:db8::/64")).address == IPv6Address("2001:db8::1"))
        #expect(MobileNodeConfiguration.Prefix(Scene.prefix("2001:db8::5/128")).address == IPv6Address("2001:db8::5"))
    }
}
