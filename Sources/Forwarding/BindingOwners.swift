// Whose bindings are: names of those who put them, each with a small number, so that a binding bears a byte and no text.

import Bindings

/// The owners of bindings.
struct BindingOwners {
    private var names: [String] = []
    /// Bindings of each.
    private var counts: [Int] = []
    private var numbers: [String: UInt8] = [:]

    /// The name of an owner.
    subscript(number: UInt8) -> String { names[Int(number)] }

    /// The number of an owner, for the change that begins: one who has no bindings then may lose it to another.
    mutating func number(of name: String) throws(BindingTableError) -> UInt8 {
        if let number = numbers[name] { return number }
        if names.count < BindingLimits.owners {
            names.append(name)
            counts.append(0)
            numbers[name] = UInt8(names.count - 1)
            return UInt8(names.count - 1)
        }
        guard let free = counts.firstIndex(of: 0) else { throw .tooManyOwners(limit: BindingLimits.owners) }
        numbers[names[free]] = nil
        names[free] = name
        numbers[name] = UInt8(free)
        return UInt8(free)
    }

    /// The number of an owner that has one.
    func existingNumber(of name: String) -> UInt8? { numbers[name] }

    /// Counts a binding more.
    mutating func retain(_ number: UInt8) { counts[Int(number)] += 1 }

    /// Counts a binding less.
    mutating func release(_ number: UInt8) { counts[Int(number)] -= 1 }
}
