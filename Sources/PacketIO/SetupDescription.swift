// What `mooringd` needs of the host, in the words of its configuration. `SetupPlan` makes steps of it.

import RouteNetlink
import Wire

/// Devices, addresses and routes that the forwarder needs.
public struct SetupDescription: Sendable, Equatable {
    /// The most entries that each list may have.
    public static let maximumEntries = 1024

    /// The TUN device of the home side.
    public var homeDevice: String
    /// The TUN device of the access side; may be the same.
    public var accessDevice: String
    /// Of the home device, in bytes; 1280 at least, as IPv6 demands.
    public var homeMTU: UInt32 = 1500
    /// Queues of each device.
    public var queues = 1
    /// Of the access device, in bytes; no smaller than that of the interfaces by which tunnel packets arrive. Where
    /// both sides have one device it is `homeMTU`.
    public var accessMTU: UInt32 = 1500
    /// Of both devices, in packets. A TUN device's own 500 drops under load.
    public var transmitQueueLength: UInt32 = 4096
    /// Addresses of the home device.
    public var homeAddresses: [IPInterfaceAddress] = []
    /// The home device's own address on the link that each tunnel is (RFC 4213, 3.7), by which nodes reach services of
    /// this host, such as DHCPv6, before they have a prefix (RFC 5454, 3.7.1).
    public var linkLocalAddress: IPv6Address?
    /// What is routed into the home device, beside the prefixes of its addresses.
    public var homeRoutes: [IPPrefix] = []
    /// Tunnel endpoint addresses: destinations of the tunnel packets that are for the forwarder.
    public var endpoints: [IPv4Address] = []
    /// Whether the endpoints are also the host's own addresses, as a mobile node's care-of address is. Of packets to
    /// them the forwarder then gets only those that are `diverted`; else everything.
    public var sharesEndpoint = false
    /// What of a shared endpoint's packets is the forwarder's. Where an element stands twice it counts once.
    public var diverted = TunnelProtocol.allCases
    /// Whether others reach the home side through this host: true for a home agent, false for a node that uses the
    /// tunnel for itself alone.
    public var forwarding = true
    /// The interfaces by which tunnel packets arrive, which must forward IPv4. Where there are none: for shared
    /// endpoints the interfaces that bear them, else all of the host's.
    public var arrivalInterfaces: [String] = []
    /// The routing table of shared endpoints; no one else's.
    public var divertTable = RouteTable(rawValue: 434)

    /// A description with these devices and the defaults.
    public init(homeDevice: String, accessDevice: String) {
        self.homeDevice = homeDevice
        self.accessDevice = accessDevice
    }

    /// Whether one device serves both sides.
    public var hasOneDevice: Bool { homeDevice == accessDevice }

    /// Whether packets of the family are led into the home device. Where nothing is described, IPv6 is expected.
    func carries(_ family: AddressFamily) -> Bool {
        let families = homeAddresses.map(\.address.family) + homeRoutes.map(\.family)
        return families.contains(family) || (family == .v6 && families.isEmpty)
    }

    /// Whether the way to the endpoint, which IPv4 errors bear as their source, is by another than the home device.
    var hasErrorsFromElsewhere: Bool { sharesEndpoint || !hasOneDevice }

    /// The devices, each once.
    var devices: [String] { hasOneDevice ? [homeDevice] : [homeDevice, accessDevice] }

    /// The table in which endpoints are routed to the access device.
    var endpointTable: RouteTable { sharesEndpoint ? divertTable : .main }

    func validate() throws(SetupError) {
        for device in devices + arrivalInterfaces { try Self.validate(device: device) }
        for device in devices where arrivalInterfaces.contains(device) {
            throw SetupError("\(device) can't be an arrival interface: it is one of the forwarder's own devices")
        }
        guard (1280...65535).contains(homeMTU) else {
            throw SetupError("the home MTU is \(homeMTU): IPv6 needs 1280 (RFC 8200, 5), and 65535 is the most")
        }
        guard (68...65535).contains(accessMTU) else {
            throw SetupError("the access MTU is \(accessMTU): give 68 to 65535, 1500 as a rule")
        }
        guard !hasOneDevice || homeMTU == accessMTU else {
            throw SetupError(
                "\(homeDevice) serves both sides and has one MTU, not \(homeMTU) and \(accessMTU): give one for both")
        }
        guard (1...1_000_000).contains(transmitQueueLength) else {
            throw SetupError("the transmit queue length is \(transmitQueueLength): give 1 to 1000000, 4096 as a rule")
        }
        for (name, count) in [
            ("home addresses", homeAddresses.count), ("home routes", homeRoutes.count), ("endpoints", endpoints.count),
            ("arrival interfaces", arrivalInterfaces.count),
        ] where count > Self.maximumEntries {
            throw SetupError("there are \(count) \(name): \(Self.maximumEntries) is the most")
        }
        for (name, list) in [
            ("home address", homeAddresses.map(\.address.description)), ("home route", homeRoutes.map(\.description)),
            ("endpoint", endpoints.map(\.description)), ("arrival interface", arrivalInterfaces),
        ]
        where Set(list).count != list.count {
            throw SetupError("one \(name) is described twice: \(list.joined(separator: ", "))")
        }
        for address in homeAddresses where !address.address.isInterfaceAddress {
            throw SetupError("\(address) can't be an address of \(homeDevice)")
        }
        for endpoint in endpoints where !endpoint.isUnicastSource {
            throw SetupError("\(endpoint) can't be a tunnel endpoint: it is no unicast address")
        }
        guard !sharesEndpoint || !diverted.isEmpty else {
            throw SetupError(
                "with a shared endpoint something must be diverted, of "
                    + TunnelProtocol.allCases.map(\.rawValue).joined(separator: ", "))
        }
        // 0 means main, and 253 to 255 are the kernel's.
        guard divertTable.rawValue != 0, !(253...255).contains(divertTable.rawValue) else {
            throw SetupError("table \(divertTable) can't be used for shared endpoints: the kernel has it; take 434")
        }
    }

    /// A name stands in a path below /proc/sys and in commands that people run, so it is checked before either.
    private static func validate(device name: String) throws(SetupError) {
        let bytes = name.utf8
        guard (1...15).contains(bytes.count), bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }),
            !name.contains(":"), !name.contains("%"), name != ".", name != ".."
        else {
            throw SetupError(
                "\"\(name)\" is no device name: 1 to 15 ASCII characters, without spaces and any of / : %")
        }
        // Below /proc/sys/net these are no devices but what concerns every device.
        guard name != "all", name != "default" else {
            throw SetupError("a device can't be named \"\(name)\": the kernel's settings use the name for all devices")
        }
    }
}
