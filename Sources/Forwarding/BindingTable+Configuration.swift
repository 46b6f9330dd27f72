// How large a table is, and what bindings get that do not say it themselves.

import Bindings
import Wire

extension BindingTable {
    /// What a table is made for.
    public struct Configuration: Sendable {
        /// Bindings it holds at the most.
        public var bindingLimit = 65_536
        /// Prefixes it holds at the most, over all bindings.
        public var prefixLimit = 262_144
        /// Members of multicast groups at the most, over all groups.
        public var memberLimit = 65_536
        /// The outer source of bindings that name none; nil makes such a binding an error.
        public var endpoint: IPv4Address?
        /// The tunnel MTU of bindings that name none, in bytes (RFC 4213, 3.2.1).
        public var tunnelMTU = BindingLimits.tunnelMTU.lowerBound
        /// Of the outer header.
        public var outerTimeToLive: UInt8 = 64
        /// How many workers read it, each the packets that `Steering` chooses for it.
        public var workers = 1

        /// The defaults, without an endpoint.
        public init() {}
    }
}
