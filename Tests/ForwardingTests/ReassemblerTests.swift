// The reassembler against a model that keeps lists and looks through all of them, with fragments that belong together,
// that don't, and that come twice, late or in any order.

import PacketBuffer
import TestSupport
import Testing
import Wire

@testable import Forwarding

/// A fragment as it comes in.
private struct Fragment {
    var source: UInt32 = 1
    var via: UInt32 = 0
    var identification: UInt16 = 1
    var offset = 0
    var payload: [UInt8] = []
    var hasMore = false
    var dontFragment = false
    var trafficClass: UInt8 = 0
    var options = 0

    var bytes: [UInt8] {
        var header = IPv4Header(
            protocol: 41, source: IPv4Address(rawValue: 0xCB00_7100 + source),
            destination: IPv4Address(rawValue: 0xC000_0201))
        header.trafficClass = TrafficClass(rawValue: trafficClass)
        header.identification = identification
        var bytes = [UInt8](repeating: 0, count: 20)
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!) }
        bytes += [UInt8](repeating: 1, count: options)
        bytes[0] = 0x40 | UInt8((20 + options) / 4)
        let length = bytes.count + payload.count
        bytes.replaceSubrange(2..<4, with: [UInt8(length >> 8), UInt8(length & 0xFF)])
        let field = UInt16(offset / 8) | (hasMore ? 0x2000 : 0) | (dontFragment ? 0x4000 : 0)
        bytes.replaceSubrange(6..<8, with: [UInt8(field >> 8), UInt8(field & 0xFF)])
        bytes.replaceSubrange(10..<12, with: [0, 0])
        let sum = ~PacketMutation.onesComplementSum(bytes[...])
        bytes.replaceSubrange(10..<12, with: [UInt8(sum >> 8), UInt8(sum & 0xFF)])
        return bytes + payload
    }
}

/// What became of a fragment.
private enum Fate: Equatable {
    case held
    case dropped(DropReason)
    /// Header length, traffic class, don't fragment, payload.
    case whole(Int, UInt8, Bool, [UInt8])
}

/// The same as a list of datagrams, the oldest first.
private struct ReassemblyModel {
    struct Datagram {
        let source: UInt32
        let via: UInt32
        let identification: UInt16
        let deadline: UInt64
        var fragments: [Fragment] = []
        var end: Int?
        var isSpoiled = false

        var blocks: Int {
            fragments.reduce(0) { $0 + ReassemblyModel.blocks($1.payload.count) }
        }
        func isOf(_ fragment: Fragment) -> Bool {
            source == fragment.source && via == fragment.via && identification == fragment.identification
        }
    }

    let limits: ReassemblyLimits
    var datagrams: [Datagram] = []
    var failures: UInt64 = 0

    static func blocks(_ length: Int) -> Int { (length + 2047) / 2048 }

    private mutating func forget(at place: Int) {
        if !datagrams[place].isSpoiled { failures += 1 }
        datagrams.remove(at: place)
    }

    private mutating func spoil(_ fragment: Fragment, _ reason: DropReason) -> Fate {
        let place = datagrams.firstIndex { $0.isOf(fragment) }!
        datagrams[place].isSpoiled = true
        datagrams[place].fragments = []
        failures += 1
        return .dropped(reason)
    }

    mutating func take(_ fragment: Fragment, now: UInt64) -> Fate {
        while let first = datagrams.first, first.deadline <= now { forget(at: 0) }
        let end = fragment.offset + fragment.payload.count
        guard !fragment.payload.isEmpty, end <= 65_515, !fragment.hasMore || fragment.payload.count % 8 == 0 else {
            return .dropped(.fragmentLength)
        }
        if !datagrams.contains(where: { $0.isOf(fragment) }) {
            if datagrams.count == limits.datagrams { forget(at: 0) }
            datagrams.append(
                Datagram(
                    source: fragment.source, via: fragment.via, identification: fragment.identification,
                    deadline: now + limits.age))
        }
        var place: Int { datagrams.firstIndex { $0.isOf(fragment) }! }
        if datagrams[place].isSpoiled { return .dropped(.fragmentSpoiled) }
        if !fragment.hasMore {
            if let known = datagrams[place].end, known != end { return spoil(fragment, .fragmentLength) }
            datagrams[place].end = end
        }
        let furthest = (datagrams[place].fragments.map { $0.offset + $0.payload.count } + [end]).max()!
        if let known = datagrams[place].end, furthest > known { return spoil(fragment, .fragmentLength) }
        for other in datagrams[place].fragments where other.offset == fragment.offset {
            if other.payload.count == fragment.payload.count { return .dropped(.fragmentDuplicate) }
        }
        for other in datagrams[place].fragments {
            if other.offset < end, fragment.offset < other.offset + other.payload.count {
                return spoil(fragment, .fragmentOverlap)
            }
        }
        guard datagrams[place].fragments.count < limits.fragments else { return spoil(fragment, .fragmentLimit) }
        while datagrams.reduce(0, { $0 + $1.blocks }) + Self.blocks(fragment.payload.count) > limits.bytes / 2048 {
            guard let victim = datagrams.firstIndex(where: { !$0.isOf(fragment) }) else {
                return spoil(fragment, .fragmentLimit)
            }
            forget(at: victim)
        }
        datagrams[place].fragments.append(fragment)
        let datagram = datagrams[place]
        guard datagram.fragments.reduce(0, { $0 + $1.payload.count }) == datagram.end else { return .held }
        let first = datagram.fragments.first { $0.offset == 0 }!
        let fields = Set(datagram.fragments.map { $0.trafficClass & 3 })
        guard 20 + first.options + datagram.end! <= 65_535 else { return spoil(fragment, .fragmentLength) }
        var field = first.trafficClass & 3
        if fields.contains(3) {
            if fields.contains(0) { return spoil(fragment, .ecnNotCapable) }
            field = 3
        } else if fields.contains(0) {
            field = 0
        }
        datagrams.remove(at: place)
        return .whole(
            20 + first.options, first.trafficClass & 0xFC | field, first.dontFragment,
            datagram.fragments.sorted { $0.offset < $1.offset }.flatMap(\.payload))
    }
}

