import Bindings
import FoundationEssentials
import TestSupport
import Testing
import Wire

@testable import ControlProtocol

@Suite("Bindings in messages") struct ConversionTests {
    // The bytes are those of Python's protobuf 4.21.12, from modules that protoc 3.21.12 made of control.proto:
    //   Binding(id="mn1", home_address=0xC6336407, care_of_address=0xCB007109, endpoint=0xC0000201,
    //     encapsulation=ENCAPSULATION_GRE, gre=GREOptions(key=7, sequence=True, checksum=True),
    //     prefixes=[BoundPrefix(address=ip_address("2001:db8:1::").packed, length=64, tunnel=PREFIX_TUNNEL_CARE_OF),
    //       BoundPrefix(address=ip_address("2001:db8:2::").packed, length=48, tunnel=PREFIX_TUNNEL_HOME_ADDRESS)],
    //     dscp=DSCP_MODEL_PIPE, ecn=ECN_MODE_COMPATIBILITY, tunnel_mtu=1400, lifetime=600)
    //   Binding(id="mn2", care_of_address=0xCB00710A, encapsulation=ENCAPSULATION_UDP, udp_port=40000,
    //     prefixes=[BoundPrefix(address=ip_address("2001:db8:3::").packed, length=64, tunnel=PREFIX_TUNNEL_CARE_OF)],
    //     dscp=DSCP_MODEL_UNIFORM, ecn=ECN_MODE_NORMAL)
    //   Binding(id="mn3", care_of_address=0xCB00710B)
    private static let full = Hex(
        "0a036d6e3115076433c61d097100cb25010200c028023206080710011801"
            + "42160a1020010db80001000000000000000000001040180142160a1020010db800020000000000000000000010301802"
            + "4802500258f80a60d804"
    ).bytes
    private static let overUDP = Hex(
        "0a036d6e321d0a7100cb280438c0b80242160a1020010db80003000000000000000000001040180148015001"
    ).bytes
    private static let least = Hex("0a036d6e331d0b7100cb").bytes

