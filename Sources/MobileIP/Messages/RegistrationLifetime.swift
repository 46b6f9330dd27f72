// The lifetime of a registration (RFC 5944, 3.3, 3.4 and 2.1.1), a number of seconds with one value that means for
// ever.

/// How long a registration lasts.
public struct RegistrationLifetime: Hashable, Sendable {
    /// In seconds; 0xFFFF means for ever.
    public var seconds: UInt16

    /// A lifetime as it stands in a message.
    public init(seconds: UInt16) { self.seconds = seconds }

    /// Ends a registration.
    public static let zero = RegistrationLifetime(seconds: 0)
    /// For ever.
    public static let infinite = RegistrationLifetime(seconds: .max)

    /// Whether it ends a registration.
    public var isZero: Bool { seconds == 0 }
    /// Whether it never ends.
    public var isInfinite: Bool { seconds == .max }
    /// As a duration; nil where it never ends.
    public var duration: Duration? { isInfinite ? nil : .seconds(seconds) }
}

extension RegistrationLifetime: Comparable {
    /// The shorter first; for ever is the longest.
    public static func < (left: Self, right: Self) -> Bool { left.seconds < right.seconds }
}

extension RegistrationLifetime: CustomStringConvertible {
    /// As `600 s`, or `for ever`.
    public var description: String { isInfinite ? "for ever" : "\(seconds) s" }
}
