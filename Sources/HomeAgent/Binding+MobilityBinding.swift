// The home agent's bindings as the forwarder's.

import Bindings
import MobileIP
import Wire

extension Binding {
    /// A binding as the forwarder is told of it.
    /// - Parameters:
    ///   - lifetimeMargin: seconds that are added to its lifetime. The home agent ends a binding by itself; the forwarder
    ///     does so only where it has lost its home agent.
    init(_ mobility: MobilityBinding, lifetimeMargin: UInt32 = Self.lifetimeMargin) {
        self.init(
            id: mobility.id, careOfAddress: mobility.tunnel.careOfAddress,
            prefixes: mobility.prefixes.map {
                BoundPrefix($0.prefix, tunnel: $0.usesCareOfAddress ? .careOf : .homeAddress)
            })
        homeAddress = mobility.homeAddress
        networks = mobility.networks
        endpoint = mobility.tunnel.endpoint
        lifetime = mobility.lifetime.map { UInt32(clamping: UInt64($0) + UInt64(lifetimeMargin)) }
        udpPort = mobility.tunnel.udpPort
        let isInUDP = udpPort != nil
        if isInUDP { encapsulation = .udp }
        switch mobility.tunnel.encapsulation {
        case .ipInIP: break
        case .gre(let key):
            if isInUDP { udpEncapsulation = .gre } else { encapsulation = .gre }
            gre = GREOptions(key: key)
        case .minimal:
            if isInUDP { udpEncapsulation = .minimal } else { encapsulation = .minimal }
        }
    }

    /// In seconds: what a home agent that is busy may be late by.
    static let lifetimeMargin: UInt32 = 5
}
