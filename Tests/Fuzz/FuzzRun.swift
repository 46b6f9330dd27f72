// The loop. Random numbers of a batch depend on the seed and the batch's number alone, and worlds are made anew every so
// many batches: so a batch is had again, with all that went before it in its worlds, by starting where they were new.

import Forwarding
import Glibc
import PacketBuffer
import TestSupport
import Wire

/// A run of many batches.
struct FuzzRun: ~Copyable {
    /// Batches between new worlds.
    static let epoch: UInt64 = 4096
    /// Packets in a batch at the most.
    static let batchCapacity = 64

    let seed: UInt64
    private let seeds: SeedCorpus
    private let settings: [WorldSettings]
    private let targets: [TunnelTargets]
    private var worlds: [World] = []
    private let slots: PacketSlots
    private var builder: PacketBuilder
    private var probe: ViewProbe
    private var packets: UInt64 = 0
    private var reach = Reach()
    /// Where a packet for every reason is written, as far as one was found; nil where they are not wanted.
    var reasonDirectory: String?
    private var savedReasons: Set<DropReason> = []
    /// How often a packet was sought for a reason: some reasons no packet has alone.
    private var searches: [DropReason: Int] = [:]

    /// - Throws: where there is no memory.
    init(seed: UInt64, seeds: SeedCorpus) throws {
        let settings = try World.all()
        slots = try PacketSlots(count: Self.batchCapacity)
        builder = PacketBuilder()
        probe = ViewProbe()
        self.seed = seed
        self.seeds = seeds
        self.settings = settings
        targets = settings.map { TunnelTargets($0.bindings, endpoint: $0.endpoint) }
    }

    /// Where a run ends.
    struct Bounds {
        /// Packets at least; the last batch may have more.
        var packets: UInt64?
        var seconds: Double?
        /// One batch alone, with those that its worlds saw before it.
        var batch: UInt64?
    }

    /// Runs to a bound or to the first finding.
    mutating func run(_ bounds: Bounds, progress: inout FuzzProgress) throws -> FuzzResult {
        let start = FuzzProgress.now()
        var batch = bounds.batch.map { $0 - $0 % Self.epoch } ?? 0
        var finding: Finding?
        while true {
            if batch.isMultiple(of: Self.epoch) { try renew() }
            do throws(Finding) { try self.run(batch: batch) } catch {
                finding = error
                break
            }
            let elapsed = FuzzProgress.now() - start
            progress.report(packets, seconds: elapsed)
            if let last = bounds.batch, batch >= last { break }
            if let limit = bounds.packets, packets >= limit { break }
            if let limit = bounds.seconds, elapsed >= limit { break }
            batch += 1
        }
        for world in worlds { reach.add(world.counters) }
        reach.add(probe)
        return FuzzResult(
            packets: packets, seconds: FuzzProgress.now() - start, seed: seed, batches: batch + 1, seeds: seeds.count,
            digest: probe.digest, reach: reach, finding: finding)
    }

    private mutating func renew() throws {
        for world in worlds { reach.add(world.counters) }
        worlds = try zip(settings, targets).map { try World($0, $1, batchCapacity: Self.batchCapacity) }
    }

    private mutating func run(batch: UInt64) throws(Finding) {
        builder.random = SeededGenerator(seed: seed &+ batch &* 0xA24B_AED4_963E_E407)
        builder.sequence = UInt32(batch % Self.epoch)
        let world = worlds[builder.random.below(worlds.count)]
        let count = 1 + builder.random.below(Self.batchCapacity)
        CrashReport.begin(seed: seed, batch: batch)
        var slot = 0
        while slot < count {
            builder.make(from: seeds, for: world.targets)
            if builder.random.below(32) == 0 {
                try addFragments(to: world, &slot, count)
            } else {
                // What comes several times may be joined.
                let times = world.settings.hasSuperFrames && builder.random.below(4) == 0 ? 4 : 1
                for _ in 0..<min(times, count - slot) {
                    try add(builder.bytes, to: world, slot)
                    slot += 1
                }
            }
        }
        if builder.random.below(16) == 0 {
            builder.make(from: seeds, for: world.targets)
            world.inject(builder.bytes, using: &builder.random)
        }
        let before = world.counters
        try world.process(in: slots, elapsed: UInt64(builder.random.below(50_000_000)))
        packets += UInt64(count)
        if reasonDirectory != nil { saveReasons(world, before, count) }
    }