/// The reassembler, and memory for what it puts together.
private struct Bench: ~Copyable {
    var reassembler: Reassembler
    var memory = GeneratedMemory(packets: 1)

    init(_ limits: ReassemblyLimits) { reassembler = Reassembler(limits) }

    mutating func take(_ fragment: Fragment, now: UInt64) -> Fate {
        memory.clear()
        return withExactMemory(of: fragment.bytes) { bytes in
            do throws(DropReason) {
                let view = try IPv4View(bytes)
                let outcome = try reassembler.take(
                    view, ecn: view.trafficClass.ecn, via: IPv4Address(rawValue: fragment.via), now: now,
                    memory: &memory)
                guard case .complete(let start, let length) = outcome else { return .held }
                // A view checks lengths and checksum.
                let whole = try IPv4View(UnsafeRawBufferPointer(start: start, count: length))
                #expect(whole.totalLength == length && !whole.isFragment)
                #expect(whole.source == view.source && whole.identification == view.identification)
                return .whole(
                    whole.headerLength, whole.trafficClass.rawValue, whole.dontFragment, Array(whole.payload))
            } catch {
                return .dropped(error)
            }
        }
    }
}

@Suite("Reassembler")
struct ReassemblerTests {
    private static func limits(datagrams: Int, blocks: Int, fragments: Int, age: UInt64 = 1000) -> ReassemblyLimits {
        var limits = ReassemblyLimits()
        limits.datagrams = datagrams
        limits.bytes = blocks * 2048
        limits.fragments = fragments
        limits.age = age
        return limits
    }

    /// A datagram cut at random places.
    private static func cut(_ generator: inout SeededGenerator) -> [Fragment] {
        var whole = Fragment()
        whole.source = .random(in: 1...3, using: &generator)
        whole.via = .random(in: 0...1, using: &generator)
        whole.identification = .random(in: 1...4, using: &generator)
        whole.dontFragment = .random(using: &generator)
        let length = Int.random(in: 1...9000, using: &generator)
        let payload = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
        var fragments: [Fragment] = []
        var start = 0
        while start < length {
            var piece = whole
            let size = Int.random(in: 1...500, using: &generator) * 8
            piece.offset = start
            piece.payload = Array(payload[start..<min(start + size, length)])
            piece.hasMore = start + size < length
            piece.trafficClass = [0x28, 0x29, 0x2A, 0x2A, 0x2A, 0x2A, 0x2B].randomElement(using: &generator)!
            piece.options = Int.random(in: 0...10, using: &generator) * 4
            fragments.append(piece)
            start += size
        }
        return fragments.shuffled(using: &generator)
    }

