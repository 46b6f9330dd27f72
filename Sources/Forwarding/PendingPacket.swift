// What is left of a packet between the stages of a batch: by which address its binding is found, and what will be asked
// of that binding.

import PrefixTable
import Wire

/// Which table tells a packet's binding.
enum BindingLookup: UInt8, BitwiseCopyable {
    /// That of prefixes.
    case prefix
    /// That of home addresses, and where there are any of networks.
    case homeAddress
    /// That of home addresses of this side's own.
    case nodeAddress
    /// That of multicast groups, whose members are bindings.
    case group
}

/// A packet that waits for its binding. 64 bytes, which is one cache line.
struct PendingPacket: BitwiseCopyable {
    /// Where the record stands, in bytes; the address stands first. Tables write to it.
    static var recordOffset: Int { 16 }

    /// The key: the destination towards a tunnel, the inner source out of one. IPv4 in its mapped form.
    var address: IPv6Address
    /// The binding's record, when it has been looked up; of a group, the member whose turn it is.
    var record = PrefixTable.noValue
    /// Its place in the batch, which holds fewer than 65,535.
    var packet: UInt16 = 0
    /// Out of a tunnel: bytes before it.
    var innerOffset: UInt16 = 0
    /// Bytes of the packet itself.
    var innerLength: UInt32

    // Out of a tunnel only.
    var outerSource = IPv4Address.unspecified
    var outerDestination = IPv4Address.unspecified
    /// The home address that the packet came from, or at a mobile node that it came to from its home agent; 0.0.0.0 where
    /// there was one header only.
    var homeAddress = IPv4Address.unspecified
    /// Of GRE.
    var key: UInt32 = 0
    /// Of GRE.
    var sequence: UInt32 = 0
    /// The mobile node's, of UDP: where it came from, or at the mobile node where it came to.
    var port: UInt16 = 0

    /// Whether the packet itself, the inner one where it comes from a tunnel, is IPv4.
    var isIPv4: Bool
    /// Where its binding is looked up.
    var lookup: BindingLookup
    /// Whether it is to be decapsulated.
    var isFromTunnel = false
    /// Whether it is of the link that the tunnel is, and goes no further (RFC 4291, 2.5.6).
    var isLinkLocal = false
    /// Whether it is Multicast Listener Discovery: of a node, which the control plane gets, or by way of the home address to
    /// one, which the home device gets.
    var isListenerMessage = false
    /// Whether it is a fragment that waits for others, and only its number in its tunnel counts yet.
    var isHeldFragment = false
    /// Whether its source has been told already that it is too big for a member of its group.
    var isAnswered = false
    /// Whether it came by way of the home address to this side's own, which is a mobile node's.
    var isAtNode = false

    // Out of a tunnel only.
    /// What it lies in.
    var form = TunnelForm.direct
    /// DSCP and ECN of the outer header.
    var outerClass: UInt8 = 0
    /// DSCP and ECN of the header from the home address.
    var middleClass: UInt8 = 0
    /// Of UDP: whether `port` is that which it was to.
    var isToOwnPort = false
    var hasKey = false
    var hasSequence = false

    /// A packet that is looked up by an address; IPv4 by a home address or network.
    @inline(__always)
    init(to address: IPv6Address, isIPv4: Bool, length: Int) {
        self.address = address
        self.isIPv4 = isIPv4
        lookup = isIPv4 ? .homeAddress : .prefix
        innerLength = UInt32(truncatingIfNeeded: length)
    }
}
