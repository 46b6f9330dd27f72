// A forwarder over a table of bindings, and packets for it in slots that show when something is written where it must
// not be: before the headroom lie known bytes, and behind the packet ends the memory, so that whoever reads or writes
// there ends the test.

import Bindings
import Forwarding
import Glibc
import PacketBuffer
import TestSupport
import Testing
import Wire

/// A packet as it comes in.
enum Given: Hashable, Sendable {
    case home([UInt8])
    case access([UInt8])
    /// From the home side, or from the access side, many segments in one.
    case superFrame([UInt8], kind: UInt8, size: UInt16, transportOffset: UInt16, count: UInt16, from: Side = .home)

    var side: Side {
        switch self {
        case .home: .home
        case .access: .access
        case .superFrame(_, _, _, _, _, let side): side
        }
    }

    var bytes: [UInt8] {
        switch self {
        case .home(let bytes), .access(let bytes), .superFrame(let bytes, _, _, _, _, _): bytes
        }
    }
}

/// What became of a packet.
enum Outcome: Hashable, Sendable {
    case released
    case home([UInt8])
    case access([UInt8])
    /// Many segments in one: to the home side, or a train to the access side.
    case superFrame([UInt8], kind: UInt8, size: UInt16, transportOffset: UInt16, count: UInt16)
    /// Part of one that is before it.
    case joined

    /// What was transmitted; nil where nothing was.
    var bytes: [UInt8]? {
        switch self {
        case .released, .joined: nil
        case .home(let bytes), .access(let bytes), .superFrame(let bytes, _, _, _, _): bytes
        }
    }

    /// What the kernel makes of what leaves to the home side, by its kind of frame: packets as on a wire.
    var cut: [[UInt8]] {
        guard case .superFrame(let bytes, let kind, let size, let offset, let count) = self else {
            return bytes.map { [$0] } ?? []
        }
        return bytes.withUnsafeBytes { bytes -> [[UInt8]] in
            guard
                let view = SuperFrameView(
                    bytes, isTCP: kind != SegmentKind.udp.rawValue, segmentSize: Int(size),
                    transportOffset: Int(offset)),
                view.segmentCount == Int(count)
            else { return [] }
            return (0..<view.segmentCount).map { number in
                [UInt8](unsafeUninitializedCapacity: view.headerLength + view.segmentSize) { target, length in
                    length = view.writeSegment(
                        at: number * view.segmentSize, size: view.segmentSize,
                        to: UnsafeMutableRawPointer(target.baseAddress!))
                }
            }
        }
    }
}

/// Memory for packets that ends where they end.
final class GuardedSlots {
    /// Of a packet, in bytes.
    static let packetCapacity = 17 * pageSize - PacketPool.headroom - canaryLength
    private static let pageSize = 4096
    private static let slotSize = 18 * pageSize
    private static let canaryLength = 64
    private static let canary: UInt8 = 0xC5

    let count: Int
    private let memory: UnsafeMutableRawPointer

