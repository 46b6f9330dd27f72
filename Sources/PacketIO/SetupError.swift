import RouteNetlink

/// The devices can't be set up, or can't be looked at.
public struct SetupError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What went wrong and what to do.
    public let description: String

    /// An error with its sentence.
    public init(_ description: String) { self.description = description }

    init(_ error: RouteError) { self.init(error.description) }
}
