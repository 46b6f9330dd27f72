// What the home agent knows, for operators.

import Wire

extension HomeAgent {
    /// Who has a home address, of its own or from a pool; nil for nobody.
    public func identity(of homeAddress: IPv4Address) -> NodeIdentity? {
        nodes.number(of: homeAddress).map { nodes[$0].node.identity }
    }

    /// The record of a node; nil where it is not served.
    public func registration(of identity: NodeIdentity, at now: Moment) -> StoredRegistration? {
        nodes.number(of: identity).map { nodes[$0].record(now) }
    }
}
