// Policies as the configuration file has them.

import Bindings
import MobileIP

extension NodePolicy {
    private static let keys = [
        "name", "tunneling-modes", "encapsulations", "reverse-tunnel", "simultaneous-bindings", "maximum-lifetime",
        "maximum-prefixes", "prefix-pools", "link-local", "multicast-groups", "maximum-groups",
    ]

    private enum TunnelingMode: String, CaseIterable { case careOf = "care-of", homeAddress = "home-address" }
    private enum EncapsulationName: String, CaseIterable { case gre, minimal, udp }
    private enum ReverseTunnelName: String, CaseIterable { case refused, allowed, required }
    private enum SimultaneousName: String, CaseIterable { case replaced, refused }

    /// A policy with its name.
    static func named(_ value: StrictJSON.Value) throws(StrictJSON.Failure) -> (String, NodePolicy) {
        let object = try value.object(keys: keys)
        var policy = NodePolicy()
        if let modes = object["tunneling-modes"] {
            policy.tunnelingModes = []
            for mode in try modes.array() {
                switch try mode.choice(of: TunnelingMode.self) {
                case .careOf: policy.tunnelingModes.insert(.careOfAddress)
                case .homeAddress: policy.tunnelingModes.insert(.homeAddress)
                }
            }
        }
        if let encapsulations = object["encapsulations"] {
            policy.encapsulations = []
            for encapsulation in try encapsulations.array() {
                switch try encapsulation.choice(of: EncapsulationName.self) {
                case .gre: policy.encapsulations.insert(.gre)
                case .minimal: policy.encapsulations.insert(.minimal)
                case .udp: policy.encapsulations.insert(.udp)
                }
            }
        }
        switch try object["reverse-tunnel"]?.choice(of: ReverseTunnelName.self) {
        case .refused: policy.reverseTunnel = .refused
        case .required: policy.reverseTunnel = .required
        case .allowed, nil: break
        }
        switch try object["simultaneous-bindings"]?.choice(of: SimultaneousName.self) {
        case .refused: policy.simultaneousBindings = .refused
        case .replaced, nil: break
        }
        if let value = object["maximum-lifetime"] { policy.maximumLifetime = try value.lifetime() }
        if let value = object["maximum-prefixes"] { policy.maximumPrefixes = try value.integer(in: 0...1024) }
        if let value = object["prefix-pools"] { policy.mayUsePrefixPools = try value.bool() }
        if let value = object["link-local"] { policy.mayUseLinkLocal = try value.bool() }
        if let groups = object["multicast-groups"] {
            policy.multicast.groups = try groups.array().map { value throws(StrictJSON.Failure) in
                let range = try value.prefix()
                guard range.address.isMulticast, range.length >= 8 else {
                    throw value.failure("\(range) is no range of multicast groups, such as ff3e::/16")
                }
                return range
            }
        }
        if let value = object["maximum-groups"] { policy.multicast.maximumGroups = try value.integer(in: 0...1024) }
        return (try object.required("name").string(), policy)
    }
}
