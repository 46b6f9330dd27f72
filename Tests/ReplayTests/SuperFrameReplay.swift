// A golden case with super-frames: what comes at one time goes into one batch, runs of packets of one flow joined as a kernel
// joins them, and what leaves as a super-frame is cut again (FlowPacket).

import Capture
import Forwarding
import PacketBuffer

@testable import Replay

struct SuperFrameReplay {
    /// A way in which mooringd passes super-frames (docs/architecture.md).
    enum Way: String, CaseIterable, Sendable {
        /// Nothing is joined.
        case off
        /// Super-frames come from the home side; they leave for the access side as packets, of UDP tunnels as trains.
        case split
        /// They leave whole where the tunnel carries them.
        case push
        /// They come whole in tunnels, too.
        case whole
    }

    /// A packet that left, and the time of the batch that it left with.
    struct Output: Hashable {
        let time: UInt64
        let bytes: [UInt8]
    }

    /// Where a batch is from.
    private struct Input {
        let reader: CaptureReader?
        let side: Side
        /// The next packet; without bytes where the frame bears none.
        var next: (time: UInt64, bytes: [UInt8]?)?

        init(_ path: String?, _ side: Side) throws {
            reader = try path.map { try CaptureReader(path: $0) }
            self.side = side
            try advance()
        }

        mutating func advance() throws {
            next = try reader?.next().map { frame in
                (frame.time, frame.linkLayer.packet(in: frame.bytes).map { Array($0) })
            }
        }
    }

    let way: Way
    private(set) var outputs: [Side: [Output]] = [.home: [], .access: []]
    private(set) var counters: ReplayCounters
    /// Super-frames that came, and that left, by their side.
    private(set) var came: [Side: Int] = [.home: 0, .access: 0]
    private(set) var left: [Side: Int] = [.home: 0, .access: 0]
    /// Super-frames of which a kernel would not have made what they were said to be.
    private(set) var notCut = 0

    /// Runs a case.
    init(_ golden: ReplayCase, _ way: Way) throws {
        self.way = way
        let replay = try golden.makeReplay()
        var (home, access) = (try Input(replay.homeInput, .home), try Input(replay.accessInput, .access))
        let capacity = 256
        var pool = try PacketPool(
            slotCount: capacity, packetCapacity: CapturePort<Discarding>.packetCapacity)
        var clock = [home.next?.time, access.next?.time].compactMap(\.self).min() ?? 0
        let table = try replay.makeTable(now: clock)
        let punts = PuntQueue(capacity: Replay.puntCapacity)
        punts.isAttached = true
        var settings = replay.settings
        settings.sendsSuperFrames = way == .push || way == .whole
        settings.sendsTrains = way != .off
        (settings.joinsSegments, settings.joinsDatagrams) = (way != .off, way != .off)
        var forwarder = Forwarder(
            reading: table.reader, settings: settings, batchCapacity: capacity, identification: 0, punts: punts)
        var batch = PacketBatch(capacity: capacity)
        var (withoutPacket, lost) = (PortFailures(), PortFailures())
        counters = ReplayCounters(forwarder.published.read())
        var time = clock
        while let first = [home, access].filter({ $0.next != nil }).min(by: { $0.next!.time < $1.next!.time }) {
            time = first.next!.time
            clock = max(clock, time)
            var packets: [[UInt8]] = []
            while packets.count < capacity, let next = first.side == .home ? home.next : access.next, next.time == time
            {
                switch next.bytes {
                case nil: withoutPacket.count(first.side)
                case let bytes? where bytes.count > pool.packetCapacity: lost.count(first.side)
                case let bytes?: packets.append(bytes)
                }
                if first.side == .home { try home.advance() } else { try access.advance() }
            }
            fill(&batch, packets, first.side, &pool)
            _ = table.expire(now: clock)
            forwarder.process(&batch, now: clock)
            take(&batch, time, &pool)
            while batch.isUnfinished {
                forwarder.resume(&batch)
                take(&batch, time, &pool)
            }
            _ = punts.take()
        }
        forwarder.process(&batch, now: .max)
        take(&batch, time, &pool)
        forwarder.publishCounters(receiveFailures: lost)
        counters = ReplayCounters(forwarder.published.read())
        counters.count(framesWithoutIP: withoutPacket)
    }

