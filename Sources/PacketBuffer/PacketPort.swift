// What the forwarder knows of the outside. A worker calls three things in turn, and nothing else:
//
//     port.receive(into: &batch, wait: …)   // packets of both sides, in the order they came
//     forwarder.process(&batch, …)          // a verdict for each
//     port.complete(&batch)                 // transmits and releases; again both, while the batch is unfinished
//
// Ports are generic parameters, never existentials, so the loop is specialised for each.

/// A source and sink of packets for one worker: the home and the access side together, so that there is one place to
/// wait in.
public protocol PacketPort: ~Copyable {
    /// Fills the batch, which must be empty, with packets that lie ready, up to its capacity. Packets of one side
    /// stand in the order the kernel gave them. What `complete` queued is handed to the kernel first.
    /// - Parameter wait: where nothing lies ready, sleep until something does or `PortWaker.wake` is called. May
    ///   return with an empty batch.
    /// - Throws: `PortError` where a device is gone or the kernel refuses to go on; the port is then unusable.
    mutating func receive(into batch: inout PacketBatch, wait: Bool) throws(PortError)

    /// Carries out every packet's verdict and empties the batch. Packets to one side leave in the order of the batch,
    /// and what the forwarder made from a packet leaves before it. A slot returns to its pool when the kernel is done
    /// with it. Of a batch that is unfinished those packets stay that have no verdict, and nothing is in flight when
    /// this returns.
    mutating func complete(_ batch: inout PacketBatch)

    /// Stops reading, so that another process may read from the same queues: what was not read yet stays in them. Fills
    /// the batch, which must be empty, with what was read already; to be called until it returns true, and what is in the
    /// batch to be completed each time. The next `receive` reads again.
    /// - Returns: whether nothing comes any more, and all that was given to `complete` is done.
    /// - Throws: as `receive`.
    mutating func suspend(into batch: inout PacketBatch) throws(PortError) -> Bool

    /// Packets given to `complete` for transmission whose fate the kernel has not told yet.
    var inFlight: Int { get }

    /// Packets with a verdict to transmit that the kernel refused to take, since the port was made.
    var transmitFailures: PortFailures { get }

    /// Packets lost in reception since the port was made, because they were larger than a slot, and reads that the
    /// kernel refused.
    var receiveFailures: PortFailures { get }
}

extension PacketPort where Self: ~Copyable {
    /// For ports that read only while they receive.
    public mutating func suspend(into batch: inout PacketBatch) throws(PortError) -> Bool { true }
}

/// What went wrong at a port, by side. Counts only grow.
public struct PortFailures: Sendable, Equatable {
    /// To or from the home side.
    public var home: UInt64 = 0
    /// To or from the access side.
    public var access: UInt64 = 0

    /// None.
    public init() {}
}

/// A port can't go on.
public struct PortError: Error, CustomStringConvertible, Sendable {
    /// What failed, with the device or call named, and what to do.
    public let description: String

    /// An error with its sentence.
    public init(_ description: String) { self.description = description }
}
