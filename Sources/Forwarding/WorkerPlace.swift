// One of several workers of the same tables. Each has the packets of its own queues, chosen by addresses (`Steering`), so
// that one worker sees all of a flow. What belongs to a tunnel rather than to a flow is owned by one of them: the numbers
// of a GRE tunnel with sequence numbers. Whoever else gets a packet for such a tunnel hands it to the owner (`Handovers`).

/// Which of how many workers a forwarder is.
public struct WorkerPlace: Sendable {
    /// Of this worker, from 0.
    public let index: Int
    let handovers: Handovers

    /// How many workers there are.
    public var count: Int { handovers.workers }

    /// The only worker.
    public init() { self.init(0, of: Handovers(workers: 1)) }

    /// One of several, which share the handovers.
    public init(_ index: Int, of handovers: Handovers) {
        precondition((0..<handovers.workers).contains(index), "workers are numbered from 0")
        self.index = index
        self.handovers = handovers
    }
}
