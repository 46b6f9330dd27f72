// What a run came to, for people and for programs.

/// The result of a run.
struct FuzzResult {
    let packets: UInt64
    let seconds: Double
    let seed: UInt64
    let batches: UInt64
    let seeds: Int
    /// Of all that views read: the same for the same seed, corpus and number of batches.
    let digest: UInt64
    let reach: Reach
    let finding: Finding?

    /// For people.
    var description: String {
        var lines = [
            "\(packets) packets in \(batches) batches, \(rounded(seconds)) s, from \(seeds) seeds; seed \(seed)", "",
            "where packets ended:",
        ]
        lines += (reach.ends + reach.views).filter { $0.count > 0 }.map { entry in
            let count = String(entry.count)
            return String(repeating: " ", count: max(0, 14 - count.count)) + count + "  " + entry.name
        }
        return lines.joined(separator: "\n")
    }

    private func rounded(_ number: Double) -> Double { (number * 10).rounded() / 10 }
}

extension FuzzResult: Encodable {
    private enum Key: String, CodingKey {
        case packets, seconds, seed, batches, seeds, digest, ends, views, missing, unexpected, finding
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(packets, forKey: .packets)
        try container.encode(seconds, forKey: .seconds)
        try container.encode(seed, forKey: .seed)
        try container.encode(batches, forKey: .batches)
        try container.encode(seeds, forKey: .seeds)
        try container.encode(digest, forKey: .digest)
        try container.encode(counts(reach.ends), forKey: .ends)
        try container.encode(counts(reach.views), forKey: .views)
        try container.encode(reach.missing, forKey: .missing)
        try container.encode(reach.unexpected, forKey: .unexpected)
        try container.encode(finding, forKey: .finding)
    }

    private func counts(_ list: [(name: String, count: UInt64)]) -> [String: UInt64] {
        Dictionary(list.map { ($0.name, $0.count) }) { first, _ in first }
    }
}
