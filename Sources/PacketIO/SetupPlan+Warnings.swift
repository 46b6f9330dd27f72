// What no step can set right: addresses that do not fit the description.

import RouteNetlink
import Wire

extension SetupPlan {
    /// Sentences on what will hardly work on this host as it is now, and what to do about it. Needs no privilege.
    public func warnings() throws(SetupError) -> [String] {
        try withSocket { socket throws(SetupError) in
            let onEndpoints = try reading { () throws(RouteError) in
                let addresses = try socket.addresses(family: .v4)
                var warnings: [String] = []
                for endpoint in description.endpoints {
                    if let warning = try warning(on: endpoint, addresses, &socket) { warnings.append(warning) }
                }
                return warnings
            }
            return try onEndpoints + reversePathWarnings()
        }
    }

    /// Where the device has no IPv4 address at all, the kernel's loose filter is as strict as its strict one.
    private func reversePathWarnings() throws(SetupError) -> [String] {
        let device = description.homeDevice
        guard description.carries(.v4), description.hasErrorsFromElsewhere, !description.endpoints.isEmpty,
            !description.homeAddresses.contains(where: { $0.address.family == .v4 })
        else { return [] }
        // The stricter of the two counts; a device that is yet to be made gets the default.
        let isMade = try SetupSetting.device("ipv4", device, "rp_filter", .yes).read() != nil
        let areAll = try SetupSetting.device("ipv4", "all", "rp_filter", .yes).isSatisfied()
        let isOwn = try SetupSetting.device("ipv4", isMade ? device : "default", "rp_filter", .yes).isSatisfied()
        guard areAll || isOwn else { return [] }
        return [
            "ICMPv4 errors to senders on the home side are lost to the reverse-path filter, since \(device) has no IPv4 "
                + "address: give it one (--home-address), or set net.ipv4.conf.*.rp_filter to 0 for all and \(device)"
        ]
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
