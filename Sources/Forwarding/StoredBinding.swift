// What the writer keeps of a binding beside its record: what the record, made for packets, does not tell. The binding as a
// value is put together from both when somebody asks for it.

import Bindings
import PrefixTable
import Wire

/// A binding in a store. 64 bytes; ids of up to 15 bytes have their place in them.
struct StoredBinding {
    /// What the binding said, where its record holds what it came to.
    struct Choices: OptionSet {
        let rawValue: UInt8
        static let homeAddress = Choices(rawValue: 1)
        static let endpoint = Choices(rawValue: 2)
        static let tunnelMTU = Choices(rawValue: 4)
        static let greOptions = Choices(rawValue: 8)
        static let prefix = Choices(rawValue: 16)
        static let prefixByHomeAddress = Choices(rawValue: 32)
        /// There are networks and no prefixes, so what stands first is a network.
        static let onlyNetworks = Choices(rawValue: 128)
        /// Always there, so that a place without a binding can be told, whose bytes are zero.
        static let isThere = Choices(rawValue: 64)
    }

    let id: String
    /// All prefixes but the first, which its record holds. Networks stand behind them in their mapped form, which no
    /// prefix has (`Binding.validate`).
    private let furtherPrefixes: [BoundPrefix]
    /// In nanoseconds, on the clock of `BindingTable.put`; the largest value for ever.
    var expiry: UInt64
    let revision: UInt64
    /// The table's last revision when it was last named.
    var named: UInt64
    /// The number of its record.
    let record: UInt32
    /// Its neighbours in the list of its lifetime.
    var next = LifetimeWheel.none
    var previous = LifetimeWheel.none
    /// Whose it is, as `BindingOwners` counts them.
    var owner: UInt8
    private let choices: Choices

    /// Where the byte stands that is zero where there is no binding.
    static var choicesOffset: Int { MemoryLayout<StoredBinding>.offset(of: \.choices)! }

    init(_ binding: Binding, expiry: UInt64?, revision: UInt64, owner: UInt8, named: UInt64, record: UInt32) {
        id = binding.id
        let networks = binding.networks.map { BoundPrefix($0.mapped) }
        let prefixes = networks.isEmpty ? binding.prefixes : binding.prefixes + networks
        furtherPrefixes = Array(prefixes.dropFirst())
        self.expiry = expiry ?? .max
        self.revision = revision
        self.owner = owner
        self.named = named
        self.record = record
        var choices: Choices = .isThere
        if binding.homeAddress != nil { choices.insert(.homeAddress) }
        if binding.endpoint != nil { choices.insert(.endpoint) }
        if binding.tunnelMTU != nil { choices.insert(.tunnelMTU) }
        if binding.gre != nil { choices.insert(.greOptions) }
        if let first = prefixes.first {
            choices.insert(.prefix)
            if first.tunnel == .homeAddress { choices.insert(.prefixByHomeAddress) }
            if first.isNetwork { choices.insert(.onlyNetworks) }
        }
        self.choices = choices
    }

    var hasLifetime: Bool { expiry != .max }
    var hasOwnEndpoint: Bool { choices.contains(.endpoint) }
    var carriesCareOf: Bool {
        (choices.contains(.prefix) && choices.isDisjoint(with: [.prefixByHomeAddress, .onlyNetworks]))
            || furtherPrefixes.contains { $0.tunnel == .careOf && !$0.isNetwork }
    }
    var hasOwnTunnelMTU: Bool { choices.contains(.tunnelMTU) }
    var hasHomeAddress: Bool { choices.contains(.homeAddress) }
    /// Of prefixes and networks.
    var prefixCount: Int { furtherPrefixes.count + (choices.contains(.prefix) ? 1 : 0) }

    private func firstPrefix(_ record: BindingRecord) -> BoundPrefix? {
        guard choices.contains(.prefix) else { return nil }
        return BoundPrefix(
            IPv6Prefix(containing: record.prefixAddress, length: record.prefixLength),
            tunnel: choices.contains(.prefixByHomeAddress) ? .homeAddress : .careOf)
    }

    /// Its prefixes and networks, one after the other.
    func forEachPrefix(_ record: BindingRecord, _ body: (BoundPrefix) -> Void) {
        if let first = firstPrefix(record) { body(first) }
        for bound in furtherPrefixes { body(bound) }
    }

    /// The binding without its lifetime.
    func binding(_ record: BindingRecord) -> Binding {
        var binding = Binding(id: id, careOfAddress: record.careOfAddress)
        if let first = firstPrefix(record) {
            binding.prefixes = [first] + furtherPrefixes
            if binding.prefixes[binding.prefixes.count - 1].isNetwork {
                binding.networks = binding.prefixes.compactMap(\.prefix.mappedIPv4)
                binding.prefixes.removeLast(binding.networks.count)
            }
        }
        if record.isMobileNode { binding.role = .mobileNode }
        if hasHomeAddress { binding.homeAddress = record.homeAddress }
        if hasOwnEndpoint { binding.endpoint = record.endpoint }
        if hasOwnTunnelMTU { binding.tunnelMTU = record.tunnelMTU }
        (binding.encapsulation, binding.udpEncapsulation) = record.form.encapsulation
        if choices.contains(.greOptions) {
            binding.gre = GREOptions(
                key: record.hasKey ? record.key : nil, sequence: record.hasSequence, checksum: record.hasChecksum)
        }
        if record.form.isUDP { binding.udpPort = record.port }
        binding.dscp = record.copiedIn == 0 ? .pipe : .uniform
        binding.ecn = record.copiedOut & 3 == 0 ? .compatibility : .normal
        binding.mtuDiscovery = record.pathMTU != PrefixTable.noValue
        return binding
    }
}

extension BoundPrefix {
    /// Whether it is an IPv4 network in its mapped form.
    var isNetwork: Bool { prefix.length >= 96 && prefix.address.mappedIPv4 != nil }
}
