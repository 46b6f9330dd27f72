// The table of prefixes alone: how long a look-up takes, in batches and one by one, how many changes a second there can
// be, and what a prefix takes.

import ArgumentParser
import Foundation
import PrefixTable
import Wire

struct Lpm: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Longest-prefix match: look-ups, changes and memory of the table.",
        discussion: """
            Examples:
              swift run Bench lpm
              swift run Bench lpm --count 1000000 --json
              swift run Bench lpm --prefixes set.prefixes --addresses set.addresses
            """)

    @Option(help: "Prefixes of a set that is made; may be given several times.") var count = [1000, 100_000, 1_000_000]
    @Option(help: "A file with prefixes instead: 16 bytes of address, 1 of length each.") var prefixes: String?
    @Option(help: "A file with addresses to look up: 16 bytes each.") var addresses: String?
    @Option(help: "How often all addresses are looked up; the best time counts.") var rounds = 5
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (prefixes == nil) == (addresses == nil) else {
            throw ValidationError("--prefixes and --addresses belong together")
        }
        guard count.allSatisfy({ (1...10_000_000).contains($0) }) else {
            throw ValidationError("--count is 1 to 10000000")
        }
        guard (1...1000).contains(rounds) else { throw ValidationError("--rounds is 1 to 1000") }
    }

    func run() throws {
        if !output.json {
            print("  prefixes   lookup ns   single ns   updates/s   bytes/prefix   build s        hits")
        }
        if let prefixes, let addresses {
            try report(PrefixSet(prefixes: prefixes, addresses: addresses))
        } else {
            for count in count { try report(PrefixSet(count: count, addresses: 1 << 22)) }
        }
    }

    private func report(_ set: PrefixSet) throws {
        let states = QuiescentStates()
        guard let quiescent = states.register() else { preconditionFailure("there is room for a reader") }
        let table = try PrefixTable(capacity: set.prefixes.count, quiescentStates: states)
        let build = seconds {
            for (index, prefix) in set.prefixes.enumerated() {
                _ = try? table.insert(prefix, value: UInt32(index) & PrefixTable.largestValue)
            }
        }
        let bytes = Double(table.bytesInUse) / Double(table.count)
        let reader = table.reader
        quiescent.goOnline()
        var results = [UInt32](repeating: 0, count: set.addresses.count)
        let batched = best {
            set.addresses.withUnsafeBytes { addresses in
                results.withUnsafeMutableBytes { results in
                    reader.lookup(
                        count: set.addresses.count, addresses: addresses.baseAddress!, stride: 16,
                        results: results.baseAddress!, resultStride: 4)
                }
            }
        }
        let hits = results.count { $0 != PrefixTable.noValue }
        var singleHits = 0
        let single = best {
            singleHits = 0
            for address in set.addresses where reader.lookup(address) != PrefixTable.noValue { singleHits += 1 }
        }
        guard singleHits == hits else { throw BenchError("single and batched look-ups differ") }
        quiescent.goOffline()
        let updates = updatesPerSecond(table, set)
        let count = set.addresses.count
        let (batchedTime, singleTime) = (batched / Double(count) * 1e9, single / Double(count) * 1e9)
        if output.json {
            print(
                "{\"bench\":\"lpm\",\"prefixes\":\(table.count),\"lookup_ns\":\(batchedTime.rounded(2)),"
                    + "\"single_lookup_ns\":\(singleTime.rounded(2)),\"updates_per_s\":\(Int(updates)),"
                    + "\"bytes_per_prefix\":\(bytes.rounded(1)),\"build_s\":\(build.rounded(3)),\"hits\":\(hits)}")
        } else {
            print(
                String(
                    format: "%10d %11.2f %11.2f %11.0f %14.1f %9.3f %11d", table.count, batchedTime, singleTime,
                    updates, bytes, build, hits))
        }
    }

    /// Prefixes are taken out and put again, all over the table.
    private func updatesPerSecond(_ table: PrefixTable, _ set: PrefixSet) -> Double {
        let count = min(set.prefixes.count, 500_000)
        let time = seconds {
            var index = 0
            for _ in 0..<count {
                index = (index + 7919) % set.prefixes.count
                table.remove(set.prefixes[index])
                _ = try? table.insert(set.prefixes[index], value: 7)
            }
        }
        return Double(2 * count) / time
    }

    private func seconds(_ body: () -> Void) -> Double {
        let start = Self.processorTime
        body()
        return Double(Self.processorTime - start) / 1e9
    }

    /// Of this thread, in nanoseconds: what others do on the machine meanwhile is not counted.
    private static var processorTime: Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    private func best(_ body: () -> Void) -> Double { (0..<rounds).map { _ in seconds(body) }.min() ?? 0 }
}

extension Double {
    fileprivate func rounded(_ digits: Int) -> Double {
        let factor = pow(10, Double(digits))
        return (self * factor).rounded() / factor
    }
}
