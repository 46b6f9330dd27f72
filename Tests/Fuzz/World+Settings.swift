// The worlds that every batch may come into: the bindings of the vectors, which the seeds are for, and bindings of every
// kind of tunnel with every option; two devices and one; errors that are sent, limited, and not sent at all.

import Bindings
import Foundation
import TestSupport
import Wire

extension World {
    /// Settings of all worlds.
    static func all() throws -> [WorldSettings] {
        let vectors = Repository.root.appendingPathComponent("Tests/Vectors").path
        let tunnels = try BindingFile(contentsOf: "\(vectors)/tunnels-bindings.json").resolvedBindings
        let plain = try plainBindings(of: "\(vectors)/forwarding.json")
        return [
            make("plain", plain, errors: 1_000_000),
            make("tunnels", tunnels, errors: 1_000_000),
            make("every kind", everyKind, errors: 1_000_000),
            make("tunnels, one device", tunnels, errors: 1_000_000, singleDevice: true),
            make("every kind, errors limited", everyKind, errors: 100),
            make("mobile node", mobileNode, errors: 1_000_000),
            make("mobile node, one device", mobileNode, errors: 100, singleDevice: true),
            make("plain, one device, no errors", plain, errors: nil, singleDevice: true),
            withSuperFrames(make("super-frames split", everyKind, errors: 1_000_000), push: false),
            withSuperFrames(make("super-frames pushed", everyKind, errors: 1_000_000), push: true),
            withSuperFrames(make("super-frames, mobile node", mobileNode, errors: 1_000_000), push: true),
        ]
    }

    private static let endpoint = IPv4Address("192.0.2.1")!

    private static func make(
        _ name: String, _ bindings: [Binding], errors: UInt64?, singleDevice: Bool = false
    ) -> WorldSettings {
        var settings = WorldSettings(name: name, endpoint: endpoint, bindings: bindings)
        settings.forwarder.endpoints = [endpoint, IPv4Address("192.0.2.2")!]
        settings.forwarder.errorSource = errors == nil ? nil : IPv6Address("2001:db8:ffff::1")!
        settings.forwarder.errorsPerSecond = errors ?? 0
        settings.forwarder.singleDevice = singleDevice
        settings.groups = [TunnelTargets.group]
        settings.puntCapacity = errors == nil ? nil : 1 << 11
        // So few that fragments come to every bound.
        settings.forwarder.reassembly.datagrams = 16
        settings.forwarder.reassembly.bytes = 1 << 16
        settings.forwarder.reassembly.fragments = 4
        settings.forwarder.reassembly.age = 1_000_000_000
        return settings
    }

    private static func withSuperFrames(_ world: WorldSettings, push: Bool) -> WorldSettings {
        var world = world
        world.hasSuperFrames = true
        world.forwarder.sendsSuperFrames = push
        world.forwarder.sendsTrains = true
        (world.forwarder.joinsSegments, world.forwarder.joinsDatagrams) = (true, true)
        return world
    }

    /// IP-in-IP to the care-of address, with every model and mode.
    private static func plainBindings(of path: String) throws -> [Binding] {
        struct Content: Decodable {
            struct Item: Decodable {
                let id, careOfAddress, prefix, dscp, ecn: String
                let tunnelMTU: UInt16?
                let endpoint: String?
            }
            let bindings: [Item]
        }
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        return try JSONDecoder().decode(Content.self, from: data).bindings.map { item in
            let prefix = BoundPrefix(IPv6Prefix(item.prefix)!)
            var binding = Binding(id: item.id, careOfAddress: IPv4Address(item.careOfAddress)!, prefixes: [prefix])
            binding.dscp = DSCPModel(rawValue: item.dscp)!
            binding.ecn = ECNMode(rawValue: item.ecn)!
            binding.tunnelMTU = item.tunnelMTU
            binding.endpoint = item.endpoint.map { IPv4Address($0)! }
            return binding
        }
    }

    /// Each kind of tunnel, GRE with each of its options and all together, both models and both modes: 40 bindings, each
    /// with a home address, a prefix for each way, and an address of the tunnel's link.
    private static let everyKind: [Binding] = {
        // Seeds name bindings by their number: what is new comes behind.
        var kinds: [(Encapsulation, GREOptions?, UInt16?, UDPEncapsulation)] = [
            (.ipInIP, nil, nil, .ipInIP), (.minimal, nil, nil, .ipInIP), (.udp, nil, 40_000, .ipInIP),
            (.udp, nil, 434, .ipInIP), (.gre, nil, nil, .ipInIP),
        ]
        kinds += [1, 2, 4, 5, 7].map { options in
            let key: UInt32? = options & 1 == 0 ? nil : 7
            return (.gre, GREOptions(key: key, sequence: options & 2 != 0, checksum: options & 4 != 0), nil, .ipInIP)
        }
        kinds += [
            (.udp, nil, 40_001, .gre), (.udp, nil, 434, .minimal),
            (.udp, GREOptions(key: 8, sequence: true, checksum: true), 40_000, .gre),
        ]
        var bindings: [Binding] = []
        for (encapsulation, gre, port, udpEncapsulation) in kinds {
            for dscp in DSCPModel.allCases {
                for ecn in ECNMode.allCases {
                    let number = bindings.count + 1
                    var binding = Binding(
                        id: "node-\(number)", careOfAddress: IPv4Address("203.0.113.\(number)")!,
                        prefixes: [
                            BoundPrefix(IPv6Prefix("2001:db8:\(100 + number)::/64")!, tunnel: .homeAddress)
                        ])
                    binding.encapsulation = encapsulation
                    (binding.gre, binding.udpPort, binding.udpEncapsulation) = (gre, port, udpEncapsulation)
                    // Minimal encapsulation carries no IPv6 by itself.
                    if !binding.isMinimal {
                        binding.prefixes.append(BoundPrefix(IPv6Prefix("2001:db8:\(number)::/64")!))
                    }
                    binding.homeAddress = IPv4Address("198.51.100.\(number)")!
                    (binding.dscp, binding.ecn) = (dscp, ecn)
                    binding.prefixes.append(
                        BoundPrefix(.host(IPv6Address("fe80::\(number)")!), tunnel: .homeAddress))
                    if number.isMultiple(of: 2) { binding.networks = [IPv4Prefix("10.\(number).0.0/16")!] }
                    binding.mtuDiscovery = number.isMultiple(of: 3)
                    binding.tunnelMTU = number.isMultiple(of: 2) ? 1480 : nil
                    bindings.append(binding)
                }
            }
        }
        return bindings
    }()

    /// The other ends of these: each leads to a home agent, behind which its prefixes and networks are. The link is that of
    /// the first.
    private static let mobileNode = everyKind.enumerated().map { index, binding in
        var binding = binding
        binding.role = .mobileNode
        binding.networks = [IPv4Prefix("10.\(index + 1).0.0/16")!]
        binding.prefixes.removeAll { $0.prefix.address.isLinkLocal }
        if index == 0 { binding.prefixes.append(BoundPrefix(.linkLocal, tunnel: .homeAddress)) }
        return binding
    }
}
