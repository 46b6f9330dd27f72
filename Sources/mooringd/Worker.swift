// A worker is a thread of its own: it alone owns its port, its forwarder and its batch, and does three things in turn:
// receive, process, complete; the last two again while what is made from a batch has not all found room. Where nothing
// lies ready it tells the tables' writer that it is asleep, so that nobody waits for it. Counters are published between
// receiving and processing, when every packet of the batch before has reached its end.

import Forwarding
import Glibc
import PacketBuffer
import PacketIO
import PrefixTable
import ServiceProcess
import Synchronization

/// Nanoseconds of a clock that does not run backwards and does not stand still while the machine sleeps.
@inline(__always)
func bootTimeNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}

/// The loop of a worker.
struct ForwardingLoop: ~Copyable {
    /// Packets handled at a time: enough to share the cost of a system call, few enough to stay in the cache.
    static let batchCapacity = 256
    /// Packets that a port holds. With fewer, reads run out of slots under load and have to be armed again.
    static let slotCount = 4 * batchCapacity
    /// Batches that are still taken when the worker is told to stop, so that what the kernel has handed over goes on.
    static let drainLimit = 64

    let reader: QuiescentReader
    var forwarder: Forwarder
    var batch = PacketBatch(capacity: batchCapacity)
    /// Called when packets wait for the control plane; more often than needed.
    let punted: @Sendable () -> Void
    /// Called with whether packets wait for others of their tunnel.
    let waits: @Sendable (Bool) -> Void
    /// Called with the workers that packets were handed to, a bit each.
    let handedOver: @Sendable (UInt64) -> Void
    private var isWaiting = false
    /// What it is to do where it is told to stop; where nobody gives orders, to end.
    private let orders: WorkerOrders?

    init(
        reader: QuiescentReader, forwarder: consuming Forwarder, punted: @escaping @Sendable () -> Void = {},
        waits: @escaping @Sendable (Bool) -> Void = { _ in },
        handedOver: @escaping @Sendable (UInt64) -> Void = { _ in }, orders: WorkerOrders? = nil
    ) {
        self.orders = orders
        self.reader = reader
        self.forwarder = forwarder
        self.punted = punted
        self.waits = waits
        self.handedOver = handedOver
    }

    /// Forwards until `stopping` is set and the port's waker woken.
    /// - Returns: nil then; else why the port can't go on.
    mutating func run<Port: PacketPort & ~Copyable>(
        _ port: inout Port, until stopping: borrowing Atomic<Bool>
    ) -> PortError? {
        reader.goOnline()
        defer { reader.goOffline() }
        do {
            try forward(&port, until: stopping)
            return nil
        } catch {
            return error
        }
    }

    /// A function of its own, so that the test of its code (Tests/Repository/HotPathTests.swift) finds it.
    @inline(never)
    private mutating func forward<Port: PacketPort & ~Copyable>(
        _ port: inout Port, until stopping: borrowing Atomic<Bool>
    ) throws(PortError) {
        var drained = 0
        while true {
            let stop = stopping.load(ordering: .relaxed)
            if stop {
                switch try obey(&port) {
                case .goOn: continue
                case .leave: return
                case .end: break
                }
            }
            try port.receive(into: &batch, wait: false)
            forwarder.publishCounters(
                inFlight: port.inFlight, transmitFailures: port.transmitFailures,
                receiveFailures: port.receiveFailures)
            if batch.isEmpty, forwarder.injections.isEmpty, !forwarder.hasHandovers {
                if stop { return }
                reader.goOffline()
                try port.receive(into: &batch, wait: true)
                reader.goOnline()
            }
            carryOut(&port)
            if stop {
                drained += 1
                if drained == Self.drainLimit { return }
            }
        }
    }

    /// Brings a batch to its end, and what others gave this worker.
    @inline(__always)
    private mutating func carryOut<Port: PacketPort & ~Copyable>(_ port: inout Port) {
        forwarder.process(&batch, now: bootTimeNanoseconds(), inFlight: port.inFlight)
        if !forwarder.injections.isEmpty { forwarder.inject(into: &batch) }
        if forwarder.hasHandovers { forwarder.takeHandovers(into: &batch) }
        port.complete(&batch)
        while batch.isUnfinished {
            forwarder.resume(&batch)
            port.complete(&batch)
        }
        reader.quiesce()
        if !forwarder.punts.isEmpty { tellOfPunts() }
        if forwarder.hasHandedOver { wakeOthers() }
        if (forwarder.waitingCount > 0) != isWaiting { tellOfWaiting() }
    }

