// Neighbours that stay: whose link-layer address the kernel need not ask for (rtnetlink(7), RTM_NEWNEIGH and
// RTM_DELNEIGH).

import CLinuxNet
import Glibc
import Wire

/// Where a neighbour's frames go to.
public struct Neighbor: Sendable, Hashable, CustomStringConvertible {
    /// The longest link-layer address that is taken, in bytes.
    public static let maximumLinkLayerLength = 8

    /// The number of the device.
    public var link: Int32
    /// The neighbour's address.
    public var address: IPAddress
    /// On the device's link, as bytes of a frame.
    public var linkLayerAddress: [UInt8]

    /// A neighbour. `linkLayerAddress` has `maximumLinkLayerLength` bytes at the most.
    public init(link: Int32, address: IPAddress, linkLayerAddress: [UInt8]) {
        precondition(linkLayerAddress.count <= Self.maximumLinkLayerLength, "a link-layer address is short")
        self.link = link
        self.address = address
        self.linkLayerAddress = linkLayerAddress
    }

    /// The address.
    public var description: String { "\(address)" }

    fileprivate func request(type: Int, flags: Int32) -> NetlinkRequest {
        var body = ndmsg()
        body.ndm_family = address.family.number
        body.ndm_ifindex = link
        body.ndm_state = UInt16(NUD_PERMANENT)
        var request = NetlinkRequest(type: type, flags: flags, body: body)
        request.attribute(Int(NDA_DST), address)
        request.attribute(Int(NDA_LLADDR), bytes: linkLayerAddress)
        return request
    }
}

extension RouteSocket {
    /// Puts a neighbour that stays, in place of what is known of its address.
    public mutating func replace(_ neighbor: Neighbor) throws(RouteError) {
        try perform(
            neighbor.request(type: RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_REPLACE),
            doing: "put the neighbor \(neighbor)")
    }

    /// Forgets a neighbour. Where it is not known the error's reason is `notFound`.
    public mutating func delete(_ neighbor: Neighbor) throws(RouteError) {
        try perform(neighbor.request(type: RTM_DELNEIGH, flags: 0), doing: "forget the neighbor \(neighbor)")
    }
}
