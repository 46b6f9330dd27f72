// The home agent (RFC 5944, 3.8, with RFC 5454 and what builds on both) as a state machine: an event and the time in,
// actions out. It has no sockets, clocks or files, and its random numbers are given to it.
//
//     datagram ─► parse ─► who is it ─► RegistrationCheck ─► decisions ─► AcceptedRegistration ─► actions
//                  │          │               │                 │
//                  └ malformed└ nodeUnknown   └ 131 132 133 …   └ 129 130 134 … 142
//
// An event costs the same however many nodes there are, but for those that name many themselves.

import Wire

/// A home agent.
public struct HomeAgent: ~Copyable {
    var configuration: HomeAgentConfiguration
    var random: any RandomNumberGenerator

    /// A home agent without nodes.
    /// - Parameter random: for nonces and GRE keys.
    public init(_ configuration: HomeAgentConfiguration, random: any RandomNumberGenerator) {
        self.configuration = configuration
        self.random = random
    }

    /// When it next has something to do by itself, in the nanoseconds of `Moment`; nil for never.
    public var nextDeadline: UInt64? { nil }

    /// Bindings at this moment.
    public var bindingCount: Int { 0 }

    /// Takes an event.
    /// - Returns: what is to be done, in that order.
    public mutating func handle(_ event: HomeAgentEvent, at now: Moment) -> [HomeAgentAction] { [] }

    /// Bindings for a resynchronization, some at a time. Between two calls events may be handled: a binding that is put
    /// meanwhile was in an action then.
    /// - Parameters:
    ///   - position: 0, or what the last call returned.
    ///   - limit: nodes that are looked at in this call.
    /// - Returns: bindings, and where to go on; nil at the end.
    public func bindings(
        from position: Int, limit: Int, at now: Moment
    ) -> (bindings: [MobilityBinding], next: Int?) { ([], nil) }
}