    /// Rests as long as it is told to: reads no more, brings all that was read to its end, and what other workers that read
    /// no more handed over. What waits for others stays, should it go on.
    @inline(never)
    private mutating func obey<Port: PacketPort & ~Copyable>(_ port: inout Port) throws(PortError) -> WorkerOrders.Next
    {
        var last: (rest: WorkersRest, isThere: Bool)?
        while true {
            let rest: WorkersRest
            switch orders?.current ?? .next(.end) {
            // What still lies in the queues after a rest may be a successor's.
            case .next(.end) where last != nil: return .leave
            case .next(let next): return next
            case .rest(let ordered): rest = ordered
            }
            // Asked before it is looked whether others handed something over, and not after.
            let allReadNoMore = rest.allReadNoMore
            let isQuiet = try port.suspend(into: &batch)
            forwarder.publishCounters(
                inFlight: port.inFlight, transmitFailures: port.transmitFailures,
                receiveFailures: port.receiveFailures)
            if !batch.isEmpty || !forwarder.injections.isEmpty || forwarder.hasHandovers {
                carryOut(&port)
            } else if isQuiet {
                if last?.rest !== rest {
                    last = (rest, false)
                    rest.readsNoMore()
                } else if allReadNoMore, last?.isThere == false {
                    last = (rest, true)
                    rest.isThere()
                }
                reader.goOffline()
                // Rests are short, and nobody has to wake who looks for himself.
                usleep(WorkersRest.lookInterval)
                reader.goOnline()
            }
        }
    }
}

extension ForwardingLoop {
    /// A function of its own, so that the test of the loop's code can pass it over.
    @inline(never)
    private mutating func tellOfPunts() { punted() }

    /// The same.
    @inline(never)
    private mutating func wakeOthers() { handedOver(forwarder.takeHandedOver()) }

    /// The same.
    @inline(never)
    private mutating func tellOfWaiting() {
        isWaiting.toggle()
        waits(isWaiting)
    }
}

/// A worker as the rest of the daemon sees it.
final class Worker: Sendable {
    /// What it has counted.
    let counters = PublishedCounters()
    /// Packets that nobody had a right to send.
    let securityExceptions = SecurityExceptionRing()
    /// Packets for the control plane.
    let punts = PuntQueue()
    /// Packets of the control plane, which `wake` has the worker take.
    let injections = InjectQueue()
    /// How it moves packets: "io_uring" or "plain".
    let io: String
    /// Why it is not io_uring where that was wanted; else empty.
    let ioReason: String

    /// Whether the control plane knows that packets wait.
    private let isTold = SharedFlag()
    /// Whether packets wait whose time may be up before others come.
    private let hasWaiting = SharedFlag()
    /// What it is to do.
    let orders: WorkerOrders
    private let waker: PortWaker
    private let place: WorkerPlace
    /// Its port, until the thread takes it.
    private let port: PortBox

    /// What the name of a worker's thread begins with.
    static let threadName = "mooring-fwd-"

    /// A worker that does not forward yet.
    /// - Parameters:
    ///   - port: for this worker alone.
    ///   - waker: of that port.
    ///   - place: which of the workers it is.
    ///   - rest: what it begins with; nil to forward at once.
    init(port: consuming ChosenPort, waker: PortWaker, place: WorkerPlace, rest: WorkersRest?) {
        orders = WorkerOrders(rest)
        io = port.name
        ioReason = port.reason
        self.port = PortBox(port)
        self.waker = waker
        self.place = place
    }

