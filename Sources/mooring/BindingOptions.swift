// A binding's parts as options. What may be absent from a binding can be taken away again with "none".

import ArgumentParser
import Bindings
import Wire

struct BindingOptions: ParsableArguments {
    /// The value of an option that may also say that there is none.
    enum Setting<Value: Sendable>: Sendable {
        case none
        case value(Value)

        var value: Value? { if case .value(let value) = self { value } else { nil } }
    }

    @Option(
        name: .customLong("care-of"),
        help: ArgumentHelp("Where the tunnel leads.", valueName: "ipv4-address"), transform: parseIPv4)
    var careOf: IPv4Address?

    @Option(
        name: .customLong("prefix"),
        help: ArgumentHelp(
            "A prefix that is tunnelled to the node; may be given several times.",
            discussion: "By the tunnel to the care-of address, or with \",home-address\" behind it by way of the home "
                + "address. All of them replace those that were there; \"none\" takes them away.",
            valueName: "prefix[,home-address]"),
        transform: parsePrefix)
    var prefixes: [Setting<BoundPrefix>] = []

    @Option(
        name: .customLong("network"),
        help: ArgumentHelp(
            "An IPv4 network that is tunnelled to the node; may be given several times.",
            discussion: "All of them replace those that were there; \"none\" takes them away.",
            valueName: "network"),
        transform: parseSetting(parseNetwork))
    var networks: [Setting<IPv4Prefix>] = []

    @Option(
        help: ArgumentHelp(
            "At which end of the tunnel the daemon is: home-agent or mobile-node.",
            discussion: "At the mobile node's, --care-of is the home agent's address and --endpoint the node's care-of "
                + "address.",
            valueName: "role"),
        transform: parseChoice(Role.self))
    var role: Role?

    @Option(
        name: .customLong("home-address"),
        help: ArgumentHelp("The node's IPv4 home address, or none.", valueName: "ipv4-address"),
        transform: parseSetting(parseIPv4))
    var homeAddress: Setting<IPv4Address>?

    @Option(
        help: ArgumentHelp(
            "Where the tunnel starts; none: at the daemon's endpoint.", valueName: "ipv4-address"),
        transform: parseSetting(parseIPv4))
    var endpoint: Setting<IPv4Address>?

    @Option(
        help: ArgumentHelp("ip-in-ip, gre, minimal or udp.", valueName: "kind"),
        transform: parseChoice(Encapsulation.self))
    var encapsulation: Encapsulation?

    @Option(
        name: .customLong("gre-key"), help: ArgumentHelp("The GRE key, or none.", valueName: "number"),
        transform: parseSetting(parseNumber(UInt32.self)))
    var greKey: Setting<UInt32>?

    @Flag(name: .customLong("gre-sequence"), inversion: .prefixedNo, help: "Number GRE packets.")
    var greSequence: Bool?

    @Flag(name: .customLong("gre-checksum"), inversion: .prefixedNo, help: "Put checksums into GRE packets.")
    var greChecksum: Bool?

    @Option(
        name: .customLong("udp-port"), help: ArgumentHelp("The node's UDP port.", valueName: "port"),
        transform: parseNumber(UInt16.self))
    var udpPort: UInt16?

    @Option(
        name: .customLong("udp-encapsulation"),
        help: ArgumentHelp("What stands inside of UDP: ip-in-ip, gre or minimal.", valueName: "kind"),
        transform: parseChoice(UDPEncapsulation.self))
    var udpEncapsulation: UDPEncapsulation?

    @Option(
        help: ArgumentHelp("How DSCP is treated: uniform or pipe.", valueName: "model"),
        transform: parseChoice(DSCPModel.self))
    var dscp: DSCPModel?

    @Option(
        help: ArgumentHelp("How ECN is treated: normal or compatibility.", valueName: "mode"),
        transform: parseChoice(ECNMode.self))
    var ecn: ECNMode?

    @Option(
        name: .customLong("tunnel-mtu"),
        help: ArgumentHelp("The largest inner packet, 1280 to 1480; none: the daemon's.", valueName: "bytes"),
        transform: parseSetting(parseNumber(UInt16.self)))
    var tunnelMTU: Setting<UInt16>?

    @Flag(
        name: .customLong("mtu-discovery"), inversion: .prefixedNo,
        help: "Follow what the path says of its MTU, up to --tunnel-mtu, or 1480 without it.")
    var mtuDiscovery: Bool?

