// What lists of reasons have in common: a case of an enumeration is the counter's name and has a sentence for people.

/// A reason why something that came was not taken, each with a counter of its own.
public protocol CountedReason: Error, CaseIterable, Hashable, Sendable {
    /// A sentence for people: what was wrong.
    var explanation: String { get }
}

extension CountedReason {
    /// The counter's name: the case in kebab case, such as `no-binding`.
    public var name: String {
        var name = ""
        var previousIsLowercase = false
        for character in String(describing: self) {
            if character.isUppercase, previousIsLowercase { name += "-" }
            previousIsLowercase = !character.isUppercase
            name += character.lowercased()
        }
        return name
    }
}
