/// What is answered: what belongs to the request, or an error.
public struct OperatorReply: Codable, Sendable {
    /// Why there is no answer, for people.
    public var error: String?
    /// Whether what was asked for is not there, where there is an error.
    public var isAbsent: Bool?
    /// To `status`.
    public var status: StatusReport?
    /// To `counters`.
    public var counters: [String: UInt64]?
    /// To `registrations`, `registration` and `revoke`.
    public var registrations: [RegistrationReport]?
    /// To `nodes`.
    public var nodes: [NodeReport]?
    /// Where the next page begins; absent at the end.
    public var next: Int?

    /// An empty reply.
    public init() {}

    /// An error.
    public init(error: String, isAbsent: Bool = false) {
        self.error = error
        self.isAbsent = isAbsent
    }
}
