// What `Bench tun` measured, for programs: one line of JSON for each forwarder, tunnel and far end. What was not
// measured has no key.

import Foundation

struct TunLine: Encodable {
    /// Who reads `tun` expects mooringd: others' lines bear names of their own.
    private let bench: String
    private let io: String?
    private let workers: Int?
    private let offload: Bool?
    private let superFrames: String?
    private let peer: String?
    private let tunnel: String?
    private let farEnd: String?
    /// Of the download.
    private let gigabitsPerSecond: Double?
    /// Of packets with 18 bytes of UDP.
    private let kilopacketsPerSecond: Double?
    /// Of one core, during the download.
    private let processorPercent: Double?
    private let smallProcessorPercent: Double?
    private let rounds: Int
    /// All figures, by the names of `--work`.
    private let work: [String: Work]

    private enum CodingKeys: String, CodingKey {
        case bench, io, workers, offload
        case superFrames = "super_frames"
        case peer, tunnel
        case farEnd = "far"
        case gigabitsPerSecond = "gbit_per_s"
        case kilopacketsPerSecond = "kpps"
        case processorPercent = "cpu_percent"
        case smallProcessorPercent = "cpu_percent_small"
        case rounds, work
    }

    /// Medians.
    struct Work: Encodable {
        let gigabitsPerSecond: Double?
        let downloadGigabits: Double?
        let uploadGigabits: Double?
        let kilopacketsPerSecond: Double?
        let userSeconds: Double?
        let systemSeconds: Double?
        let seconds: Double?
        let latencyMedian: Double?
        let latencyTenth: Double?
        let latencyHundredth: Double?
        let latencyThousandth: Double?
        let lost: Double?

        private enum CodingKeys: String, CodingKey {
            case gigabitsPerSecond = "gbit_per_s"
            case downloadGigabits = "gbit_per_s_down"
            case uploadGigabits = "gbit_per_s_up"
            case kilopacketsPerSecond = "kpps"
            case userSeconds = "cpu_user_s"
            case systemSeconds = "cpu_system_s"
            case seconds = "in_s"
            case latencyMedian = "latency_p50_us"
            case latencyTenth = "latency_p90_us"
            case latencyHundredth = "latency_p99_us"
            case latencyThousandth = "latency_p999_us"
            case lost
        }

        init(_ figures: [TunFigure]) {
            func median(_ number: (TunFigure) -> Double?) -> Double? { figures.median(number).map(TunLine.rounded) }
            gigabitsPerSecond = median(\.gigabitsPerSecond)
            downloadGigabits = median(\.downloadGigabits)
            uploadGigabits = median(\.uploadGigabits)
            kilopacketsPerSecond = median(\.kilopacketsPerSecond)
            userSeconds = median { $0.processor?.user }
            systemSeconds = median { $0.processor?.system }
            seconds = median { $0.seconds }
            latencyMedian = median { $0.latency?.median }
            latencyTenth = median { $0.latency?.tenth }
            latencyHundredth = median { $0.latency?.hundredth }
            latencyThousandth = median { $0.latency?.thousandth }
            lost = median { $0.latency?.lost }
        }
    }

    /// All lines.
    static func all(of results: TunResults) -> [TunLine] {
        let withNode = results.subjects.filter { $0.end != .sink }
        // Where no work needs a node, the sink's lines stand alone.
        let alone = results.subjects.filter { subject in
            subject.end == .sink
                && !withNode.contains { $0.forwarder == subject.forwarder && $0.tunnel == subject.tunnel }
        }
        return (withNode + alone).map { TunLine($0, results) }
    }

    private init(_ subject: TunSubject, _ results: TunResults) {
        let sink = TunSubject(forwarder: subject.forwarder, end: .sink, tunnel: subject.tunnel)
        func figures(_ work: TunWork) -> [TunFigure] { results.figures(of: work.isTCP ? subject : sink, work) }
        switch subject.forwarder {
        case .mooringd(let way):
            (bench, io, workers, peer) = ("tun", way.io.rawValue, way.workers, nil)
            (offload, superFrames) = (way.offload != .off, way.offload.rawValue)
            tunnel = subject.tunnel.rawValue
        case .yardstick(let io):
            (bench, self.io, workers, peer) = ("tun-yardstick", io.rawValue, 1, nil)
            (offload, superFrames, tunnel) = (false, TunSubject.Offload.off.rawValue, subject.tunnel.rawValue)
        case .peer(let peer):
            (bench, io, workers, self.peer) = ("tun-peer", nil, nil, peer.rawValue)
            (offload, superFrames, tunnel) = (nil, nil, nil)
        }
        farEnd = subject.end == .sink ? nil : subject.end.rawValue
        gigabitsPerSecond = figures(.download).median(\.gigabitsPerSecond).map(Self.rounded)
        kilopacketsPerSecond = figures(.udp18).median(\.kilopacketsPerSecond).map(Self.rounded)
        processorPercent = figures(.download).median(\.processorPercent).map(Self.rounded)
        smallProcessorPercent = figures(.udp18).median(\.processorPercent).map(Self.rounded)
        rounds = results.rounds
        work = Dictionary(
            uniqueKeysWithValues: results.works.compactMap { work in
                let figures = figures(work)
                return figures.isEmpty ? nil : (work.rawValue, Work(figures))
            })
    }

    /// To thousandths.
    private static func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
}

extension Encodable {
    /// As one line of JSON.
    func line() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
