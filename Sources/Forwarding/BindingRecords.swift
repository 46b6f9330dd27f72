// Which ways a binding has, and the numbers of their records.

import Bindings
import PrefixTable

/// The records of a binding, by way.
struct BindingRecords {
    private var ipv4 = PrefixTable.noValue
    private var careOf = PrefixTable.noValue
    private var homeAddress = PrefixTable.noValue

    /// The number of a record; `PrefixTable.noValue` where the binding does not go that way.
    subscript(way: BindingWay) -> UInt32 {
        get {
            switch way {
            case .ipv4: ipv4
            case .careOf: careOf
            case .homeAddress: homeAddress
            }
        }
        set {
            switch way {
            case .ipv4: ipv4 = newValue
            case .careOf: careOf = newValue
            case .homeAddress: homeAddress = newValue
            }
        }
    }

    /// The numbers of those that there are.
    var all: some Sequence<UInt32> { [ipv4, careOf, homeAddress].lazy.filter { $0 != PrefixTable.noValue } }
}

extension BoundPrefix {
    var way: BindingWay { tunnel == .careOf ? .careOf : .homeAddress }
}

extension Binding {
    /// The ways that its packets go.
    /// - Parameter isMember: of a multicast group.
    func ways(isMember: Bool) -> Set<BindingWay> {
        var ways = Set(prefixes.map(\.way))
        if homeAddress != nil { ways.insert(.ipv4) }
        if isMember, let multicastWay { ways.insert(multicastWay) }
        return ways
    }

    /// The way of packets to multicast groups, which is that of the node's other IPv6 traffic (RFC 5454, 3.3.3); nil where
    /// the node can get none.
    var multicastWay: BindingWay? {
        if prefixes.contains(where: { $0.tunnel == .careOf }) { return .careOf }
        if homeAddress != nil { return .homeAddress }
        return encapsulation == .minimal ? nil : .careOf
    }
}
