// The visitor list (RFC 5944, 3.7.1) as far as registrations are in effect: by home address, each with its end. Looking
// one up costs the same however many there are.

import Wire

/// Visitors by their home addresses.
struct VisitorList {
    private var visitors: [Visitor?] = []
    private var free: [UInt32] = []
    private var numbers: [IPv4Address: UInt32] = [:]
    private var deadlines = DeadlineHeap()

    var count: Int { numbers.count }
    /// When the first ends.
    var earliest: UInt64? { deadlines.earliest }

    subscript(_ homeAddress: IPv4Address) -> Visitor? { numbers[homeAddress].flatMap { visitors[Int($0)] } }

    /// Puts a visitor, in place of the one of its home address.
    /// - Parameter end: when its lifetime has passed; nil for never.
    mutating func put(_ visitor: Visitor, until end: UInt64?) {
        let number: UInt32
        if let known = numbers[visitor.homeAddress] ?? free.popLast() {
            number = known
        } else {
            number = UInt32(visitors.count)
            visitors.append(nil)
        }
        numbers[visitor.homeAddress] = number
        visitors[Int(number)] = visitor
        if let end { deadlines.set(number, to: end) } else { deadlines.remove(number) }
    }

    /// Takes a visitor out; nil where there is none.
    @discardableResult
    mutating func remove(_ homeAddress: IPv4Address) -> Visitor? {
        guard let number = numbers.removeValue(forKey: homeAddress) else { return nil }
        defer { visitors[Int(number)] = nil }
        free.append(number)
        deadlines.remove(number)
        return visitors[Int(number)]
    }

    /// Takes out one whose lifetime has passed.
    mutating func takeDue(at now: UInt64) -> Visitor? {
        guard let number = deadlines.takeDue(at: now), let visitor = visitors[Int(number)] else { return nil }
        return remove(visitor.homeAddress)
    }
}
