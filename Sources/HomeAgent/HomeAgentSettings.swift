// What mooring-ha is configured with, as values. HomeAgentSettings+File reads them, NodeReader reads nodes.

import MobileIP
import RouteNetlink
import Wire

/// The configuration of a home agent as a program.
public struct HomeAgentSettings: Sendable {
    /// Of the state machine.
    public var homeAgent: HomeAgentConfiguration
    /// How datagrams come.
    public var listen = ListenMode.forwarder
    /// mooringd's socket.
    public var forwarderSocket = "/run/mooring/mooringd.sock"
    /// The operators' socket.
    public var socket = "/run/mooring/mooring-ha.sock"
    /// Whose the operators' socket is beside root and the own user; nil for nobody.
    public var socketGroup: String?
    /// The registrations.
    public var database = "/var/lib/mooring/registrations.db"
    /// Whether a transaction waits for the disk.
    public var durability = StoreDurability.full
    /// Who sends from there is at home.
    public var homeNetworks: [IPv4Prefix] = []
    /// Nil where no routes are made.
    public var routes: HomeRouteSettings?
    /// Nil where nodes are not asked for the groups that they listen to.
    public var multicast: MulticastConfiguration?
    /// As swift-log names it.
    public var logLevel = "info"

    /// The defaults.
    public init(homeAgent: HomeAgentConfiguration) { self.homeAgent = homeAgent }

    /// Settings that differ and change only at a restart, by the names of their keys.
    public func settingsThatNeedRestart(comparedTo old: HomeAgentSettings) -> [String] {
        var names: [String] = []
        func compare(_ name: String, _ isSame: Bool) { if !isSame { names.append(name) } }
        compare("addresses", homeAgent.addresses == old.homeAgent.addresses || listen == .forwarder)
        compare("listen", listen == old.listen)
        compare("forwarder-socket", forwarderSocket == old.forwarderSocket)
        compare("socket", socket == old.socket)
        compare("socket-group", socketGroup == old.socketGroup)
        compare("database", database == old.database)
        compare("durability", durability == old.durability)
        compare("home-networks", homeNetworks == old.homeNetworks)
        compare("routes", routes == old.routes)
        compare("multicast", multicast == old.multicast)
        compare("limits", homeAgent.limits == old.homeAgent.limits)
        return names
    }
}
