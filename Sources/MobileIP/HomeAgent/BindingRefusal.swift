// The forwarder may refuse a binding that the home agent has accepted: another's binding has one of the prefixes, which the
// node does not get then (RFC 5454, 3.3), or it has as many as it may, and the node is told so and keeps what it had
// (RFC 5944, 3.8.2.3).

import Wire

/// What a node had registered before its last request.
public struct FormerRegistration: Hashable, Sendable {
    /// With the home address of the new one.
    public var registration: AcceptedRegistration
    /// When it ends, in the nanoseconds of `Moment`; `UInt64.max` for never.
    public var expiry: UInt64

    /// A registration with its end.
    public init(_ registration: AcceptedRegistration, expiry: UInt64) {
        self.registration = registration
        self.expiry = expiry
    }
}

/// A binding that the forwarder did not take.
public struct BindingRefusal: Hashable, Sendable {
    /// As the forwarder was told of it.
    public var binding: MobilityBinding
    /// What the forwarder has in its place; nil for nothing.
    public var former: FormerRegistration?
    /// Replies that tell of the binding, and were not sent.
    public var replies: [OutgoingDatagram]
    /// The prefix for which it was refused, where that is the reason: the rest of the binding can be had.
    public var prefix: IPv6Prefix?
    /// What the node is told in their place, where it is not for a prefix.
    public var code: ReplyCode

    /// A refusal with these fields.
    public init(
        _ binding: MobilityBinding, former: FormerRegistration? = nil, replies: [OutgoingDatagram] = [],
        prefix: IPv6Prefix? = nil, code: ReplyCode = .reasonUnspecified
    ) {
        self.binding = binding
        self.former = former
        self.replies = replies
        self.prefix = prefix
        self.code = code
    }
}
