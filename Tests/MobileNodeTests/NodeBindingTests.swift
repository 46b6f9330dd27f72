import Bindings
import ControlProtocol
import MobileIP
import Testing
import Wire

@testable import MobileNode

@Suite("The mobile node's tunnel as mooringd's binding")
struct NodeBindingTests {
    private func tunnel(_ change: (inout MobileNode.Tunnel) -> Void = { _ in }) throws -> MobileNode.Tunnel {
        var configuration = MobileNodeConfiguration(
            homeAddress: IPv4Address("198.51.100.7"), homeAgents: [IPv4Address("192.0.2.1")!],
            securityAssociation: try SecurityAssociation(securityParameterIndex: 256, key: Array(0..<16)))
        configuration.prefixes = [.init(IPv6Prefix("2001:db8:1::/64")!)]
        let prefix = IPv6HomePrefix(configuration.prefixes[0].prefix)
        var node = MobileNode(configuration)
        let moment = MobileNode.Moment(elapsed: .zero, timeOfDay: NetworkTime(secondsSince1970: 1), random: 1)
        let requested = node.handle(
            .careOfAddressAvailable(IPv4Address("203.0.113.9")!, interface: "eth0"), at: moment)
        guard case .send(let datagram) = requested.first else { throw ControlClientError.unexpected("\(requested)") }
        let request = try RegistrationRequest.parse(datagram.payload).message
        let reply = RegistrationReply(
            code: .accepted, lifetime: request.lifetime, homeAddress: request.homeAddress,
            homeAgent: request.homeAgent, identification: request.identification,
            extensions: [.ipv6PrefixReply(IPv6PrefixReply(code: .acceptedCareOfAddress, prefix: prefix))])
        let payload = try configuration.securityAssociation.sign(reply, as: .mobileHome)
        for case .installTunnel(var tunnel) in node.handle(
            .datagramReceived(payload, from: request.homeAgent, port: 434), at: moment)
        {
            change(&tunnel)
            return tunnel
        }
        throw ControlClientError.unexpected("no tunnel")
    }

    private func binding(_ change: (inout MobileNode.Tunnel) -> Void = { _ in }) throws -> Binding {
        let binding = Binding(try tunnel(change), remaining: 600, tunnelMTU: nil)
        try binding.validate()
        return binding
    }

    @Test("leads from the care-of address to the home agent")
    func ends() throws {
        let binding = try binding()
        #expect(binding.role == .mobileNode && binding.id == "mooring-mn")
        #expect(binding.careOfAddress == IPv4Address("192.0.2.1") && binding.endpoint == IPv4Address("203.0.113.9"))
        #expect(binding.homeAddress == IPv4Address("198.51.100.7") && binding.lifetime == 600)
        #expect(binding.encapsulation == .ipInIP && binding.udpPort == nil && binding.gre == nil)
        #expect(binding.prefixes == [BoundPrefix(IPv6Prefix("::/0")!, tunnel: .careOf)])
        #expect(binding.networks == [IPv4Prefix("0.0.0.0/0")!])
    }

    @Test("is by way of the home address where one prefix is")
    func homeAddress() throws {
        let binding = try binding { tunnel in
            tunnel.prefixes.append(tunnel.prefixes[0])
            tunnel.prefixes[1].tunnel = .homeAddress
        }
        #expect(binding.prefixes == [BoundPrefix(IPv6Prefix("::/0")!, tunnel: .homeAddress)])
    }

    @Test("P1 has link-local traffic by way of the home address")
    func linkLocal() throws {
        let binding = try binding { tunnel in
            tunnel.prefixes[0].prefix = .host(IPv6Address("fe80::c633:6407")!)
            tunnel.prefixes[0].tunnel = .homeAddress
        }
        #expect(binding.prefixes == [BoundPrefix(.linkLocal, tunnel: .homeAddress)])
    }

    @Test("M3 H10 at a foreign agent is IPv6 from the home address alone, whatever is between the agents")
    func foreignAgent() throws {
        let binding = try binding { tunnel in
            tunnel.isCoLocated = false
            tunnel.encapsulation = .gre
            tunnel.prefixes.append(tunnel.prefixes[0])
            tunnel.prefixes[1].prefix = .host(IPv6Address("fe80::c633:6407")!)
            for index in 0..<2 { tunnel.prefixes[index].tunnel = .homeAddress }
        }
        #expect(binding.endpoint == IPv4Address("198.51.100.7") && binding.careOfAddress == IPv4Address("192.0.2.1"))
        #expect(binding.encapsulation == .ipInIP && binding.gre == nil && binding.networks.isEmpty)
        #expect(
            binding.prefixes == [
                BoundPrefix(IPv6Prefix("::/0")!, tunnel: .careOf), BoundPrefix(.linkLocal, tunnel: .careOf),
            ])
    }

    @Test("N1 is in UDP from the port of registrations, with what was negotiated inside")
    func udp() throws {
        for (inner, expected) in [
            (MobileNodeConfiguration.Encapsulation.ipInIP, UDPEncapsulation.ipInIP), (.gre, .gre),
        ] {
            let binding = try binding { tunnel in
                tunnel.encapsulation = inner
                tunnel.udp = .init(local: 4340, remote: 434)
            }
            #expect(binding.encapsulation == .udp && binding.udpPort == 4340 && binding.udpEncapsulation == expected)
            #expect((binding.gre != nil) == (inner == .gre))
        }
    }
}