    @Option(
        help: ArgumentHelp("After how many seconds it is removed; forever: never.", valueName: "seconds"),
        transform: parseSetting(parseNumber(UInt32.self), none: "forever"))
    var lifetime: Setting<UInt32>?

    /// Whether any of the options stands on the command line.
    var isAnythingNamed: Bool {
        careOf != nil || !prefixes.isEmpty || !networks.isEmpty || role != nil || homeAddress != nil || endpoint != nil
            || encapsulation != nil
            || greKey != nil || greSequence != nil || greChecksum != nil || udpPort != nil
            || udpEncapsulation != nil || dscp != nil || ecn != nil || tunnelMTU != nil || mtuDiscovery != nil
            || lifetime != nil
    }

    /// Sets what is named, and checks what comes of it.
    func apply(to binding: inout Binding) throws(BindingError) {
        if let careOf { binding.careOfAddress = careOf }
        if !prefixes.isEmpty { binding.prefixes = prefixes.compactMap(\.value) }
        if !networks.isEmpty { binding.networks = networks.compactMap(\.value) }
        if let role { binding.role = role }
        if let homeAddress { binding.homeAddress = homeAddress.value }
        if let endpoint { binding.endpoint = endpoint.value }
        if let encapsulation {
            binding.encapsulation = encapsulation
            if encapsulation != .udp { (binding.udpPort, binding.udpEncapsulation) = (nil, .ipInIP) }
        }
        if let udpEncapsulation { binding.udpEncapsulation = udpEncapsulation }
        if encapsulation != nil || udpEncapsulation != nil, !binding.carriesGRE { binding.gre = nil }
        if greKey != nil || greSequence != nil || greChecksum != nil {
            var options = binding.gre ?? GREOptions()
            if let greKey { options.key = greKey.value }
            if let greSequence { options.sequence = greSequence }
            if let greChecksum { options.checksum = greChecksum }
            binding.gre = options
        }
        if let udpPort { binding.udpPort = udpPort }
        binding.setUsualPort()
        if let dscp { binding.dscp = dscp }
        if let ecn { binding.ecn = ecn }
        if let tunnelMTU { binding.tunnelMTU = tunnelMTU.value }
        if let mtuDiscovery { binding.mtuDiscovery = mtuDiscovery }
        if let lifetime { binding.lifetime = lifetime.value }
        try binding.validate()
    }
}

func parseIPv4(_ text: String) throws -> IPv4Address {
    guard let address = IPv4Address(text) else { throw ValidationError("it is no IPv4 address") }
    return address
}

private func parseNetwork(_ text: String) throws -> IPv4Prefix {
    guard let network = IPv4Prefix(text) else {
        throw ValidationError("it is no IPv4 network such as 198.51.100.0/24, all bits past its length zero")
    }
    return network
}

private func parsePrefix(_ text: String) throws -> BindingOptions.Setting<BoundPrefix> {
    if text == "none" { return .none }
    let parts = text.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
    guard let prefix = IPv6Prefix(String(parts[0])) else {
        throw ValidationError("it is no IPv6 prefix such as 2001:db8:1::/64, all bits past its length zero")
    }
    guard parts.count == 2 else { return .value(BoundPrefix(prefix)) }
    return .value(BoundPrefix(prefix, tunnel: try parseChoice(PrefixTunnel.self)(String(parts[1]))))
}

private func parseNumber<Number: FixedWidthInteger & Sendable>(
    _ type: Number.Type
) -> @Sendable (String) throws -> Number {
    { text in
        guard let number = Number(text) else {
            throw ValidationError("it is no whole number from \(Number.min) to \(Number.max)")
        }
        return number
    }
}

private func parseChoice<Choice: RawRepresentable & CaseIterable & Sendable>(
    _ type: Choice.Type
) -> @Sendable (String) throws -> Choice where Choice.RawValue == String {
    { text in
        guard let choice = Choice(rawValue: text) else {
            throw ValidationError("it is none of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return choice
    }
}

private func parseSetting<Value: Sendable>(
    _ parse: @escaping @Sendable (String) throws -> Value, none: String = "none"
) -> @Sendable (String) throws -> BindingOptions.Setting<Value> {
    { text in text == none ? .none : .value(try parse(text)) }
}