    private static func prefix(_ text: String) throws -> IPv6Prefix { try #require(IPv6Prefix(text)) }

    private static func fullBinding() throws -> Binding {
        var binding = Binding(id: "mn1", careOfAddress: try #require(IPv4Address("203.0.113.9")))
        binding.homeAddress = IPv4Address("198.51.100.7")
        binding.endpoint = IPv4Address("192.0.2.1")
        binding.encapsulation = .gre
        binding.gre = GREOptions(key: 7, sequence: true, checksum: true)
        binding.prefixes = [
            BoundPrefix(try prefix("2001:db8:1::/64")),
            BoundPrefix(try prefix("2001:db8:2::/48"), tunnel: .homeAddress),
        ]
        binding.dscp = .pipe
        binding.ecn = .compatibility
        binding.tunnelMTU = 1400
        binding.lifetime = 600
        return binding
    }

    private static func overUDPBinding() throws -> Binding {
        var binding = Binding(id: "mn2", careOfAddress: try #require(IPv4Address("203.0.113.10")))
        binding.encapsulation = .udp
        binding.udpPort = 40_000
        binding.prefixes = [BoundPrefix(try prefix("2001:db8:3::/64"))]
        return binding
    }

    @Test("A link-local address is a prefix of length 128 by the home address; other forms are refused with the reason")
    func linkLocal() throws {
        func message(_ length: UInt32, _ tunnel: ControlPrefixTunnel) -> ControlBinding {
            .with {
                $0.id = "mn1"
                $0.homeAddress = 0xC633_6407
                $0.careOfAddress = 0xCB00_7109
                $0.prefixes = [
                    .with {
                        $0.address = Data([0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [1])
                        $0.length = length
                        $0.tunnel = tunnel
                    }
                ]
            }
        }
        let binding = try Binding(message(128, .homeAddress))
        #expect(binding.prefixes.map(\.prefix.description) == ["fe80::1/128"])
        #expect(try Binding(ControlBinding(binding)) == binding)
        for (length, tunnel, part) in [
            (128, .careOf, "link-local, which needs tunnel \"home-address\""),
            (128, .unspecified, "link-local, which needs tunnel \"home-address\""),
            (255, .homeAddress, "that of a link-local address is 128"), (64, .homeAddress, "fe80::1/64 is no prefix"),
        ] as [(UInt32, ControlPrefixTunnel, String)] {
            let error = #expect(throws: BindingError.self) { try Binding(message(length, tunnel)) }
            #expect(error?.place == "binding \"mn1\".prefixes[0]")
            #expect(error?.problem.contains(part) == true, "\(error?.problem ?? "")")
        }
    }

    @Test("That the MTU follows the path is field 13, and goes both ways")
    func mtuDiscovery() throws {
        // Binding(id="mn3", care_of_address=0xCB00710B, mtu_discovery=True)
        let bytes = Self.least + Hex("6801").bytes
        let binding = try Binding(ControlBinding(serializedBytes: bytes))
        #expect(binding.mtuDiscovery)
        #expect(try !Binding(ControlBinding(serializedBytes: Self.least)).mtuDiscovery)
        #expect(try Binding(ControlBinding(binding)) == binding)
    }

    @Test("Networks are field 15 and the role field 16, and both go both ways")
    func networksAndRole() throws {
        // Binding(id="mn3", care_of_address=0xCB00710B, networks=[Network(address=0xC6336400, length=24),
        //   Network(address=0x0A000000, length=8), Network()], role=ROLE_MOBILE_NODE)
        let bytes = Self.least + Hex("7a070d006433c610187a070d0000000a10087a00800102").bytes
        let binding = try Binding(ControlBinding(serializedBytes: bytes))
        #expect(binding.networks.map(\.description) == ["198.51.100.0/24", "10.0.0.0/8", "0.0.0.0/0"])
        #expect(binding.role == .mobileNode)
        let written: [UInt8] = try ControlBinding(binding).serializedBytes()
        #expect(try Binding(ControlBinding(serializedBytes: written)) == binding)
        let plain = try Binding(ControlBinding(serializedBytes: Self.least))
        #expect(plain.networks.isEmpty && plain.role == .homeAgent)
        // The port of Mobile IP, unless another is told; at the home agent's end one must be.
        var message = try ControlBinding(serializedBytes: bytes)
        message.encapsulation = .udp
        #expect(try Binding(message).udpPort == 434)
        message.role = .homeAgent
        #expect(throws: BindingError.self) { try Binding(message) }
    }

    @Test("Another encoder's bytes are the bindings they should be")
    func readsForeignBytes() throws {
        #expect(try Binding(ControlBinding(serializedBytes: Self.full)) == Self.fullBinding())
        #expect(try Binding(ControlBinding(serializedBytes: Self.overUDP)) == Self.overUDPBinding())
        #expect(
            try Binding(ControlBinding(serializedBytes: Self.least))
                == Binding(id: "mn3", careOfAddress: try #require(IPv4Address("203.0.113.11"))))
    }

    @Test("Bindings become the bytes of the other encoder")
    func writesForeignBytes() throws {
        #expect(try ControlBinding(Self.fullBinding()).serializedBytes() as [UInt8] == Self.full)
        #expect(try ControlBinding(Self.overUDPBinding()).serializedBytes() as [UInt8] == Self.overUDP)
    }

    @Test(
        "A field that is not acceptable is named",
        arguments: [
            ("encapsulation 9", "bindings[2].encapsulation", "9 means nothing"),
            ("dscp 7", "bindings[2].dscp", "7 means nothing"), ("ecn 5", "bindings[2].ecn", "5 means nothing"),
            ("tunnel 4", "bindings[2].prefixes[0].tunnel", "4 means nothing"),
            ("15 bytes", "bindings[2].prefixes[0].address", "has 15 bytes"),
            ("length 129", "bindings[2].prefixes[0]", "is no prefix"),
            ("host bits", "bindings[2].prefixes[0]", "2001:db8:1::/32 is no prefix"),
            ("port 65536", "bindings[2].udp.port", "65536 is no port"),
            ("port 0", "bindings[2].udp.port", "1 to 65535"), ("mtu 70000", "bindings[2].tunnelMTU", "70000"),
            ("mtu 1500", "bindings[2].tunnelMTU", "1500"), ("lifetime 0", "bindings[2].lifetime", "is 0"),
            ("no id", "bindings[2].id", "an id has"), ("no care-of", "bindings[2].careOfAddress", "0.0.0.0"),
            ("1025 prefixes", "bindings[2].prefixes", "more than 1024"),
            ("role 3", "bindings[2].role", "3 means nothing"),
            ("1025 networks", "bindings[2].networks", "more than 1024"),
            ("network of 33 bits", "bindings[2].networks[1]", "10.0.0.0/33 is no network"),
            ("network with host bits", "bindings[2].networks[0]", "10.0.0.1/8 is no network"),
        ])
    func refuses(what: String, place: String, problem: String) throws {
        var message = try ControlBinding(serializedBytes: Self.full)
        switch what {
        case "encapsulation 9": message.encapsulation = .UNRECOGNIZED(9)
        case "dscp 7": message.dscp = .UNRECOGNIZED(7)
        case "ecn 5": message.ecn = .UNRECOGNIZED(5)
        case "tunnel 4": message.prefixes[0].tunnel = .UNRECOGNIZED(4)
        case "15 bytes": message.prefixes[0].address.removeLast()
        case "length 129": message.prefixes[0].length = 129
        case "host bits": message.prefixes[0].length = 32
        case "port 65536": message.udpPort = 65_536
        case "port 0":
            message.encapsulation = .udp
            message.clearGre()
            message.udpPort = 0
        case "mtu 70000": message.tunnelMtu = 70_000
        case "mtu 1500": message.tunnelMtu = 1500
        case "lifetime 0": message.lifetime = 0
        case "no id": message.id = ""
        case "no care-of": message.careOfAddress = 0
        case "role 3": message.role = .UNRECOGNIZED(3)
        case "1025 networks": message.networks = Array(repeating: ControlNetwork(), count: 1025)
        case "network of 33 bits":
            message.networks = [
                ControlNetwork(),
                .with {
                    $0.address = 0x0A00_0000
                    $0.length = 33
                },
            ]
        case "network with host bits":
            message.networks = [
                .with {
                    $0.address = 0x0A00_0001
                    $0.length = 8
                }
            ]
        case "1025 prefixes": message.prefixes = Array(repeating: message.prefixes[0], count: 1025)
        default: Issue.record("no such case: \(what)")
        }
        let error = #expect(throws: BindingError.self) { try Binding(message, at: "bindings[2]") }
        #expect(error?.place == place)
        #expect(error?.problem.contains(problem) == true, "\(error?.problem ?? "")")
    }

    @Test("A batch names the place of the binding that is not acceptable, and its id")
    func refusesInBatch() throws {
        var put = ControlPutBindings()
        put.bindings = [ControlBinding(try Self.fullBinding()), ControlBinding(try Self.overUDPBinding())]
        #expect(try put.checkedBindings() == [Self.fullBinding(), Self.overUDPBinding()])
        put.bindings.append(put.bindings[0])
        let twice = #expect(throws: ControlError.self) { try put.checkedBindings() }
        #expect(twice?.message == "bindings[2].id: mn1 is also the id of bindings[0]")
        put.bindings[1].lifetime = 0
        let error = #expect(throws: ControlError.self) { try put.checkedBindings() }
        #expect(error?.code == .badBinding)
        #expect(error?.binding == "mn2")
        #expect(error?.message.hasPrefix("bindings[1].lifetime: ") == true)
    }

    @Test("An address has 16 bytes")
    func addressBytes() throws {
        let address = try #require(IPv6Address("2001:db8::1:2"))
        #expect(Array(address.networkOrder) == Hex("20010db8000000000000000000010002").bytes)
        #expect(IPv6Address(networkOrder: address.networkOrder) == address)
        #expect(IPv6Address(networkOrder: address.networkOrder.dropFirst()) == nil)
        #expect(IPv6Address(networkOrder: Data(count: 17)) == nil)
    }

    @Test("A page holds what was asked for, no more than fits, and knows whether there are more")
    func pages() throws {
        func states(_ count: Int, prefixes: Int = 1) -> [ControlBindingState] {
            (0..<count).map { index in
                var state = ControlBindingState()
                state.binding.id = "mn\(index)"
                state.binding.prefixes = Array(repeating: ControlBoundPrefix(), count: prefixes)
                return state
            }
        }
        func page(_ limit: UInt32, _ states: [ControlBindingState]) -> ControlBindingPage {
            var list = ControlListBindings()
            list.limit = limit
            return ControlBindingPage(answering: list, from: states)
        }
        #expect(page(0, states(101)).bindings.count == 100)
        #expect(page(0, states(101)).more)
        #expect(page(5, states(5)).bindings.count == 5)
        #expect(!page(5, states(5)).more)
        #expect(page(4_000_000_000, states(1001)).bindings.count == 1000)
        #expect(page(1000, states(9, prefixes: 1024)).bindings.count == 8)
        #expect(page(1000, states(9, prefixes: 1024)).more)
        #expect(page(1000, states(2, prefixes: 9000)).bindings.count == 1)
    }
}
