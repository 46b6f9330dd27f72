// The command line of mooringd.

import ArgumentParser
import Bindings
import ControlProtocol
import Glibc
import Logging
import PacketIO
import Release
import RouteNetlink
import Wire

@main
struct MooringDaemonCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mooringd",
        abstract: "The forwarder: tunnels IPv6 prefixes and IPv4 home addresses to where their nodes are.",
        discussion: """
            Runs in the foreground and logs to standard error. Bindings are put over its Unix socket, by `mooring` or \
            by a home agent. SIGTERM lets what is under way finish and ends it; SIGHUP reads configuration and \
            bindings anew.

            Examples:
              A home agent whose tunnels end at 192.0.2.1, an address routed to this host and on none of its interfaces:
                mooringd --endpoint 192.0.2.1 --home-address 2001:db8:ffff::1/64 --home-route 2001:db8:1::/48 \\
                  --home-address 198.51.100.1/24
              A mobile node whose care-of address is its own:
                mooringd --endpoint 203.0.113.9 --shared-endpoint --no-forwarding \\
                  --home-address 2001:db8:1:1::1/64 --home-route ::/0 --home-address 198.51.100.7/32
              Bindings that outlive a crash or a restart:
                mooringd --config /etc/mooring/mooringd.json --checkpoint /var/lib/mooring/mooringd.checkpoint
              Another version in the place of the one that runs, while packets flow:
                mooringd --config /etc/mooring/mooringd.json --take-over
              What is missing on a host that somebody else sets up:
                mooringd --config /etc/mooring/mooringd.json --check
              A home agent on a machine of four processors, two of them for forwarding:
                mooringd --config /etc/mooring/mooringd.json --workers 2
            """,
        version: versionText(of: "mooringd"))

    @Option(help: "Configuration file (JSON). Flags go over what stands in it.") var config: String?
    @Option(help: "Bindings to begin with (JSON).") var bindings: String?
    @Option(help: "Tunnel endpoint, an IPv4 address. May be given more than once; the first is the outer source.")
    var endpoint: [IPv4Address] = []
    @Flag(
        inversion: .prefixedNo,
        help: "The endpoint is also an address of this host: tunnel packets are diverted by policy routing.")
    var sharedEndpoint: Bool?
    @Option(
        help: "What of a shared endpoint's packets is diverted; may be given more than once. (default: all of it)"
    )
    var divert: [TunnelProtocol] = []
    @Option(help: "TUN device of the home side. (default: mooring-home)") var homeDevice: String?
    @Option(help: "TUN device of the access side; may be the same. (default: mooring-access)") var accessDevice: String?
    @Option(help: "Address of the home device, with length. The first of IPv6 is the source of ICMPv6 errors.")
    var homeAddress: [IPInterfaceAddress] = []
    @Option(help: "IPv6 or IPv4 prefix to route to the home device.") var homeRoute: [IPPrefix] = []
    @Option(help: "MTU of the home device. (default: 1500)") var homeMTU: Int?
    @Option(help: "MTU of the access device. (default: 1500)") var accessMTU: Int?
    @Option(help: "Largest inner packet, 1280 to 1480. (default: 1280)") var tunnelMTU: UInt16?
    @Option(help: "TTL of the outer header. (default: 64)") var outerTTL: UInt8?
    @Option(help: "ICMPv6 errors a second at the most. (default: 100)") var errorsPerSecond: UInt32?
    @Option(help: "automatic, io_uring or plain. (default: automatic)") var io: IOChoice?
    @Option(help: "Super-frames of the home device: automatic, push, split or off. (default: automatic)")
    var offload: OffloadChoice?
    @Option(help: "Super-frames that come in tunnels: automatic, whole, datagrams or off. (default: automatic)")
    var accessOffload: AccessOffloadChoice?
    @Option(help: "Threads that forward, 1 to 16, or auto: one for each processor. (default: 1)")
    var workers: WorkerCount?
    @Option(
        help: ArgumentHelp(
            "Processors that those threads are pinned to, one each, such as 2-5,8. (default: none)",
            valueName: "list"))
    var processors: ProcessorList?
    @Flag(inversion: .prefixedNo, help: "Set up addresses, routes and sysctls. (default: yes)") var setup: Bool?
    @Flag(
        inversion: .prefixedNo,
        help: "Switch on forwarding to and from the home side, which a home agent needs. (default: yes)")
    var forwarding: Bool?
    @Option(help: "Unix socket. (default: /run/mooring/mooringd.sock)") var socket: String?
    @Option(help: "Group of the Unix socket.") var socketGroup: String?
    @Option(help: "User that may use the socket, beside root and the daemon's own.") var allowUser: [String] = []
    @Option(help: "Group that may use the socket.") var allowGroup: [String] = []
    @Option(help: "File that the bindings are saved to, and restored from at the start.") var checkpoint: String?
    @Option(help: "Seconds between two checkpoints, 1 to 86400. (default: 10)") var checkpointInterval: Int?
    @Option(help: "Bindings at the most. (default: 65536)") var maxBindings: Int?
    @Option(help: "Prefixes at the most, over all bindings. (default: 262144)") var maxPrefixes: Int?
    @Option(help: "Members of multicast groups at the most, over all groups. (default: 65536)") var maxMembers: Int?
    @Option(help: "trace, debug, info, notice, warning, error or critical. (default: info)") var logLevel: Logger.Level?
    @Flag(
        help:
            "Take over from the mooringd that runs with the same options, which forwards until then, and ends. No packet is lost."
    )
    var takeOver = false
    @Flag(help: "Print the commands that would set up what is missing, and exit: 0 if nothing is, else 1.")
    var check = false

    /// The configuration that flags and file amount to. Read again at SIGHUP.
    func resolve() throws(ConfigurationError) -> DaemonConfiguration {
        var result = DaemonConfiguration()
        if let config { try result.read(file: config) }
        if !endpoint.isEmpty { result.endpoints = endpoint }
        if !divert.isEmpty { result.divert = divert }
        if !homeAddress.isEmpty { result.homeAddresses = homeAddress }
        if !homeRoute.isEmpty { result.homeRoutes = homeRoute }
        if !allowUser.isEmpty { result.allowUsers = allowUser }
        if !allowGroup.isEmpty { result.allowGroups = allowGroup }
        func take<Value>(_ value: Value?, _ path: WritableKeyPath<DaemonConfiguration, Value>) {
            if let value { result[keyPath: path] = value }
        }
        take(sharedEndpoint, \.sharedEndpoint)
        take(homeDevice, \.homeDevice)
        take(accessDevice, \.accessDevice)
        take(homeMTU, \.homeMTU)
        take(accessMTU, \.accessMTU)
        take(tunnelMTU, \.tunnelMTU)
        take(outerTTL, \.outerTimeToLive)
        take(errorsPerSecond, \.errorsPerSecond)
        take(io, \.io)
        take(offload, \.offload)
        take(accessOffload, \.accessOffload)
        take(workers, \.workers)
        take(setup, \.setup)
        take(forwarding, \.forwarding)
        take(socket, \.socket)
        take(checkpointInterval, \.checkpointInterval)
        take(maxBindings, \.maxBindings)
        take(maxPrefixes, \.maxPrefixes)
        take(maxMembers, \.maxMembers)
        take(logLevel, \.logLevel)
        if let processors { result.processors = processors }
        if let socketGroup { result.socketGroup = socketGroup }
        if let bindings { result.bindings = bindings }
        if let checkpoint { result.checkpoint = checkpoint }
        try result.takeEndpointOfBindings()
        try result.validate()
        return result
    }

    func validate() throws {
        for mtu in [homeMTU, accessMTU].compactMap({ $0 }) where !DaemonConfiguration.deviceMTU.contains(mtu) {
            throw ValidationError("a device's MTU is 1280 to 65535, not \(mtu)")
        }
        if let tunnelMTU, !BindingLimits.tunnelMTU.contains(tunnelMTU) {
            throw ValidationError("--tunnel-mtu is 1280 to 1480, not \(tunnelMTU)")
        }
        if outerTTL == 0 { throw ValidationError("--outer-ttl is 1 to 255") }
        if let checkpointInterval, !DaemonLimits.checkpointInterval.contains(checkpointInterval) {
            throw ValidationError("--checkpoint-interval is 1 to 86400 seconds, not \(checkpointInterval)")
        }
        if let maxBindings, !DaemonLimits.bindings.contains(maxBindings) {
            throw ValidationError("--max-bindings is 1 to \(DaemonLimits.bindings.upperBound)")
        }
        if let maxPrefixes, !DaemonLimits.prefixes.contains(maxPrefixes) {
            throw ValidationError("--max-prefixes is 1 to \(DaemonLimits.prefixes.upperBound)")
        }
        if let maxMembers, !DaemonLimits.members.contains(maxMembers) {
            throw ValidationError("--max-members is 1 to \(DaemonLimits.members.upperBound)")
        }
    }
}

extension IPv4Address: ExpressibleByArgument {
    /// An address from the command line.
    public init?(argument: String) { self.init(argument) }
}

extension IPPrefix: ExpressibleByArgument {
    /// A prefix from the command line.
    public init?(argument: String) { self.init(argument) }
}

extension IPInterfaceAddress: ExpressibleByArgument {
    /// An address with its length from the command line.
    public init?(argument: String) { self.init(argument) }
}

extension IOChoice: ExpressibleByArgument {}
extension OffloadChoice: ExpressibleByArgument {}
extension AccessOffloadChoice: ExpressibleByArgument {}
extension TunnelProtocol: ExpressibleByArgument {}
extension Logger.Level: @retroactive ExpressibleByArgument {}
