// Every golden case in each way of super-frames: what comes out is what scapy said of the packets one by one.

import Capture
import PacketBuffer
import TestSupport
import Testing

@testable import Replay

@Suite("Golden cases in super-frames") struct SuperFrameTests {
    /// What of a packet stays the same in its flow.
    private struct Flow: Hashable {
        let time: UInt64
        let bytes: [UInt8]

        init(_ output: SuperFrameReplay.Output) {
            let packet = output.bytes
            time = output.time
            let isIPv4 = packet[0] >> 4 == 4
            bytes = Array(isIPv4 ? packet[12...].prefix(12) : packet[8...].prefix(36)) + [packet[isIPv4 ? 9 : 6]]
        }
    }

    private static func expected(_ golden: ReplayCase, _ side: Side) throws -> [SuperFrameReplay.Output] {
        guard let path = golden.existing(side == .home ? "home-out.pcap" : "access-out.pcap") else { return [] }
        let reader = try CaptureReader(path: path)
        var outputs: [SuperFrameReplay.Output] = []
        while let frame = try reader.next() {
            outputs.append(
                .init(time: frame.time, bytes: Array(frame.linkLayer.packet(in: frame.bytes) ?? frame.bytes)))
        }
        return outputs
    }

    /// Where two lists of packets differ first; nil where they do not.
    private static func difference(_ found: [SuperFrameReplay.Output], _ expected: [SuperFrameReplay.Output]) -> String?
    {
        guard found != expected else { return nil }
        let place = zip(found, expected).enumerated().first { $1.0 != $1.1 }?.offset ?? min(found.count, expected.count)
        let texts = [found, expected].map { outputs in
            outputs.count > place ? "\(outputs[place].time) \(hexadecimal(outputs[place].bytes.prefix(100)))" : "none"
        }
        return
            "packet \(place + 1) of \(expected.count): \(texts[1]) expected, \(texts[0]) found, \(found.count) in all"
    }

    /// Of a super-frame that can't be sent the source is told once, and not of each packet, and it is what is quoted.
    private static let toldOnce: Set = ["error-rate"]

    @Test(
        "what comes out is what is expected, and counted the same", arguments: SuperFrameReplay.Way.allCases,
        GoldenCases.names)
    func isAsExpected(_ way: SuperFrameReplay.Way, _ name: String) throws {
        let golden = ReplayCase(directory: "\(GoldenCases.root)/\(name)")
        let replay = try SuperFrameReplay(golden, way)
        let counters = try ReplayCounters(contentsOf: golden.path("counters.json"))
        let (home, access) = (try Self.expected(golden, .home), try Self.expected(golden, .access))
        #expect(replay.notCut == 0)
        guard way == .off || !Self.toldOnce.contains(name) else {
            #expect(replay.counters.isConserved && replay.counters.received == counters.received)
            #expect(replay.counters.dropped == counters.dropped)
            #expect(replay.outputs[.access] == access && !replay.outputs[.home]!.isEmpty)
            // Addresses, type and code, and of what is quoted, which is the super-frame, addresses and ports.
            let told = { (output: SuperFrameReplay.Output) in output.bytes[8..<42] + output.bytes[56..<92] }
            #expect(Set(home.map(told)).isSuperset(of: replay.outputs[.home]!.map(told)))
            return
        }
        #expect(replay.counters == counters)
        #expect(Self.difference(replay.outputs[.access]!, access) == nil)
        // Of what left at one time the order may be another where it is not of one flow.
        let flows = [replay.outputs[.home]!, home].map { Dictionary(grouping: $0, by: Flow.init) }
        for (flow, expected) in flows[1] { #expect(Self.difference(flows[0][flow] ?? [], expected) == nil) }
        #expect(replay.outputs[.home]!.count == home.count)
    }

    @Test(
        "runs of packets come and leave in super-frames where there are such",
        arguments: GoldenCases.names.filter { $0.hasPrefix("flows-") })
    func areJoined(_ name: String) throws {
        let golden = ReplayCase(directory: "\(GoldenCases.root)/\(name)")
        let replays = try Dictionary(
            uniqueKeysWithValues: SuperFrameReplay.Way.allCases.map { ($0, try SuperFrameReplay(golden, $0)) })
        let isToNode = name.hasSuffix("encapsulate")
        let carries = ["direct", "gre", "pipe"].contains { "flows-\($0)-encapsulate" == name }
        let comesWhole = ["direct", "gre", "pipe"].contains { "flows-\($0)-decapsulate" == name }
        for (way, replay) in replays {
            #expect((replay.came[.home]! >= 15) == (isToNode && way != .off), "\(way): \(replay.came)")
            let leaves = name.contains("udp") ? way != .off : carries && (way == .push || way == .whole)
            #expect((replay.left[.access]! >= 15) == (isToNode && leaves), "\(way): \(replay.left)")
            #expect((replay.came[.access]! >= 15) == (comesWhole && way == .whole), "\(way): \(replay.came)")
            #expect((replay.left[.home]! >= 10) == (!isToNode && way != .off), "\(way): \(replay.left)")
        }
    }
}
