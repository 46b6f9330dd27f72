// Runs the forwarder over captures: the same code that forwards packets, fed from files, with the time of the capture.
//
// What comes out depends on nothing but the inputs: identifications of outer headers count from 1, time is the
// capture's, and the port makes batches in such a way that where they end makes no difference.

import Bindings
import Capture
import Forwarding
import PacketBuffer
import Wire

/// A replay that can't be done, or that can't go on.
public struct ReplayError: Error, Hashable, CustomStringConvertible {
    /// The file or binding, and what is wrong with it.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Captures and what to run them through.
public struct Replay: Sendable {
    /// Where ICMPv6 errors come from, unless another address is set: of the prefix for documentation (RFC 3849).
    public static let errorSource = IPv6Address("2001:db8:ffff::1")!
    /// Packets of a batch, as many as a worker of the daemon takes.
    static let batchCapacity = 256

    /// The bindings, which are put at the time of the first packet.
    public var bindings: BindingFile
    /// The path of what came from the home side.
    public var homeInput: String?
    /// The path of what came from the access side.
    public var accessInput: String?
    /// The source of ICMPv6 errors.
    public var errorSource = Self.errorSource
    var batchCapacity = Self.batchCapacity

    /// A replay of one or two captures.
    public init(bindings: BindingFile, homeInput: String?, accessInput: String?) {
        self.bindings = bindings
        self.homeInput = homeInput
        self.accessInput = accessInput
    }

    /// How far a replay has come.
    public struct Progress: Sendable {
        /// Frames that were read.
        public var frames: Int
        /// The part of the inputs that was read, 0 to 1.
        public var fraction: Double
    }

    /// What a replay has done.
    public struct Result: Hashable, Sendable {
        /// What became of the packets.
        public var counters: ReplayCounters
        /// Packets of which the capture has only the beginning.
        public var cutFrames: UInt64
    }

    /// Runs all of it.
    /// - Parameters:
    ///   - makeSink: gets whether times are in nanoseconds, and makes what takes the packets that come out.
    ///   - progress: called from time to time.
    /// - Throws: where an input can't be used, a binding can't be put, or the sink takes no more.
    func run<Sink: CaptureSink>(
        progress: (Progress) -> Void = { _ in }, into makeSink: (_ hasNanoseconds: Bool) throws -> Sink
    ) throws -> (result: Result, sink: Sink) {
        guard homeInput != nil || accessInput != nil else { throw ReplayError("there is no input to replay") }
        let home = try homeInput.map { try CaptureReader(path: $0) }
        let access = try accessInput.map { try CaptureReader(path: $0) }
        let inputs = [home, access].compactMap(\.self)
        let sink = try makeSink(inputs.contains(where: \.hasNanoseconds))
        var port = try CapturePort(home: home, access: access, batchCapacity: batchCapacity, sink: sink)
        let table = try makeTable(now: port.clock)
        let punts = PuntQueue(capacity: Self.puntCapacity)
        punts.isAttached = true
        var forwarder = Forwarder(
            reading: table.reader, settings: settings, batchCapacity: batchCapacity, identification: 0, punts: punts)
        var batch = PacketBatch(capacity: batchCapacity)
        var nextReport = Self.reportInterval
        while !port.isAtEnd {
            try port.receive(into: &batch, wait: false)
            _ = table.expire(now: port.clock)
            forwarder.process(&batch, now: port.clock)
            port.complete(&batch)
            while batch.isUnfinished {
                forwarder.resume(&batch)
                port.complete(&batch)
            }
            // They are counted; an output for them there is none.
            _ = punts.take()
            if port.frameCount >= nextReport {
                let fraction = inputs.reduce(0) { $0 + $1.progress } / Double(inputs.count)
                progress(Progress(frames: port.frameCount, fraction: fraction))
                nextReport = port.frameCount + Self.reportInterval
            }
        }
        // What still waits goes on when its time is up.
        forwarder.process(&batch, now: .max)
        port.complete(&batch)
        try port.finish()
        forwarder.publishCounters(receiveFailures: port.receiveFailures)
        var counters = ReplayCounters(forwarder.published.read())
        counters.count(framesWithoutIP: port.framesWithoutIP)
        guard counters.isConserved else {
            throw ReplayError("the counters do not add up, which is a defect of this program: \(counters.json)")
        }
        return (Result(counters: counters, cutFrames: port.cutFrames), sink)
    }

    /// Room for all packets of a batch, in bytes, so that where batches end makes no difference.
    static let puntCapacity = 1 << 25

    /// Frames between two reports of progress.
    private static let reportInterval = 1 << 16

    func makeTable(now: UInt64) throws -> BindingTable {
        var configuration = BindingTable.Configuration()
        configuration.bindingLimit = max(configuration.bindingLimit, bindings.bindings.count)
        configuration.prefixLimit = max(
            configuration.prefixLimit, bindings.bindings.reduce(0) { $0 + $1.prefixes.count })
        configuration.memberLimit = max(
            configuration.memberLimit, bindings.groups.reduce(0) { $0 + $1.members.count })
        configuration.endpoint = bindings.endpoint
        configuration.tunnelMTU = bindings.tunnelMTU ?? configuration.tunnelMTU
        let table = try BindingTable(configuration)
        _ = try table.put(bindings.bindings, now: now)
        for group in bindings.groups { try table.join(group.group, group.members) }
        return table
    }

    /// Those of a daemon that was started with this file.
    var settings: ForwarderSettings {
        var settings = ForwarderSettings()
        settings.endpoints = [bindings.endpoint].compactMap(\.self)
        settings.errorSource = errorSource
        return settings
    }
}
