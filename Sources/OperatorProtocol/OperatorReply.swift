/// What is answered: what belongs to the request, or an error.
public struct OperatorReply: Codable, Sendable {
    /// Kinds of errors, for programs.
    public enum ErrorKind: String, Codable, Sendable {
        /// What was asked for is not there.
        case absent
        /// It can't be done as things are.
        case refused
        /// The request can't be used.
        case unusable
    }

    /// Why there is no answer, for people.
    public var error: String?
    /// Of the error, where there is one.
    public var errorKind: ErrorKind?
    /// To `status`.
    public var status: StatusReport?
    /// To `counters`.
    public var counters: [String: UInt64]?
    /// To `registrations`, `registration` and `revoke`.
    public var registrations: [RegistrationReport]?
    /// To `nodes`, `node`, `add-node` and `remove-node`.
    public var nodes: [NodeReport]?
    /// Where the next page begins; absent at the end.
    public var next: Int?

    /// An empty reply.
    public init() {}

    /// An error.
    public init(error: String, _ kind: ErrorKind = .unusable) {
        self.error = error
        errorKind = kind
    }
}