    init(count: Int) {
        self.count = count
        let mapped = mmap(
            nil, count * Self.slotSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let mapped, mapped != MAP_FAILED else { fatalError("no memory for slots") }
        memory = mapped
        for slot in 0..<count {
            let result = mprotect(end(of: slot), Self.pageSize, PROT_NONE)
            precondition(result == 0, "a page could not be protected")
        }
    }

    deinit { munmap(memory, count * Self.slotSize) }

    private func end(of slot: Int) -> UnsafeMutableRawPointer {
        memory + slot * Self.slotSize + 17 * Self.pageSize
    }

    /// A packet of those bytes that ends where its slot's memory ends.
    func packet(_ given: Given, slot: Int) -> Packet {
        let bytes = given.bytes
        precondition(bytes.count <= Self.packetCapacity, "the packet is larger than a slot")
        let start = end(of: slot) - bytes.count
        let headroom = start - PacketPool.headroom
        memset(headroom - Self.canaryLength, Int32(Self.canary), Self.canaryLength + PacketPool.headroom)
        start.copyMemory(from: bytes, byteCount: bytes.count)
        var packet = Packet(start: start, length: bytes.count, slot: UInt32(slot), ingress: given.side)
        if case .superFrame(_, let kind, let size, let offset, let count, _) = given {
            (packet.segmentKind, packet.segmentSize, packet.transportOffset) = (kind, size, offset)
            packet.segmentCount = count
        }
        return packet
    }

    /// Whether nothing was written before the headroom of a packet of `length` bytes.
    func isUntouchedBeforeHeadroom(slot: Int, length: Int) -> Bool {
        let canaries = end(of: slot) - length - PacketPool.headroom - Self.canaryLength
        return UnsafeRawBufferPointer(start: canaries, count: Self.canaryLength).allSatisfy { $0 == Self.canary }
    }

    /// Whether the packet lies in any slot.
    func contains(_ packet: Packet) -> Bool {
        packet.start >= memory && packet.start < memory + count * Self.slotSize
    }

    /// Whether the packet lies in the memory that its slot has for one of `length` bytes.
    func holds(_ packet: Packet, slot: Int, length: Int) -> Bool {
        packet.length >= 0 && packet.start >= end(of: slot) - length - PacketPool.headroom
            && packet.start + packet.length <= end(of: slot)
    }
}

/// A forwarder with everything around it.
final class TestForwarder {
    let table: BindingTable
    var forwarder: Forwarder
    private var batch: PacketBatch
    private let slots: GuardedSlots

    /// What most tests want: one endpoint, and a source for errors.
    static var settings: ForwarderSettings {
        var settings = ForwarderSettings()
        settings.endpoints = [IPv4Address(ForwardingVectors.all.endpoint)!]
        settings.errorSource = IPv6Address(ForwardingVectors.all.errorSource)!
        return settings
    }

    /// A table with the bindings of the vectors.
    static func makeTable(timeToLive: UInt8 = 64) throws -> BindingTable {
        var configuration = BindingTable.Configuration()
        configuration.endpoint = IPv4Address(ForwardingVectors.all.endpoint)!
        configuration.outerTimeToLive = timeToLive
        let table = try BindingTable(configuration)
        _ = try table.put(ForwardingVectors.all.bindings.map(\.binding), now: 0)
        return table
    }

    /// A forwarder whose first packet gets the given identification.
    init(
        _ table: BindingTable? = nil, settings: ForwarderSettings = TestForwarder.settings, batchCapacity: Int = 128,
        place: WorkerPlace = WorkerPlace(), firstIdentification: UInt16 = 1, punts: PuntQueue = PuntQueue()
    ) throws {
        self.table = try table ?? Self.makeTable()
        forwarder = Forwarder(
            reading: self.table.reader, settings: settings, batchCapacity: batchCapacity, place: place,
            identification: firstIdentification &- 1, punts: punts)
        batch = PacketBatch(capacity: batchCapacity)
        slots = GuardedSlots(count: batchCapacity)
    }

    /// Packets that the forwarder made beside those of the last batch, in the order in which they leave, each with the
    /// place of the one that it was made from.
    private(set) var generated: [(place: Int, outcome: Outcome)] = []
    /// How often the last batch had to be gone on with.
    private(set) var resumptions = 0

    /// Processes one batch, and publishes the counters.
    func process(_ packets: [Given], now: UInt64 = 0) -> [Outcome] {
        for (slot, given) in packets.enumerated() { batch.append(slots.packet(given, slot: slot)) }
        generated = []
        resumptions = 0
        var outcomes = [Outcome?](repeating: nil, count: packets.count)
        forwarder.process(&batch, now: now)
        forwarder.inject(into: &batch)
        if forwarder.hasHandovers { forwarder.takeHandovers(into: &batch) }
        takeVerdicts(packets, &outcomes)
        while batch.isUnfinished {
            batch.endCompletion()
            resumptions += 1
            forwarder.resume(&batch)
            takeVerdicts(packets, &outcomes)
        }
        for index in 0..<batch.count {
            #expect(batch[index].verdict != .unfinished, "packet \(index) keeps its slot for ever")
        }
        batch.removeAll()
        forwarder.publishCounters()
        return outcomes.map { $0 ?? .released }
    }

