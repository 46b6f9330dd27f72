// To JSON or whatever an encoder makes, in the form that BindingFile reads. `mooring`'s --json speaks of bindings in the same words.

import Wire

extension BindingFile: Encodable {
    private enum CodingKeys: String, CodingKey { case endpoint, tunnelMTU, bindings, groups }

    /// In the file's form.
    public func encode(to encoder: any Encoder) throws {
        var file = encoder.container(keyedBy: CodingKeys.self)
        try file.encodeIfPresent(endpoint?.description, forKey: .endpoint)
        try file.encodeIfPresent(tunnelMTU, forKey: .tunnelMTU)
        try file.encode(bindings, forKey: .bindings)
        if !groups.isEmpty { try file.encode(groups, forKey: .groups) }
    }
}

extension BindingFile.Group: Encodable {
    private enum CodingKeys: String, CodingKey { case group, members }

    /// In the file's form.
    public func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: CodingKeys.self)
        try object.encode(group.description, forKey: .group)
        try object.encode(members, forKey: .members)
    }
}

extension Binding: Encodable {
    private enum CodingKeys: String, CodingKey {
        case id, role, homeAddress, careOfAddress, endpoint, encapsulation, gre, udp, prefixes, networks, dscp, ecn
        case tunnelMTU, mtuDiscovery, lifetime
    }

    private enum UDPKeys: String, CodingKey { case port, encapsulation }

    /// In the form of the binding file.
    public func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: CodingKeys.self)
        try object.encode(id, forKey: .id)
        if role != .homeAgent { try object.encode(role.rawValue, forKey: .role) }
        try object.encodeIfPresent(homeAddress?.description, forKey: .homeAddress)
        try object.encode(careOfAddress.description, forKey: .careOfAddress)
        try object.encodeIfPresent(endpoint?.description, forKey: .endpoint)
        try object.encode(encapsulation.rawValue, forKey: .encapsulation)
        try object.encodeIfPresent(gre, forKey: .gre)
        if let udpPort {
            var udp = object.nestedContainer(keyedBy: UDPKeys.self, forKey: .udp)
            try udp.encode(udpPort, forKey: .port)
            if udpEncapsulation != .ipInIP { try udp.encode(udpEncapsulation.rawValue, forKey: .encapsulation) }
        }
        try object.encode(prefixes, forKey: .prefixes)
        if !networks.isEmpty { try object.encode(networks.map(\.description), forKey: .networks) }
        try object.encode(dscp.rawValue, forKey: .dscp)
        try object.encode(ecn.rawValue, forKey: .ecn)
        try object.encodeIfPresent(tunnelMTU, forKey: .tunnelMTU)
        if mtuDiscovery { try object.encode(true, forKey: .mtuDiscovery) }
        try object.encodeIfPresent(lifetime, forKey: .lifetime)
    }
}

extension GREOptions: Encodable {
    private enum CodingKeys: String, CodingKey { case key, sequence, checksum }

    /// In the form of the binding file.
    public func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: CodingKeys.self)
        try object.encodeIfPresent(key, forKey: .key)
        try object.encode(sequence, forKey: .sequence)
        try object.encode(checksum, forKey: .checksum)
    }
}

extension BoundPrefix: Encodable {
    private enum CodingKeys: String, CodingKey { case prefix, tunnel }

    /// In the form of the binding file.
    public func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: CodingKeys.self)
        try object.encode(prefix.description, forKey: .prefix)
        try object.encode(tunnel.rawValue, forKey: .tunnel)
    }
}
