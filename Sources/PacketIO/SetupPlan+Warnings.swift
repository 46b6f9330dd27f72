// What no step can set right: addresses that do not fit the description.

import RouteNetlink
import Wire

extension SetupPlan {
    /// Sentences on what will hardly work on this host as it is now, and what to do about it. Needs no privilege.
    public func warnings() throws(SetupError) -> [String] {
        try withSocket { socket throws(SetupError) in
            try reading { () throws(RouteError) in
                let addresses = try socket.addresses(family: .v4)
                var warnings: [String] = []
                for endpoint in description.endpoints {
                    if let warning = try warning(on: endpoint, addresses, &socket) { warnings.append(warning) }
                }
                return warnings
            }
        }
    }

    private func warning(
        on endpoint: IPv4Address, _ addresses: [InterfaceAddress], _ socket: inout RouteSocket
    ) throws(RouteError) -> String? {
        let isOwn = addresses.contains { $0.address == .v4(endpoint) }
        if description.sharesEndpoint {
            return isOwn
                ? nil
                : "\(endpoint) is described as the host's own address, but no interface has it: "
                    + "give it to one, or describe the endpoint as not shared"
        }
        if isOwn {
            return "\(endpoint) is the host's own address, so its packets never reach the forwarder: "
                + "describe the endpoint as shared, or take the address from the host"
        }
        for address in addresses {
            guard case .v4(let own) = address.address, address.prefixLength < 31,
                (own.rawValue ^ endpoint.rawValue) >> (32 - UInt32(address.prefixLength)) == 0,
                let link = try socket.link(index: address.link)
            else { continue }
            return
                "\(endpoint) lies in the network of \(link.name), where neighbours ask for it by ARP: see that it is "
                + "answered (ip neigh add proxy \(endpoint) dev \(shellWord(link.name))) or routed to this host"
        }
        return nil
    }
}