    /// Starts forwarding on a thread of its own; to be called once.
    /// - Parameters:
    ///   - processor: that it is pinned to; nil: it runs where the scheduler wants it.
    ///   - handedOver: called on that thread with the workers that packets were handed to, a bit each. They are to be
    ///     woken.
    ///   - punted: called on that thread when packets wait for the control plane; until they are taken once only.
    ///   - waiting: called on that thread when packets begin to wait for others of their tunnel; `releaseWaiting` is then to
    ///     be called every few milliseconds, until it returns false.
    ///   - ended: called on that thread when it has come to its end: nil after `stop`, else why it can't go on.
    func start(
        table: BindingTable, settings: ForwarderSettings, processor: Int?,
        handedOver: @escaping @Sendable (UInt64) -> Void,
        punted: @escaping @Sendable () -> Void, waiting: @escaping @Sendable () -> Void,
        ended: @escaping @Sendable (PortError?) -> Void
    ) {
        guard let reader = table.quiescentStates.register() else { preconditionFailure("there is room for readers") }
        let tableReader = table.reader
        startThread(named: "\(Self.threadName)\(place.index)") { [self] in
            ForwardingThread.askForShortWaits()
            if let processor {
                do throws(PortError) { try ForwardingThread.pin(to: processor) } catch { return ended(error) }
            }
            // To forward takes none.
            do { try Capabilities.keep(only: []) } catch { return ended(PortError("\(error)")) }
            let forwarder = Forwarder(
                reading: tableReader, settings: settings, batchCapacity: ForwardingLoop.batchCapacity, place: place,
                published: counters, securityExceptions: securityExceptions, punts: punts, injections: injections)
            var loop = ForwardingLoop(
                reader: reader, forwarder: forwarder,
                punted: { [isTold] in
                    if !isTold.value.exchange(true, ordering: .acquiringAndReleasing) { punted() }
                },
                waits: { [hasWaiting] isWaiting in
                    hasWaiting.value.store(isWaiting, ordering: .relaxed)
                    if isWaiting { waiting() }
                }, handedOver: handedOver, orders: orders)
            let result: PortError? =
                switch port.take() {
                case .ioUring(var port): loop.run(&port, until: orders.isInterrupted)
                case .systemCalls(var port, _): loop.run(&port, until: orders.isInterrupted)
                }
            ended(result)
        }
    }

    /// The packets for the control plane, `limit` of them at the most.
    /// - Returns: them, and whether more wait. It is then to be called again.
    func takePunts(limit: Int) -> (packets: [PuntedPacket], more: Bool) {
        _ = isTold.value.exchange(false, ordering: .acquiringAndReleasing)
        let packets = punts.take(limit: limit)
        return (packets, !punts.isEmpty)
    }

    /// Has a worker that may be asleep let go the packets whose time is up.
    /// - Returns: false where none waits.
    func releaseWaiting() -> Bool {
        guard hasWaiting.value.load(ordering: .relaxed) else { return false }
        waker.wake()
        return true
    }

    /// Has the worker take what was injected, or handed over by another.
    func wake() { waker.wake() }

    /// Tells the worker to finish what the kernel has handed over, and to end.
    func stop() {
        order(.next(.end))
    }

    /// Has it do something else.
    func order(_ order: WorkerOrders.Order) {
        if orders.give(order) { waker.wake() }
    }
}

/// A port on its way to the thread that uses it: only a class can be handed to a thread.
private final class PortBox: @unchecked Sendable {
    private let pointer = UnsafeMutablePointer<ChosenPort>.allocate(capacity: 1)
    private let isTaken = Atomic(false)

    init(_ port: consuming ChosenPort) { pointer.initialize(to: port) }

    deinit {
        if !isTaken.load(ordering: .relaxed) { pointer.deinitialize(count: 1) }
        pointer.deallocate()
    }

    /// The port; to be called once.
    func take() -> ChosenPort {
        precondition(!isTaken.exchange(true, ordering: .relaxed), "a port has one owner")
        return pointer.move()
    }
}

/// A flag that threads share.
final class SharedFlag: Sendable {
    let value = Atomic(false)
}

extension ChosenPort {
    // Not inlined: inlining either into `Worker.init` crashes the optimiser of Swift 6.3.1.

    /// As people and benchmarks call it.
    @inline(never)
    fileprivate var name: String {
        switch self {
        case .ioUring: IOChoice.ioUring.rawValue
        case .systemCalls: IOChoice.systemCalls.rawValue
        }
    }

    /// Why it is not io_uring where that was wanted; else empty.
    @inline(never)
    fileprivate var reason: String {
        switch self {
        case .ioUring: ""
        case .systemCalls(_, let fallback): fallback?.description ?? ""
        }
    }
}
