// The nodes that the home agent serves, by number, and by what requests name them by. Numbers are used again.

import Wire

/// What the home agent knows of a node.
struct NodeState {
    /// As it is configured.
    var node: ServedNode
    /// Of its requests.
    var replay = HomeAgentReplayState()
    /// Prefixes that were delegated to it.
    var delegated: [IPv6Prefix] = []
    /// Nil where it has none.
    var binding: AcceptedRegistration?
    /// When the binding ends, in nanoseconds; `UInt64.max` for never.
    var expiry = UInt64.max

    init(_ node: ServedNode) { self.node = node }
}

/// All nodes.
struct NodeTable {
    /// More can't be told apart in the table of prefixes.
    static let largestLimit = 1 << 25

    private(set) var states: [NodeState?] = []
    private var free: [UInt32] = []
    private var byHomeAddress: [IPv4Address: UInt32] = [:]
    private var byAccessIdentifier: [NetworkAccessIdentifier: UInt32] = [:]

    /// How many there are.
    var count: Int { states.count - free.count }

    /// The node of a number that is in use.
    subscript(number: UInt32) -> NodeState {
        // One that is not has been given to nobody.
        _read { yield states[Int(number)]! }
        _modify { yield &states[Int(number)]! }
    }

    /// The node of a home address, of its own or from a pool.
    func number(of homeAddress: IPv4Address) -> UInt32? { byHomeAddress[homeAddress] }

    /// The node with that identifier.
    func number(of accessIdentifier: NetworkAccessIdentifier) -> UInt32? { byAccessIdentifier[accessIdentifier] }

    /// The node of that identity.
    func number(of identity: NodeIdentity) -> UInt32? {
        switch identity {
        case .accessIdentifier(let identifier): return byAccessIdentifier[identifier]
        case .homeAddress(let address):
            guard let number = byHomeAddress[address], self[number].node.identity == identity else { return nil }
            return number
        }
    }

    /// Adds a node whose identity is new. Its home address is given to it apart from that.
    mutating func add(_ node: ServedNode) -> UInt32 {
        let state = NodeState(node)
        let number: UInt32
        if let last = free.popLast() {
            number = last
            states[Int(number)] = state
        } else {
            number = UInt32(states.count)
            states.append(state)
        }
        if case .accessIdentifier(let identifier) = node.identity { byAccessIdentifier[identifier] = number }
        return number
    }

    /// Takes a node out that has no home address any more.
    mutating func remove(_ number: UInt32) {
        if case .accessIdentifier(let identifier) = self[number].node.identity { byAccessIdentifier[identifier] = nil }
        states[Int(number)] = nil
        free.append(number)
    }

    /// Room for so many more.
    mutating func reserve(_ more: Int) {
        let needed = states.count + more
        guard needed > 2 * states.count else { return }
        states.reserveCapacity(needed)
        byHomeAddress.reserveCapacity(needed)
    }

    /// Says whose a home address is; nil for nobody's.
    mutating func assign(_ homeAddress: IPv4Address, to number: UInt32?) { byHomeAddress[homeAddress] = number }
}
