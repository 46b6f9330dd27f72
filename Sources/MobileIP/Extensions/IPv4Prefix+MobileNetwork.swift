// What networks behind a node may be (RFC 5177), wherever somebody writes them down.

import Wire

extension IPv4Prefix {
    /// Whether the two have an address in common: one of them then holds the other.
    func overlaps(_ other: IPv4Prefix) -> Bool {
        length <= other.length ? contains(other.address) : other.contains(address)
    }

    /// "This network", loopback, and all that is no unicast address (RFC 1122, 3.2.1.3).
    private static let notUnicast = [
        IPv4Prefix(address: IPv4Address(rawValue: 0), length: 8)!,
        IPv4Prefix(address: IPv4Address(rawValue: 127 << 24), length: 8)!,
        IPv4Prefix(address: IPv4Address(rawValue: 224 << 24), length: 3)!,
    ]

    /// Why no host or router can have an address of all of it; nil where they can.
    public var unicastObstacle: String? {
        if length == 0 { return "\(self) is all of IPv4; name the networks that are meant" }
        guard let other = Self.notUnicast.first(where: overlaps) else { return nil }
        return "\(self) is no network of unicast addresses: it has those of \(other)"
    }

    /// Why it can't be a network behind a node; nil where it can. A home address may be of its node's network (RFC 5177,
    /// 6.3), but needs none of its own.
    /// - Parameters:
    ///   - homeAddress: the node's, where it is known.
    ///   - homeAgents: addresses that tunnels to it lead from.
    public func mobileNetworkObstacle(homeAddress: IPv4Address?, homeAgents: [IPv4Address]) -> String? {
        if let unicastObstacle { return unicastObstacle }
        if let homeAgent = homeAgents.first(where: contains) {
            return "\(self) has the home agent's own address \(homeAgent), where tunnels end; take a smaller network"
        }
        if length == 32, address == homeAddress {
            return "\(self) is the home address, which is the node's without a network; leave it out"
        }
        return nil
    }
}
