// Addresses of network devices (rtnetlink(7), RTM_GETADDR, RTM_NEWADDR and RTM_DELADDR).

import CLinuxNet
import Glibc
import Wire

/// An address of a network device.
public struct InterfaceAddress: Sendable, Hashable, CustomStringConvertible {
    /// The device's number.
    public var link: Int32
    /// The address.
    public var address: IPAddress
    /// Of the prefix that is on the device's link, in bits.
    public var prefixLength: UInt8
    /// IPv6: whether it is usable at once, without duplicate address detection (RFC 4862, 5.4).
    public var skipsDuplicateDetection: Bool
    /// IPv6: whether duplicate address detection still runs, so that it is not usable yet. Only read.
    public var isTentative = false

    /// An address. `prefixLength` is at most 32 for IPv4 and 128 for IPv6.
    public init(link: Int32, address: IPAddress, prefixLength: UInt8, skipsDuplicateDetection: Bool = false) {
        self.link = link
        self.address = address
        self.prefixLength = prefixLength
        self.skipsDuplicateDetection = skipsDuplicateDetection
    }

    /// As `address/length`.
    public var description: String { "\(address)/\(prefixLength)" }

    init?(_ message: NetlinkMessage) throws(RouteError) {
        guard message.type == RTM_NEWADDR else { return nil }
        let (header, attributes) = try message.content(ifaddrmsg.self)
        guard let family = AddressFamily(number: header.ifa_family) else { return nil }
        // On a point-to-point device IFA_ADDRESS is the peer's, and IFA_LOCAL, where there is one, its own.
        let own = try attributes.address(Int(IFA_LOCAL), family: family)
        let peer = try attributes.address(Int(IFA_ADDRESS), family: family)
        guard let address = own ?? peer else { throw .malformed("an interface address without an address") }
        guard Int(header.ifa_prefixlen) <= family.addressLength * 8 else {
            throw .malformed("a prefix length of \(header.ifa_prefixlen)")
        }
        let flags = try attributes.number(Int(IFA_FLAGS), as: UInt32.self) ?? UInt32(header.ifa_flags)
        self.init(
            link: Int32(truncatingIfNeeded: header.ifa_index), address: address, prefixLength: header.ifa_prefixlen,
            skipsDuplicateDetection: flags & UInt32(IFA_F_NODAD) != 0)
        isTentative = flags & UInt32(IFA_F_TENTATIVE) != 0
    }

    fileprivate func request(type: Int, flags: Int32) -> NetlinkRequest {
        precondition(Int(prefixLength) <= address.family.addressLength * 8, "a prefix longer than its address")
        var body = ifaddrmsg()
        body.ifa_family = address.family.number
        body.ifa_prefixlen = prefixLength
        body.ifa_index = UInt32(link)
        if skipsDuplicateDetection { body.ifa_flags = UInt8(IFA_F_NODAD) }
        var request = NetlinkRequest(type: type, flags: flags, body: body)
        request.attribute(Int(IFA_LOCAL), address)
        request.attribute(Int(IFA_ADDRESS), address)
        return request
    }
}

extension RouteSocket {
    /// The addresses of one family, or of one device, or all.
    public mutating func addresses(
        family: AddressFamily? = nil, link: Link? = nil
    ) throws(RouteError) -> [InterfaceAddress] {
        var body = ifaddrmsg()
        body.ifa_family = family?.number ?? 0
        body.ifa_index = UInt32(link?.index ?? 0)
        let request = NetlinkRequest(type: RTM_GETADDR, flags: 0, body: body)
        return try dump(request, doing: "list the addresses") { message throws(RouteError) in
            guard let address = try InterfaceAddress(message) else { return nil }
            guard family == nil || address.address.family == family, link == nil || address.link == link?.index else {
                return nil
            }
            return address
        }
    }

    /// Gives a device an address. Where it has it already the error's reason is `alreadyExists`.
    public mutating func add(_ address: InterfaceAddress) throws(RouteError) {
        try perform(
            address.request(type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL),
            doing: "add the address \(address)")
    }

    /// Takes an address from a device. Where it has it not the error's reason is `notFound`.
    public mutating func delete(_ address: InterfaceAddress) throws(RouteError) {
        try perform(address.request(type: RTM_DELADDR, flags: 0), doing: "delete the address \(address)")
    }
}