    private mutating func add(_ bytes: UnsafeRawBufferPointer, to world: World, _ slot: Int) throws(Finding) {
        // Mostly the side that a packet looks to be from.
        let isIPv4 = bytes.first.map { $0 >> 4 == 4 } ?? false
        let isFromAccess = isIPv4 == (builder.random.below(4) != 0)
        var packet = slots.put(bytes, slot: slot, from: isFromAccess ? .access : .home)
        if world.settings.hasSuperFrames, builder.random.below(3) == 0 { becomeSuperFrame(&packet) }
        CrashReport.add(slots.original(slot))
        guard probe.read(packet.bytes) else { throw Finding("\(probe.wrong ?? "a view")", packet: slot) }
        world.append(packet)
    }

    /// Where its transport header may begin, from the first byte: behind headers of IP, and of a tunnel before them.
    private static let transportOffsets = [20, 40, 60, 20, 40, 60, 24, 28, 44, 48, 52, 64, 68, 80, 88]

    /// Makes a packet a super-frame as a port would take it, whatever is in it.
    private mutating func becomeSuperFrame(_ packet: inout Packet) {
        let kind = [SegmentKind.tcpIPv4, .tcpIPv6, .udp][builder.random.below(3)]
        let offset = Self.transportOffsets[builder.random.below(Self.transportOffsets.count)]
        let size = builder.random.below(4) == 0 ? 1 + builder.random.below(8) : 1 + builder.random.below(1500)
        guard
            let view = SuperFrameView(
                packet.bytes, isTCP: kind != .udp, segmentSize: size, transportOffset: offset),
            view.segmentCount > 1
        else { return }
        packet.segmentKind = kind.rawValue
        packet.transportOffset = UInt16(offset)
        packet.segmentSize = UInt16(size)
        packet.segmentCount = UInt16(view.segmentCount)
    }

    /// A packet in fragments, as many as there is room for: in order or backwards, sometimes one twice, or overlapping.
    private mutating func addFragments(to world: World, _ slot: inout Int, _ count: Int) throws(Finding) {
        let units = max(1, builder.length / 8)
        let pieces = 2 + builder.random.below(5)
        let size = 1 + builder.random.below(units / pieces + 1)
        let step = builder.random.below(8) == 0 ? max(1, size - 1) : size
        let isBackwards = builder.random.below(2) == 0
        let repeated = builder.random.below(8)
        var place = 0
        while place < pieces, slot < count {
            let number = isBackwards ? pieces - 1 - place : place
            try add(builder.piece(first: number * step, count: number == pieces - 1 ? nil : size), to: world, slot)
            slot += 1
            place += repeated == place && builder.random.below(2) == 0 ? 0 : 1
        }
    }

    /// The packet that was put into a slot, as it came.
    func withOriginal<Result>(_ slot: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(slots.original(slot))
    }

    /// How many packets the last batch had at the most.
    var slotCount: Int { slots.count }

    // MARK: Reasons

    /// Of a packet that is kept for a reason, in bytes.
    private static let savedLength = 2048

    /// Where a reason came up for the first time, the packet that does it alone is written to a file of that name.
    private mutating func saveReasons(_ world: World, _ before: Counters, _ count: Int) {
        let new = DropReason.allCases.filter {
            world.counters[$0] > before[$0] && !savedReasons.contains($0) && searches[$0, default: 0] < 20
        }
        guard let directory = reasonDirectory, !new.isEmpty else { return }
        for reason in new { searches[reason, default: 0] += 1 }
        for slot in 0..<count {
            let bytes = Array(slots.original(slot))
            guard bytes.count <= Self.savedLength else { continue }
            for side in [Side.home, .access] {
                guard let alone = try? SinglePacket.run(bytes, from: side, world.settings, world.targets),
                    let reason = DropReason.allCases.first(where: { alone[$0] > 0 }), !savedReasons.contains(reason)
                else { continue }
                savedReasons.insert(reason)
                try? FuzzFiles.write(bytes, to: "\(directory)/\(reason.name)")
            }
        }
    }
}