    /// Puts packets into a batch, runs of them joined.
    private mutating func fill(
        _ batch: inout PacketBatch, _ packets: [[UInt8]], _ side: Side, _ pool: inout PacketPool
    ) {
        let joins = side == .home ? way != .off : way == .whole
        var rest = packets[...]
        while let bytes = rest.popFirst() {
            var frame: JoinedPacket?
            if joins, let first = FlowPacket(bytes, inTunnel: side == .access), first.mayBegin {
                let size = bytes.count - first.payload
                var others: [FlowPacket] = []
                while others.last?.ends(size: size) != true,
                    let next = rest.first.flatMap({ FlowPacket($0, inTunnel: side == .access) }),
                    next.follows(first, count: others.count + 1, size: size)
                {
                    others.append(next)
                    rest.removeFirst()
                }
                if !others.isEmpty { frame = first.joined(with: others) }
            }
            append(frame?.bytes ?? bytes, frame, side, to: &batch, &pool)
        }
    }

    private mutating func append(
        _ bytes: [UInt8], _ frame: JoinedPacket?, _ side: Side, to batch: inout PacketBatch, _ pool: inout PacketPool
    ) {
        guard let slot = pool.take() else { preconditionFailure("there is a slot for each packet of a batch") }
        let start = pool.packetStart(slot)
        start.copyMemory(from: bytes, byteCount: bytes.count)
        var packet = Packet(start: start, length: bytes.count, slot: slot, ingress: side)
        if let frame {
            packet.segmentKind = frame.kind
            packet.segmentSize = UInt16(frame.segmentSize)
            packet.segmentCount = UInt16(frame.count)
            packet.transportOffset = UInt16(frame.transport)
            came[side]! += 1
        }
        batch.append(packet)
    }

    /// Carries the verdicts out.
    private mutating func take(_ batch: inout PacketBatch, _ time: UInt64, _ pool: inout PacketPool) {
        var generated = 0
        for index in 0...batch.count {
            while batch.leaves(generated, before: index) {
                let packet = batch.generatedPacket(at: generated)
                let parts = generated..<generated + (packet.verdict == .transmitJoined ? Int(packet.segmentCount) : 1)
                leave(packet, parts.flatMap { Array(batch.generatedPacket(at: $0).bytes) }, time)
                generated = parts.upperBound
            }
            guard index < batch.count, batch[index].verdict != .unfinished, batch[index].verdict != .carriedOut else {
                continue
            }
            var bytes = Array(batch[index].bytes)
            if batch[index].verdict == .transmitJoined {
                var last = index
                while let next = batch.joined(behind: last) {
                    bytes += batch[next].bytes
                    last = next
                }
            }
            leave(batch[index], bytes, time)
            pool.give(batch[index].slot)
        }
        batch.endCompletion()
    }

    private mutating func leave(_ packet: Packet, _ bytes: [UInt8], _ time: UInt64) {
        let side: Side
        switch packet.verdict {
        case .transmitHome: side = .home
        case .transmitAccess: side = .access
        case .transmitJoined: side = packet.ingress.opposite
        default: return
        }
        guard packet.isSuperFrame else { return outputs[side]!.append(Output(time: time, bytes: bytes)) }
        left[side]! += 1
        let frame = JoinedPacket(
            bytes: bytes, kind: packet.segmentKind, segmentSize: Int(packet.segmentSize),
            transport: Int(packet.transportOffset), count: Int(packet.segmentCount))
        guard var packets = FlowPacket.cut(frame) else {
            notCut += 1
            return
        }
        if packet.verdict == .transmitJoined, side == .access, bytes[9] == 17 {
            // A train. What leaves by itself has no checksum, and of a train the kernel makes one for each.
            for index in packets.indices { packets[index].replaceSubrange(26..<28, with: [0, 0]) }
        }
        outputs[side]! += packets.map { Output(time: time, bytes: $0) }
    }
}

/// Names the port whose packets have the size of these.
private final class Discarding: CaptureSink {
    func write(_ packet: UnsafeRawBufferPointer, time: UInt64, to side: Side) throws(CaptureError) {}
}

extension PortFailures {
    fileprivate mutating func count(_ side: Side) { if side == .home { home += 1 } else { access += 1 } }
}
