// Captures as a port: what was captured on either side comes in, in the order of time, and what the forwarder transmits
// goes to a sink with the time of the packet that caused it.
//
// All packets of a batch are of one time and of one side. So the forwarder's clock can be that of the capture, and where
// batches end makes no difference to what comes out. Of equal times the home side comes first. Packets of one file keep
// its order even where its times run backwards; the clock then stands still.

import PacketBuffer

/// Where packets go that were transmitted.
public protocol CaptureSink: AnyObject {
    /// Takes a packet.
    /// - Parameters:
    ///   - time: of the packet that caused it, in nanoseconds since 1970.
    ///   - side: the one it left by.
    func write(_ packet: UnsafeRawBufferPointer, time: UInt64, to side: Side) throws(CaptureError)
}

/// A port whose home and access side are captures.
public struct CapturePort<Sink: CaptureSink>: PacketPort, ~Copyable {
    /// Bytes of the largest packet: an IPv6 header and the most that its length field can say. What is larger is lost,
    /// and counted in `receiveFailures`.
    public static var packetCapacity: Int { 40 + 65_535 }

    /// An input and its next frame.
    private struct Input {
        let reader: CaptureReader?
        var frame: CapturedFrame?

        mutating func advance() throws(CaptureError) { frame = try reader?.next() }
    }

    private var home: Input
    private var access: Input
    private var pool: PacketPool
    private let sink: Sink
    private var failure: CaptureError?

    /// Of the packets in the last batch, in nanoseconds since 1970.
    public private(set) var time: UInt64
    /// The same, except that it never runs backwards.
    public private(set) var clock: UInt64
    /// Frames that were passed over because they bear no IP packet.
    public private(set) var framesWithoutIP = PortFailures()
    /// Frames of which the capture has only the beginning. They are handed over as they are.
    public private(set) var cutFrames: UInt64 = 0
    /// Packets larger than a slot.
    public private(set) var receiveFailures = PortFailures()
    /// None: the sink takes every packet, or ends the port.
    public var transmitFailures: PortFailures { PortFailures() }
    /// None: the sink takes a packet at once.
    public var inFlight: Int { 0 }

    /// A port on one or two captures.
    /// - Parameters:
    ///   - batchCapacity: packets that may be under way at once.
    ///   - sink: gets what is transmitted.
    /// - Throws: where a file's first packet can't be read.
    public init(home: CaptureReader?, access: CaptureReader?, batchCapacity: Int, sink: Sink) throws(CaptureError) {
        let (homeFrame, accessFrame) = (try home?.next(), try access?.next())
        pool = try Self.makePool(slotCount: batchCapacity)
        self.home = Input(reader: home, frame: homeFrame)
        self.access = Input(reader: access, frame: accessFrame)
        self.sink = sink
        time = [homeFrame?.time, accessFrame?.time].compactMap(\.self).min() ?? 0
        clock = time
    }

    private static func makePool(slotCount: Int) throws(CaptureError) -> PacketPool {
        do throws(PacketPoolError) {
            return try PacketPool(slotCount: slotCount, packetCapacity: packetCapacity)
        } catch {
            throw CaptureError("\(error)")
        }
    }

    /// Whether everything was read.
    public var isAtEnd: Bool { home.frame == nil && access.frame == nil }

    /// Frames that were read.
    public var frameCount: Int { (home.reader?.frameCount ?? 0) + (access.reader?.frameCount ?? 0) }

    /// Packets of one time and one side. Nothing is ever waited for: an empty batch is the end.
    /// - Throws: where an input is damaged, or the sink took no more.
    public mutating func receive(into batch: inout PacketBatch, wait: Bool) throws(PortError) {
        do throws(CaptureError) {
            if let failure { throw failure }
            while let side = nextSide, !batch.isFull, pool.free > 0 {
                let frame = side == .home ? home.frame! : access.frame!
                if !batch.isEmpty, frame.time != time || batch[0].ingress != side { return }
                time = frame.time
                clock = max(clock, time)
                take(frame, from: side, into: &batch)
                if side == .home { try home.advance() } else { try access.advance() }
            }
        } catch {
            throw PortError(error.description)
        }
    }

    /// The side whose packet comes next; nil at the end.
    private var nextSide: Side? {
        switch (home.frame, access.frame) {
        case (nil, nil): nil
        case (_, nil): .home
        case (nil, _): .access
        case (let home?, let access?): home.time <= access.time ? .home : .access
        }
    }

    private mutating func take(_ frame: CapturedFrame, from side: Side, into batch: inout PacketBatch) {
        if frame.isCut { cutFrames += 1 }
        guard let packet = frame.linkLayer.packet(in: frame.bytes) else { return framesWithoutIP.count(side) }
        guard packet.count <= pool.packetCapacity, let slot = pool.take() else { return receiveFailures.count(side) }
        let start = pool.packetStart(slot)
        if let source = packet.baseAddress { start.copyMemory(from: source, byteCount: packet.count) }
        batch.append(Packet(start: start, length: packet.count, slot: slot, ingress: side))
    }

    /// Hands what is to be transmitted to the sink. A capture has no super-frames: the forwarder may join no segments. An error of it comes out of the next `receive`, or of `finish`.
    public mutating func complete(_ batch: inout PacketBatch) {
        var generated = 0
        for index in 0...batch.count {
            while batch.leaves(generated, before: index) {
                transmit(batch.generatedPacket(at: generated))
                generated += 1
            }
            guard index < batch.count, batch[index].verdict != .unfinished, batch[index].verdict != .carriedOut else {
                continue
            }
            transmit(batch[index])
            pool.give(batch[index].slot)
        }
        batch.endCompletion()
    }

    /// - Throws: what the sink said of the last batch.
    public func finish() throws(CaptureError) { if let failure { throw failure } }

    private mutating func transmit(_ packet: Packet) {
        guard failure == nil, packet.verdict == .transmitHome || packet.verdict == .transmitAccess else { return }
        do throws(CaptureError) {
            try sink.write(packet.bytes, time: time, to: packet.verdict == .transmitHome ? .home : .access)
        } catch {
            failure = error
        }
    }
}

extension PortFailures {
    fileprivate mutating func count(_ side: Side) { if side == .home { home += 1 } else { access += 1 } }
}
