// Network devices (rtnetlink(7), RTM_GETLINK and RTM_NEWLINK).

import CLinuxNet
import Glibc
import Wire

/// A network device, as the kernel told of it.
public struct Link: Sendable, Hashable {
    /// Its number in this namespace; it changes when the device is made anew.
    public let index: Int32
    /// 1 to 15 bytes.
    public let name: String
    /// In bytes.
    public let mtu: UInt32
    /// IFF_UP and its kin, netdevice(7).
    public let flags: UInt32
    /// In packets.
    public let transmitQueueLength: UInt32
    /// What frames look like on it: ARPHRD_ETHER and its kin, linux/if_arp.h.
    public let hardwareType: UInt16
    /// Of a TUN device that may have several queues: how many are in use, those set aside included; else nil.
    public let tunQueues: UInt32?

    /// Of devices that carry bare IP packets, as TUN devices do (ARPHRD_NONE).
    public static let bareIP: UInt16 = 0xFFFE

    /// Whether it is administratively up.
    public var isUp: Bool { flags & UInt32(IFF_UP) != 0 }

    init?(_ message: NetlinkMessage) throws(RouteError) {
        guard message.type == RTM_NEWLINK else { return nil }
        let (header, attributes) = try message.content(ifinfomsg.self)
        guard let name = attributes.text(Int(IFLA_IFNAME)) else { throw .malformed("a device without a name") }
        index = header.ifi_index
        flags = header.ifi_flags
        hardwareType = header.ifi_type
        self.name = name
        mtu = try attributes.number(Int(IFLA_MTU), as: UInt32.self) ?? 0
        transmitQueueLength = try attributes.number(Int(IFLA_TXQLEN), as: UInt32.self) ?? 0
        tunQueues = try Self.tunQueues(attributes)
    }

    /// The kernel tells the numbers only of devices that were made for several (tun_fill_info of drivers/net/tun.c).
    private static func tunQueues(_ attributes: NetlinkAttributes) throws(RouteError) -> UInt32? {
        guard let information = try attributes.nested(Int(IFLA_LINKINFO)),
            information.text(Int(IFLA_INFO_KIND)) == "tun",
            let data = try information.nested(Int(IFLA_INFO_DATA)),
            let attached = try data.number(Int(IFLA_TUN_NUM_QUEUES), as: UInt32.self)
        else { return nil }
        return attached &+ (try data.number(Int(IFLA_TUN_NUM_DISABLED_QUEUES), as: UInt32.self) ?? 0)
    }
}

extension RouteSocket {
    /// The device of that name; nil where there is none.
    public mutating func link(named name: String) throws(RouteError) -> Link? {
        // A longer or an empty name no device can have; the kernel would call it a bad request.
        guard (1..<Int(IFNAMSIZ)).contains(name.utf8.count) else { return nil }
        var request = NetlinkRequest(type: RTM_GETLINK, flags: 0, body: ifinfomsg())
        request.attribute(Int(IFLA_IFNAME), text: name)
        return try link(request, doing: "look at the device \(name)")
    }

    /// The device of that number; nil where there is none.
    public mutating func link(index: Int32) throws(RouteError) -> Link? {
        guard index > 0 else { return nil }
        var body = ifinfomsg()
        body.ifi_index = index
        let request = NetlinkRequest(type: RTM_GETLINK, flags: 0, body: body)
        return try link(request, doing: "look at the device of number \(index)")
    }

    /// How many packets the kernel dropped on their way in by a device since it was made (rx_dropped of rtnl_link_stats64,
    /// linux/if_link.h); nil where there is none of that number.
    public mutating func receiveDropped(link index: Int32) throws(RouteError) -> UInt64? {
        guard index > 0 else { return nil }
        var body = ifinfomsg()
        body.ifi_index = index
        let doing = "ask for the statistics of the device of number \(index)"
        do throws(RouteError) {
            let message = try answer(to: NetlinkRequest(type: RTM_GETLINK, flags: 0, body: body), doing: doing)
            return try message.content(ifinfomsg.self).1.number(
                Int(IFLA_STATS64), at: MemoryLayout<rtnl_link_stats64>.offset(of: \.rx_dropped))
        } catch {
            if error.reason == .noDevice { return nil }
            throw error
        }
    }

    private mutating func link(_ request: NetlinkRequest, doing: String) throws(RouteError) -> Link? {
        do throws(RouteError) {
            return try Link(try answer(to: request, doing: doing))
        } catch {
            if error.reason == .noDevice { return nil }
            throw error
        }
    }

    /// All devices of the namespace.
    public mutating func links() throws(RouteError) -> [Link] {
        let request = NetlinkRequest(type: RTM_GETLINK, flags: 0, body: ifinfomsg())
        return try dump(request, doing: "list the devices") { message throws(RouteError) in try Link(message) }
    }

    /// Sets a device administratively up or down.
    public mutating func setUp(_ up: Bool, link: Link) throws(RouteError) {
        let request = change(link, flags: up ? UInt32(IFF_UP) : 0, mask: UInt32(IFF_UP))
        try perform(request, doing: "set the device \(link.name) \(up ? "up" : "down")")
    }

    /// Sets a device's MTU, in bytes.
    public mutating func setMTU(_ mtu: UInt32, link: Link) throws(RouteError) {
        var request = change(link)
        request.attribute(Int(IFLA_MTU), mtu)
        try perform(request, doing: "set the MTU of \(link.name) to \(mtu)")
    }

    /// Sets how many packets a device's transmit queue holds.
    public mutating func setTransmitQueueLength(_ length: UInt32, link: Link) throws(RouteError) {
        var request = change(link)
        request.attribute(Int(IFLA_TXQLEN), length)
        try perform(request, doing: "set the transmit queue length of \(link.name) to \(length)")
    }

    private func change(_ link: Link, flags: UInt32 = 0, mask: UInt32 = 0) -> NetlinkRequest {
        var body = ifinfomsg()
        body.ifi_index = link.index
        body.ifi_flags = flags
        body.ifi_change = mask
        return NetlinkRequest(type: RTM_NEWLINK, flags: 0, body: body)
    }
}
