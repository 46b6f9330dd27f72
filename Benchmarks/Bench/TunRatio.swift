// What is wanted of mooringd beside others, as parts and multiples of what they do in the same round.

/// A ratio, and what it should be.
struct TunRatio: Encodable {
    var bench = "tun-ratio"
    /// What of what.
    let name: String
    let ratio: Double
    let wanted: Double
    /// Whether less is better.
    let isAtMost: Bool

    private enum CodingKeys: String, CodingKey {
        case bench, name, ratio, wanted
        case isAtMost = "at_most"
    }

    var isReached: Bool { isAtMost ? ratio <= wanted : ratio >= wanted }

    /// All that can be told of what was measured.
    static func all(of results: TunResults) -> [TunRatio] {
        var ratios: [TunRatio] = []
        func add(
            _ name: String, _ one: TunSubject, to other: TunSubject, _ work: TunWork, wanted: Double,
            isAtMost: Bool = false
        ) {
            guard let ratio = results.ratio(one, to: other, work) else { return }
            ratios.append(TunRatio(name: name, ratio: ratio, wanted: wanted, isAtMost: isAtMost))
        }
        func mooringd(
            _ io: TunSubject.IO, _ offload: TunSubject.Offload, _ end: TunSubject.End,
            _ tunnel: TunSubject.Tunnel = .ipInIP
        ) -> TunSubject {
            let way = TunSubject.Way(io: io, offload: offload, workers: 1)
            return TunSubject(forwarder: .mooringd(way), end: end, tunnel: tunnel)
        }
        func peer(_ peer: TunPeer, _ end: TunSubject.End = .own) -> TunSubject {
            TunSubject(forwarder: .peer(peer), end: end)
        }
        for io in TunSubject.IO.allCases {
            add(
                "TCP download, \(io.rawValue) push, home agent alone, of the TC program at both ends",
                mooringd(io, .push, .kernel), to: peer(.tcProgram), .download, wanted: 0.8)
        }
        for (offload, wanted) in [(TunSubject.Offload.split, 6.0), (.push, 10), (.whole, 10)] {
            for tunnel in [TunSubject.Tunnel.ipInIP, .udp] {
                for io in TunSubject.IO.allCases {
                    let subject = mooringd(io, offload, .mooringd, tunnel)
                    add(
                        "TCP download, \(subject.name), both ends, of wireguard-go", subject, to: peer(.wireguardGo),
                        .download, wanted: wanted)
                }
            }
        }
        for offload in [TunSubject.Offload.split, .push, .whole] {
            for io in TunSubject.IO.allCases {
                add(
                    "TCP upload, \(io.rawValue) \(offload.rawValue), home agent alone, of plain off",
                    mooringd(io, offload, .kernel), to: mooringd(.plain, .off, .kernel), .upload, wanted: 3)
            }
        }
        for offload in TunSubject.Offload.allCases {
            add(
                "UDP of 18 bytes, io_uring \(offload.rawValue), of plain off", mooringd(.ioUring, offload, .sink),
                to: mooringd(.plain, .off, .sink), .udp18, wanted: 1.5)
        }
        for offload in TunSubject.Offload.allCases where offload != .off {
            add(
                "UDP of 18 bytes sent as super-frames, io_uring \(offload.rawValue), of plain off",
                mooringd(.ioUring, offload, .sink), to: mooringd(.plain, .off, .sink), .udp18Segments, wanted: 1.5)
        }
        for offload in TunSubject.Offload.allCases {
            for io in TunSubject.IO.allCases {
                add(
                    "Latency, 99th percentile, \(io.rawValue) \(offload.rawValue), of the TC program",
                    mooringd(io, offload, .sink), to: peer(.tcProgram, .sink), .latency, wanted: 2, isAtMost: true)
            }
        }
        return ratios
    }
}
