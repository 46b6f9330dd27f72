// What became of what nodes say of groups, and of what follows from it. One list makes the case, the counter's name and
// the sentence.

import Wire

/// Outcomes of multicast routing, each with a counter of its own.
public enum MulticastOutcome: CountedReason {
    // Of messages.
    case listenerReport
    case listenerDone
    case listenerMalformed
    case listenerSourceInvalid
    case listenerQueryIgnored
    case listenerNotOnLink

    // Of groups.
    case listenerJoined
    case listenerLeft
    case listenerExpired
    case listenerGroupRefused
    case listenerNodeLimit
    case listenerLimit
    case listenerMembershipRefused

    // Of queries.
    case listenerGeneralQuery
    case listenerGroupQuery

    /// A sentence for people: what was done.
    public var explanation: String {
        switch self {
        case .listenerReport: "A node's report was read, of either version."
        case .listenerDone: "A node of version 1 said that it has left a group."
        case .listenerMalformed: "A message was no whole message of Multicast Listener Discovery."
        case .listenerSourceInvalid: "A message was not from a link-local address."
        case .listenerQueryIgnored: "A node asked who listens; on its link that is the home agent's to ask."
        case .listenerNotOnLink: "A message was from a node that has no IPv6 prefix."
        case .listenerJoined: "A node became a member of a group."
        case .listenerLeft: "A node left a group, and was asked in vain whether it still listens."
        case .listenerExpired: "A node was a member of a group, and no longer says so."
        case .listenerGroupRefused: "A node listens to a group that its policy does not have."
        case .listenerNodeLimit: "A node listens to more groups than it may."
        case .listenerLimit: "A node listens to a group while there are as many memberships as may be."
        case .listenerMembershipRefused: "The forwarder did not take a membership."
        case .listenerGeneralQuery: "A node was asked which groups it listens to."
        case .listenerGroupQuery: "A node was asked whether it still listens to a group."
        }
    }
}
