// What a builder knows of the bindings of a world: to whom packets may be aimed, and by which tunnel.

import Bindings
import TestSupport
import Wire

/// A binding as a builder needs it: numbers alone.
struct TunnelTarget: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable { case direct, gre, minimal }

    var kind: Kind
    /// Whether the tunnel is within UDP.
    var isUDP: Bool
    var endpoint: UInt32
    var careOfAddress: UInt32
    /// 0 where there is none.
    var homeAddress: UInt32
    /// In a network, or the home address again.
    var network: UInt32
    /// Whether the tunnel's other end is the home agent's.
    var isMobileNode: Bool
    /// An address in a prefix with that tunnel; unspecified where there is none.
    var careOfInside = IPv6Address(high: 0, low: 0)
    var homeInside = IPv6Address(high: 0, low: 0)
    /// Of the tunnel's link; unspecified where there is none.
    var linkLocal = IPv6Address(high: 0, low: 0)
    var key: UInt32
    var hasKey: Bool
    var hasSequence: Bool
    var hasChecksum: Bool
    var port: UInt16

    init(_ binding: Binding, endpoint: IPv4Address) {
        switch binding.encapsulation {
        case .ipInIP: kind = .direct
        case .gre: kind = .gre
        case .minimal: kind = .minimal
        case .udp: kind = binding.carriesGRE ? .gre : binding.isMinimal ? .minimal : .direct
        }
        isUDP = binding.encapsulation == .udp
        self.endpoint = (binding.endpoint ?? endpoint).rawValue
        careOfAddress = binding.careOfAddress.rawValue
        homeAddress = binding.homeAddress?.rawValue ?? 0
        network = binding.networks.first.map { $0.address.rawValue | 0x0101 } ?? homeAddress
        isMobileNode = binding.role == .mobileNode
        key = binding.gre?.key ?? 0
        hasKey = binding.gre?.key != nil
        hasSequence = binding.gre?.sequence == true
        hasChecksum = binding.gre?.checksum == true
        port = binding.udpPort ?? MobileTunnelData.port
        for prefix in binding.prefixes {
            let address = prefix.prefix.address
            if address.isLinkLocal {
                linkLocal = isMobileNode ? IPv6Address(high: address.high, low: 5) : address
            } else if prefix.tunnel == .careOf {
                careOfInside = address
            } else {
                homeInside = address
            }
        }
    }

    /// The ends of the tunnel by way of the home address: the other one, and that of the daemon.
    var homeEnds: (UInt32, UInt32) { isMobileNode ? (careOfAddress, homeAddress) : (homeAddress, endpoint) }

    /// Of UDP: the other end's, and the daemon's.
    var ports: (UInt16, UInt16) { isMobileNode ? (MobileTunnelData.port, port) : (port, MobileTunnelData.port) }

    /// An IPv4 address of the other side's.
    func insideIPv4(using random: inout SeededGenerator) -> UInt32 {
        isMobileNode || random.below(2) == 0 ? network : homeAddress
    }

    /// An address of one of its prefixes.
    func inside(using random: inout SeededGenerator) -> IPv6Address {
        var address = isByHomeAddress(random.below(2)) ? homeInside : careOfInside
        // The prefixes of all worlds are of 64 bits or single hosts; of those, most attempts miss.
        if random.below(2) == 0 { address.low |= random.next() & 0xFF }
        return address
    }

    /// Which of its two kinds of prefix a choice of 0 or 1 means, where it may have one alone.
    func isByHomeAddress(_ choice: Int) -> Bool {
        if careOfInside.isUnspecified { return true }
        return !homeInside.isUnspecified && choice == 1
    }
}

/// All bindings of a world.
struct TunnelTargets {
    /// A group that every binding is a member of.
    static let group = IPv6Address(high: 0xFF3E << 48, low: 0x1234)

    private let storage: UnsafeBufferPointer<TunnelTarget>

    /// Kept for as long as the program runs.
    init(_ bindings: [Binding], endpoint: IPv4Address) {
        precondition(!bindings.isEmpty, "a world has bindings")
        let memory = UnsafeMutableBufferPointer<TunnelTarget>.allocate(capacity: bindings.count)
        _ = memory.initialize(from: bindings.map { TunnelTarget($0, endpoint: endpoint) })
        storage = UnsafeBufferPointer(memory)
    }

    func pick(using random: inout SeededGenerator) -> TunnelTarget { storage[random.below(storage.count)] }
}