    @Test(
        "T7 fragments fare as with a slow model, whatever comes in whatever order",
        arguments: [
            limits(datagrams: 1, blocks: 8, fragments: 8), limits(datagrams: 4, blocks: 8, fragments: 4),
            limits(datagrams: 16, blocks: 6, fragments: 64), limits(datagrams: 7, blocks: 64, fragments: 16, age: 40),
            limits(datagrams: 64, blocks: 1, fragments: 64), limits(datagrams: 64, blocks: 256, fragments: 64),
        ])
    func model(_ limits: ReassemblyLimits) {
        let seed = RandomTest.seed(for: "reassembly")
        var generator = SeededGenerator(seed: seed)
        var bench = Bench(limits)
        var model = ReassemblyModel(limits: limits)
        var waiting: [Fragment] = []
        var now: UInt64 = 5
        var (whole, dropped) = (0, Set<String>())
        for step in 0..<RandomTest.count(4000) {
            if waiting.count < 6 || Int.random(in: 0..<20, using: &generator) == 0 { waiting += Self.cut(&generator) }
            var fragment = waiting[0]
            switch Int.random(in: 0..<20, using: &generator) {
            case 0: fragment.offset = Int.random(in: 0...8190, using: &generator) * 8
            case 1: fragment.payload = Array(fragment.payload.dropLast(Int.random(in: 0...9, using: &generator)))
            case 2: fragment.hasMore.toggle()
            case 3: waiting.shuffle(using: &generator)
            case 4: break
            default: waiting.removeFirst()
            }
            now += .random(in: 0...3, using: &generator)
            let expected = model.take(fragment, now: now)
            let found = bench.take(fragment, now: now)
            guard found == expected, bench.reassembler.failures == model.failures else {
                Issue.record("step \(step), seed \(seed): \(found) where \(expected) is right")
                return
            }
            switch found {
            case .held: break
            case .whole: whole += 1
            case .dropped(let reason): dropped.insert(reason.name)
            }
        }
        // Or the test would look at little. In one block hardly anything can be whole, or overlap.
        guard limits.bytes > 2048 else { return }
        #expect(whole > 0)
        #expect(dropped.isSuperset(of: ["fragment-length", "fragment-overlap", "fragment-spoiled"]))
    }

    @Test("T7 memory is the bound that it says: the oldest datagrams make room, and none is lost that fits")
    func memory() {
        var bench = Bench(Self.limits(datagrams: 100, blocks: 10, fragments: 64))
        func piece(_ number: Int, first: Bool) -> Fragment {
            var fragment = Fragment()
            fragment.identification = UInt16(number)
            fragment.offset = first ? 0 : 4096
            fragment.payload = [UInt8](repeating: UInt8(number), count: first ? 4096 : 1)
            fragment.hasMore = first
            return fragment
        }
        for number in 1...5 { #expect(bench.take(piece(number, first: true), now: 0) == .held) }
        #expect(bench.reassembler.failures == 0)
        // The sixth takes the two blocks of the first.
        #expect(bench.take(piece(6, first: true), now: 0) == .held)
        #expect(bench.reassembler.failures == 1)
        // One block of the second's place; the second is gone, the third is whole.
        #expect(bench.take(piece(3, first: false), now: 0) == .whole(20, 0, false, [UInt8](repeating: 3, count: 4097)))
        #expect(bench.reassembler.failures == 2)
        for number in 4...6 {
            let whole = Fate.whole(20, 0, false, [UInt8](repeating: UInt8(number), count: 4097))
            #expect(bench.take(piece(number, first: false), now: 0) == whole)
        }
        #expect(bench.reassembler.failures == 2)
        // All of the memory is free again.
        for number in 11...15 { #expect(bench.take(piece(number, first: true), now: 0) == .held) }
        #expect(bench.reassembler.failures == 2)
    }

    @Test("T7 a fragment that is larger than all memory is dropped, and costs the others theirs")
    func tooLarge() {
        var bench = Bench(Self.limits(datagrams: 4, blocks: 2, fragments: 64))
        var fragment = Fragment()
        fragment.payload = [UInt8](repeating: 1, count: 8)
        fragment.hasMore = true
        #expect(bench.take(fragment, now: 0) == .held)
        fragment.identification = 2
        fragment.payload = [UInt8](repeating: 1, count: 4104)
        #expect(bench.take(fragment, now: 0) == .dropped(.fragmentLimit))
        #expect(bench.take(fragment, now: 0) == .dropped(.fragmentSpoiled))
        #expect(bench.reassembler.failures == 2)
    }

    @Test("T7 time is counted from the first fragment, to the nanosecond")
    func age() {
        var bench = Bench(Self.limits(datagrams: 4, blocks: 8, fragments: 64, age: 30_000_000_000))
        var (first, last) = (Fragment(), Fragment())
        first.payload = [UInt8](repeating: 1, count: 8)
        first.hasMore = true
        last.offset = 8
        last.payload = [2]
        let whole = Fate.whole(20, 0, false, [UInt8](repeating: 1, count: 8) + [2])
        #expect(bench.take(first, now: 7) == .held)
        #expect(bench.take(last, now: 30_000_000_006) == whole)
        #expect(bench.take(first, now: 30_000_000_007) == .held)
        #expect(bench.take(last, now: 60_000_000_007) == .held)
        #expect(bench.reassembler.failures == 1)
        #expect(bench.take(first, now: 60_000_000_008) == whole)
    }
}