    /// What a port would do with the batch.
    private func takeVerdicts(_ packets: [Given], _ outcomes: inout [Outcome?]) {
        var next = 0
        for slot in 0...packets.count {
            while batch.leaves(next, before: slot) {
                let packet = batch.generatedPacket(at: next)
                let bytes = Array(packet.bytes)
                if packet.verdict == .transmitJoined {
                    generated.append((slot, train(at: next)))
                } else {
                    generated.append((slot, packet.verdict == .transmitHome ? .home(bytes) : .access(bytes)))
                }
                next += Int(packet.segmentCount)
            }
            if slot < packets.count, let outcome = outcome(of: batch[slot], packets[slot], slot: slot) {
                #expect(outcomes[slot] == nil, "a packet has one verdict")
                outcomes[slot] = outcome
            }
        }
        #expect(next == batch.generatedCount, "what is made leaves in the order of the batch")
    }

    /// Packets that the forwarder made, and that leave in one write.
    private func train(at first: Int) -> Outcome {
        let packet = batch.generatedPacket(at: first)
        var bytes = Array(packet.bytes)
        for index in first + 1..<first + Int(packet.segmentCount) {
            let next = batch.generatedPacket(at: index)
            #expect(next.verdict == .joined && next.segmentCount == 1, "parts stand behind the first")
            bytes += Array(next.bytes)
        }
        return .superFrame(
            bytes, kind: packet.segmentKind, size: packet.segmentSize, transportOffset: packet.transportOffset,
            count: packet.segmentCount)
    }

    /// - Returns: nil where the packet is unfinished, or was carried out before.
    private func outcome(of packet: Packet, _ given: Given, slot: Int) -> Outcome? {
        #expect(packet.slot == UInt32(slot), "packets keep their places and slots")
        #expect(slots.isUntouchedBeforeHeadroom(slot: slot, length: given.bytes.count), "wrote before the headroom")
        switch packet.verdict {
        case .release: return .released
        case .unfinished, .carriedOut: return nil
        case .joined: return .joined
        case .transmitJoined:
            var bytes = Array(packet.bytes)
            var place = slot
            while let next = batch.joined(behind: place) {
                #expect(next > place && batch[next].verdict == .joined, "parts stand behind the first")
                bytes += Array(batch[next].bytes)
                place = next
            }
            return .superFrame(
                bytes, kind: packet.segmentKind, size: packet.segmentSize, transportOffset: packet.transportOffset,
                count: packet.segmentCount)
        case .transmitHome, .transmitAccess:
            // A datagram that was put together lies in the forwarder's memory.
            let isJoined = given.side == .access && !slots.contains(packet)
            guard isJoined || slots.holds(packet, slot: slot, length: given.bytes.count) else {
                Issue.record("a packet to transmit lies outside its slot")
                return .released
            }
            guard packet.verdict == .transmitHome else { return .access(Array(packet.bytes)) }
            guard packet.isSuperFrame else { return .home(Array(packet.bytes)) }
            return .superFrame(
                Array(packet.bytes), kind: packet.segmentKind, size: packet.segmentSize,
                transportOffset: packet.transportOffset, count: packet.segmentCount)
        }
    }

    /// Processes a batch of one.
    func process(_ given: Given, now: UInt64 = 0) -> Outcome { process([given], now: now)[0] }

    var counters: Counters { forwarder.published.read() }

    /// What was dropped, by reason, where it is not 0.
    var dropped: [DropReason: UInt64] {
        let counters = counters
        return Dictionary(
            uniqueKeysWithValues: DropReason.allCases.map { ($0, counters[$0]) }.filter { $0.1 != 0 })
    }
}

/// An IPv4 packet with another source.
func withOuterSource(_ source: [UInt8], _ packet: [UInt8]) -> [UInt8] {
    var packet = packet
    packet[12..<16] = source[...]
    PacketMutation.mendIPv4Checksum(&packet)
    return packet
}
