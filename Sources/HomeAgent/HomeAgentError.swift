/// Why the home agent can't start, or go on.
public struct HomeAgentError: Error, Hashable, CustomStringConvertible {
    /// What is wrong and what to do.
    public let description: String

    /// An error with what to do.
    public init(_ description: String) { self.description = description }
}
