// From JSON to a BindingFile. What may be left out takes Binding's defaults: IP-in-IP, care-of tunnel, uniform DSCP,
// normal ECN, no home address, no prefixes, for ever.

import Wire

extension BindingFile {
    init(_ root: StrictJSON.Value) throws(StrictJSON.Failure) {
        let file = try root.object(keys: ["endpoint", "tunnelMTU", "bindings", "groups"])
        self.init()
        endpoint = try file["endpoint"]?.ipv4Address()
        tunnelMTU = try file["tunnelMTU"]?.integer(in: BindingLimits.tunnelMTU)
        for value in try file.required("bindings").array() { bindings.append(try Binding(value)) }
        for value in try file["groups"]?.array() ?? [] { groups.append(try Group(value)) }
        do throws(BindingError) {
            try validate()
        } catch {
            throw StrictJSON.Failure(error.place, error.problem)
        }
    }
}

extension BindingFile.Group {
    fileprivate init(_ value: StrictJSON.Value) throws(StrictJSON.Failure) {
        let object = try value.object(keys: ["group", "members"])
        group = try object.required("group").parsed(IPv6Address.self, "an IPv6 address")
        members = []
        for member in try object.required("members").array() { members.append(try member.string()) }
    }
}

extension Binding {
    fileprivate init(_ value: StrictJSON.Value) throws(StrictJSON.Failure) {
        let object = try value.object(keys: [
            "id", "role", "homeAddress", "careOfAddress", "endpoint", "encapsulation", "gre", "udp", "prefixes",
            "networks", "dscp",
            "ecn", "tunnelMTU", "mtuDiscovery", "lifetime",
        ])
        self.init(
            id: try object.required("id").string(),
            careOfAddress: try object.required("careOfAddress").ipv4Address())
        role = try object["role"]?.choice(of: Role.self) ?? role
        homeAddress = try object["homeAddress"]?.ipv4Address()
        endpoint = try object["endpoint"]?.ipv4Address()
        encapsulation = try object["encapsulation"]?.choice(of: Encapsulation.self) ?? encapsulation
        if let value = object["gre"] { gre = try GREOptions(value) }
        if let udp = try object["udp"]?.object(keys: ["port", "encapsulation"]) {
            udpPort = try (role == .mobileNode ? udp["port"] : udp.required("port"))?.integer(in: 1...UInt16.max)
            udpEncapsulation =
                try udp["encapsulation"]?.choice(of: UDPEncapsulation.self) ?? udpEncapsulation
        }
        setUsualPort()
        for value in try object["prefixes"]?.array() ?? [] { prefixes.append(try BoundPrefix(value)) }
        for value in try object["networks"]?.array() ?? [] {
            networks.append(
                try value.parsed(
                    IPv4Prefix.self, "an IPv4 network such as 198.51.100.0/24, all bits past its length zero"))
        }
        dscp = try object["dscp"]?.choice(of: DSCPModel.self) ?? dscp
        ecn = try object["ecn"]?.choice(of: ECNMode.self) ?? ecn
        tunnelMTU = try object["tunnelMTU"]?.integer(in: BindingLimits.tunnelMTU)
        mtuDiscovery = try object["mtuDiscovery"]?.bool() ?? false
        lifetime = try object["lifetime"]?.integer(in: 0...UInt32.max)
    }
}

extension GREOptions {
    fileprivate init(_ value: StrictJSON.Value) throws(StrictJSON.Failure) {
        let object = try value.object(keys: ["key", "sequence", "checksum"])
        self.init(
            key: try object["key"]?.integer(in: 0...UInt32.max),
            sequence: try object["sequence"]?.bool() ?? false,
            checksum: try object["checksum"]?.bool() ?? false)
    }
}

extension BoundPrefix {
    fileprivate init(_ value: StrictJSON.Value) throws(StrictJSON.Failure) {
        let object = try value.object(keys: ["prefix", "tunnel"])
        self.init(
            try object.required("prefix").parsed(
                IPv6Prefix.self, "an IPv6 prefix such as 2001:db8:1::/64, all bits past its length zero"),
            tunnel: try object["tunnel"]?.choice(of: PrefixTunnel.self) ?? .careOf)
    }
}

extension StrictJSON.Value {
    fileprivate func ipv4Address() throws(StrictJSON.Failure) -> IPv4Address {
        try parsed(IPv4Address.self, "an IPv4 address")
    }
}
