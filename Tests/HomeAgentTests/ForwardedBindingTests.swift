// Bindings of the home agent as the forwarder is told of them.

import Bindings
import Testing
import Wire

@testable import HomeAgent
@testable import MobileIP

@Suite("Bindings for the forwarder") struct ForwardedBindingTests {
    private static func binding(
        _ encapsulation: MobilityTunnel.Encapsulation, udpPort: UInt16? = nil, lifetime: UInt32? = 600
    ) -> Binding {
        Binding(
            MobilityBinding(
                homeAddress: IPv4Address("198.51.100.7")!,
                tunnel: MobilityTunnel(
                    endpoint: IPv4Address("192.0.2.1")!, careOfAddress: IPv4Address("203.0.113.9")!,
                    encapsulation: encapsulation, udpPort: udpPort),
                prefixes: [
                    RegisteredPrefix(IPv6Prefix("2001:db8:1::/64")!, usesCareOfAddress: false),
                    RegisteredPrefix(IPv6Prefix("fe80::1/128")!, usesCareOfAddress: false),
                ],
                networks: [IPv4Prefix("10.1.0.0/16")!], lifetime: lifetime))
    }

    @Test("each kind of tunnel is that of the forwarder, and valid there")
    func kinds() throws {
        let plain = Self.binding(.ipInIP)
        #expect(plain.encapsulation == .ipInIP && plain.gre == nil && plain.udpPort == nil)
        #expect(plain.id == "198.51.100.7" && plain.homeAddress?.description == "198.51.100.7")
        #expect(plain.endpoint?.description == "192.0.2.1" && plain.careOfAddress.description == "203.0.113.9")
        #expect(plain.prefixes.map(\.tunnel) == [.homeAddress, .homeAddress])
        #expect(plain.networks.map(\.description) == ["10.1.0.0/16"])
        let gre = Self.binding(.gre(key: 7))
        #expect(gre.encapsulation == .gre && gre.gre?.key == 7)
        let minimal = Self.binding(.minimal)
        #expect(minimal.encapsulation == .minimal && minimal.gre == nil)
        let udp = Self.binding(.gre(key: nil), udpPort: 40000)
        #expect(udp.encapsulation == .udp && udp.udpEncapsulation == .gre && udp.udpPort == 40000)
        #expect(Self.binding(.minimal, udpPort: 1).udpEncapsulation == .minimal)
        for binding in [plain, gre, minimal, udp] { try binding.validate() }
    }

    @Test("the forwarder ends a binding a little later than the home agent, and one for ever never")
    func lifetimes() {
        #expect(Self.binding(.ipInIP).lifetime == 605)
        #expect(Self.binding(.ipInIP, lifetime: nil).lifetime == nil)
        #expect(Self.binding(.ipInIP, lifetime: .max).lifetime == .max)
    }
}
