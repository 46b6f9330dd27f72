// The Mobile IPv6 Network Prefix of RFC 5454, 2.1 and 2.2: a length and sixteen bytes. Bits past the length are cleared
// here, so that they are written as zero and what comes is compared without them. Length 255 says that a link-local
// address stands in place of a prefix. Lengths from 129 to 254 mean nothing: RFC 5454 does not say what becomes of such
// a request, and each request is to have a reply with its prefix (3.3), so they are kept as they came, are neither
// prefix nor address, and the home agent rejects them.

import Wire

/// What a mobile node asks for, or is told of.
public struct IPv6HomePrefix: Hashable, Sendable {
    /// The length that says that the address is link-local.
    public static let linkLocalLength: UInt8 = 255

    /// In bits, or 255.
    public let length: UInt8
    /// The bits past the length are zero.
    public let address: IPv6Address

    /// As it stands in an extension; bits past the length are cleared.
    public init(length: UInt8, address: IPv6Address) {
        self.length = length
        self.address = length <= 128 ? IPv6Prefix(containing: address, length: length).address : address
    }

    /// A prefix.
    public init(_ prefix: IPv6Prefix) { (length, address) = (prefix.length, prefix.address) }

    /// Link-local traffic from that address (RFC 5454, 3.7).
    public init(linkLocal address: IPv6Address) { self.init(length: Self.linkLocalLength, address: address) }

    /// The prefix; nil where it is none.
    public var prefix: IPv6Prefix? { length <= 128 ? IPv6Prefix(containing: address, length: length) : nil }
    /// The link-local address; nil where it is none.
    public var linkLocalAddress: IPv6Address? {
        length == Self.linkLocalLength && address.isLinkLocal ? address : nil
    }
    /// Whether it is neither prefix nor link-local address: such a request is to be rejected.
    public var isMeaningless: Bool { prefix == nil && linkLocalAddress == nil }
}

extension IPv6HomePrefix: CustomStringConvertible {
    /// As `2001:db8::/32`, or `fe80::1/255`.
    public var description: String { "\(address)/\(length)" }
}
