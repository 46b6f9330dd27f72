// Which interfaces are listened to for agents, and what came of it: those of Ethernet's kind that are up and have a
// carrier, 64 at the most, of those that the configuration names if it names any.

import MobileIP
import RouteNetlink
import Wire

/// Hears agents, and speaks to them.
struct AgentDiscovery {
    /// ARPHRD_ETHER (linux/if_arp.h).
    private static let ethernet: UInt16 = 1

    private let port: UInt16
    private let inbox: Inbox
    private var links: [String: AccessLink] = [:]
    private var own: Set<IPv4Address> = []
    /// Advertisements that were not taken, and solicitations that were sent, by name.
    private(set) var counts: [String: Int] = [:]
    /// Of the agent that the last request went to on its link; nil where it went another way.
    private(set) var asked: IPv4Address?

    /// Listens to nothing yet.
    init(port: UInt16, inbox: Inbox) { (self.port, self.inbox) = (port, inbox) }

    /// What has changed of what is listened to.
    struct Change {
        var gone: [String] = []
        var new: [String] = []
        var problems: [AccessLinkError] = []
    }

    /// Listens to the interfaces that there are now.
    /// - Parameter interfaces: that may be used; empty for any.
    mutating func follow(_ network: HostNetwork, interfaces: [String]) -> Change {
        own = Set(
            network.addresses.compactMap { entry in
                if case .v4(let address) = entry.address { address } else { nil }
            })
        let usable = network.links
            .filter { link in
                link.isUp && link.isRunning && link.hardwareType == Self.ethernet
                    && (interfaces.isEmpty || interfaces.contains(link.name))
            }
            .sorted { $0.index < $1.index }.prefix(MobileNode.maximumInterfaces)
        var change = Change()
        for (name, known) in links where !usable.contains(where: { $0.name == name && $0.index == known.link.index }) {
            links[name] = nil
            change.gone.append(name)
        }
        for link in usable where links[link.name] == nil {
            do throws(AccessLinkError) {
                links[link.name] = try AccessLink(link, port: port, inbox: inbox)
                change.new.append(link.name)
            } catch {
                change.problems.append(error)
            }
        }
        return change
    }

    /// Reads what was heard; what is not believed is counted.
    mutating func read(_ heard: HeardAdvertisement) -> AgentAdvertisement? {
        switch heard.read(own: own) {
        case .agent(let advertisement):
            counts["heard", default: 0] += 1
            return advertisement
        case .dropped(let name):
            counts[name, default: 0] += 1
            return nil
        }
    }

    mutating func count(_ drops: [AdvertisementDrop: Int]) {
        for (drop, count) in drops { counts[drop.name, default: 0] += count }
    }

    mutating func solicit(on interface: String) {
        let isSent = links[interface]?.solicit() ?? false
        counts[isSent ? "solicited" : "solicitation-not-sent", default: 0] += 1
    }

    /// Sends a datagram to an agent on its link.
    /// - Returns: whether it went out.
    mutating func send(_ datagram: MobileNode.Datagram, to agent: LinkLayerAddress) -> Bool {
        asked = datagram.destination
        return links[datagram.interface]?.send(datagram, to: agent) ?? false
    }

    /// A request goes another way.
    mutating func forgetAsked() { asked = nil }

    /// Whether a datagram counts: the answer of an agent is seen on its link, and once more by a socket or mooringd.
    func admits(_ datagram: Inbox.Datagram) -> Bool { datagram.isFromLink == (datagram.source == asked) }
}
