// All workers of the daemon, for those to whom it does not matter which one has a packet: the control socket, the timers,
// the signals. Each forwards the packets of its own queues of the devices and knows nothing of the others, but for those
// to whom it hands packets of tunnels that they number.

import Dispatch
import Forwarding
import Glibc
import PacketBuffer
import PacketIO
import Synchronization
import Wire

/// The workers of a daemon.
final class Workers: Sendable {
    /// Each has its own queue of each device, in this order.
    let all: [Worker]
    /// The descriptors of all queues of all devices, as `PortQueues.descriptors`. They are open while the workers run.
    let queueDescriptors: [Int32]
    /// How super-frames of the home device are sent.
    let superFrames: SuperFrameWay
    /// How super-frames come that lie in tunnels.
    let accessFrames: AccessFrameWay
    /// How many still run, and why the first that ended by itself has.
    private let running: Mutex<(count: Int, error: PortError?)>
    /// Whose packets for the control plane are taken first.
    private let turn = Atomic(0)

    /// Workers that do not forward yet.
    /// - Parameters:
    ///   - queues: of the devices, a queue of each for every worker.
    ///   - count: of the workers.
    ///   - areResting: whether they rest until `goOn`, once they are started.
    /// - Throws: `PortError` where a port can't be had.
    init(
        _ io: IOChoice, _ offload: OffloadChoice, _ accessOffload: AccessOffloadChoice, queues: consuming PortQueues,
        count: Int, configuration: PortConfiguration,
        areResting: Bool = false
    ) throws(PortError) {
        superFrames = SuperFrameWay(offload, queues, isSuccession: areResting)
        accessFrames = AccessFrameWay(accessOffload, &queues, count: count, isSuccession: areResting)
        queueDescriptors = queues.descriptors
        let handovers = Handovers(workers: count)
        var all: [Worker] = []
        let rest = areResting ? WorkersRest(of: count) : nil
        for index in 0..<count {
            let waker = try PortWaker()
            let port = try ChosenPort(io, devices: queues.takeNext(), waker: waker, configuration: configuration)
            all.append(Worker(port: port, waker: waker, place: WorkerPlace(index, of: handovers), rest: rest))
        }
        self.all = all
        running = Mutex((count, nil))
    }

    /// Starts all; to be called once. Where one ends by itself, the others are stopped.
    /// - Parameters:
    ///   - processors: that they are pinned to, one each; nil: they run where the scheduler wants them.
    ///   - punted: called on a worker's thread when packets wait for the control plane; until they are taken once only.
    ///   - waiting: called on a worker's thread when packets begin to wait for others of their tunnel; `releaseWaiting` is
    ///     then to be called every few milliseconds, until it returns false.
    ///   - ended: called when all have come to their end: nil after `stop`, else why the first could not go on.
    func start(
        table: BindingTable, settings: ForwarderSettings, processors: ProcessorList?,
        punted: @escaping @Sendable () -> Void, waiting: @escaping @Sendable () -> Void,
        ended: @escaping @Sendable (PortError?) -> Void
    ) {
        for (index, worker) in all.enumerated() {
            worker.start(
                table: table, settings: settings, processor: processors?.numbers[index],
                handedOver: { [self] others in wake(others) }, punted: punted,
                waiting: waiting,
                ended: { [self] error in
                    if error != nil { stop() }
                    let (isLast, first) = running.withLock { running in
                        running.count -= 1
                        running.error = running.error ?? error
                        return (running.count == 0, running.error)
                    }
                    if isLast { ended(first) }
                })
        }
    }

    /// Tells all workers to finish what the kernel has handed over, and to end.
    func stop() { for worker in all { worker.stop() } }

    /// Has all read no more, and bring what they have read to its end. What comes waits in the devices' queues.
    /// - Returns: false where they have not by then; they go on as soon as they are told to.
    func rest(until deadline: DispatchTime) -> Bool {
        let rest = WorkersRest(of: all.count)
        for worker in all { worker.order(.rest(rest)) }
        return rest.wait(until: deadline)
    }

    /// Has those that rest forward.
    func goOn() { for worker in all { worker.order(.next(.goOn)) } }

    /// Has those that rest end as they are: another process forwards.
    func leave() { for worker in all { worker.order(.next(.leave)) } }

    /// Has workers take what was injected or handed to them; a bit each.
    func wake(_ workers: UInt64) {
        for (index, worker) in all.enumerated() where workers & 1 << UInt64(index) != 0 { worker.wake() }
    }

    /// How packets are moved: "io_uring" or "plain". All workers do it alike, unless memory or descriptors became short.
    var io: String { all.allSatisfy { $0.io == all[0].io } ? all[0].io : IOChoice.systemCalls.rawValue }

    /// Why it is not io_uring where that was wanted; else empty.
    var ioReason: String { all.lazy.map(\.ioReason).first { !$0.isEmpty } ?? "" }

    /// A reading of the counters of each. Every one of them accounts for all packets of its worker, and so does the sum.
    func counters() -> [Counters] { all.map { $0.counters.read() } }

    /// Whether somebody takes packets for the control plane.
    func setPuntsAttached(_ areAttached: Bool) { for worker in all { worker.punts.isAttached = areAttached } }

    /// Packets for the control plane, `limit` of them at the most. A flood at one worker does not keep others' back.
    /// - Returns: them, and whether more wait. It is then to be called again.
    func takePunts(limit: Int) -> (packets: [PuntedPacket], more: Bool) {
        let first = turn.add(1, ordering: .relaxed).oldValue
        var packets: [PuntedPacket] = []
        var more = false
        for offset in all.indices {
            let worker = all[(first &+ offset) % all.count]
            let (taken, hasMore) = worker.takePunts(limit: limit - packets.count)
            packets += taken
            more = more || hasMore
        }
        return (packets, more)
    }

    /// What workers noted of packets that nobody had a right to send, and how many notes were left out.
    func drainSecurityExceptions() -> (exceptions: [SecurityException], omitted: UInt64) {
        var (exceptions, omitted): ([SecurityException], UInt64) = ([], 0)
        for worker in all {
            let noted = worker.securityExceptions.drain()
            exceptions += noted.exceptions
            omitted += noted.omitted
        }
        return (exceptions, omitted)
    }

    /// Has workers that may be asleep let go the packets whose time is up.
    /// - Returns: false where none waits.
    func releaseWaiting() -> Bool {
        // Each is to be asked, whatever another says.
        all.reduce(false) { $1.releaseWaiting() || $0 }
    }
}
