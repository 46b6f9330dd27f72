// What happens to a mobile node, and when. Clock and chance are given with each event, so that the same events give the
// same actions.

import Wire

extension MobileNode {
    /// When an event happens, and what else comes from outside.
    public struct Moment: Hashable, Sendable {
        /// Since any fixed moment, by a clock that is never set.
        public var elapsed: Duration
        /// By the clock that is set.
        public var timeOfDay: NetworkTime
        /// A random number for this event alone.
        public var random: UInt32

        /// A moment.
        public init(elapsed: Duration, timeOfDay: NetworkTime, random: UInt32) {
            self.elapsed = elapsed
            self.timeOfDay = timeOfDay
            self.random = random
        }
    }

    /// What happens to a mobile node.
    public enum Event: Hashable, Sendable {
        /// An address of this node can be used as its co-located care-of address, in place of any before. The home
        /// address says that the node is at home.
        case careOfAddressAvailable(IPv4Address, interface: String)
        /// That address can't be used any more.
        case careOfAddressGone(IPv4Address)
        /// An agent advertisement was heard.
        case advertisementHeard(AgentAdvertisement, from: AgentLocation)
        /// Agents can be heard on that interface from now on: it is a new one, or has come up.
        case interfaceAvailable(String)
        /// Nothing is heard on that interface any more.
        case interfaceGone(String)
        /// A datagram came to the port of requests.
        case datagramReceived([UInt8], from: IPv4Address, port: UInt16)
        /// The deadline has come.
        case deadlineReached
        /// These are all prefixes that are delegated now (RFC 5454, 3.7.1).
        case delegatedPrefixesChanged([IPv6Prefix])
        /// The home agent answered a keepalive.
        case keepaliveAnswered(sequence: UInt16)
        /// The node is to deregister and to end.
        case stopped
    }
}
