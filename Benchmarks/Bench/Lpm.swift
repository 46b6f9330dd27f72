// The table of prefixes alone: how long a look-up takes, in batches and one by one, of addresses that are all as likely
// and of some that are far more so than others; how many changes a second there can be, how long they hold a reader up,
// and what a prefix takes.

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
              swift run Bench lpm --count 1000 --count 10000 --count 100000 --plot lpm.svg

            skewed: addresses by Zipf's law, the nth as likely as 1/n. stall: the longest that a reader's batch of 64
            look-ups took while prefixes were taken out and put, and in brackets without; scheduling is in both.
            """)

    @Option(help: "Prefixes of a set that is made; may be given several times.") var count = [1000, 100_000, 1_000_000]
    @Option(help: "A file with prefixes instead: 16 bytes of address, 1 of length each.") var prefixes: String?
    @Option(help: "A file with addresses to look up: 16 bytes each.") var addresses: String?
    @Option(help: "How often all addresses are looked up; the best time counts.") var rounds = 5
    @Option(help: ArgumentHelp("Draw the figures over the number of prefixes.", valueName: "file.svg")) var plot:
        String?
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
            print(
                "  prefixes   lookup ns   skewed ns   single ns   updates/s       stall us   bytes/prefix   build s        hits"
            )
        }
        var figures: [Figures] = []
        if let prefixes, let addresses {
            figures.append(try measure(PrefixSet(prefixes: prefixes, addresses: addresses)))
            figures.forEach(report)
        } else {
            for count in count {
                figures.append(try measure(PrefixSet(count: count, addresses: 1 << 22)))
                report(figures[figures.count - 1])
            }
        }
        if let plot { try Self.plot(figures).write(to: plot) }
    }

    /// What was measured of one set.
    private struct Figures {
        var prefixes: Int
        var lookup: Double
        var skewedLookup: Double
        var singleLookup: Double
        var updates: Double
        var stall: LookupStall
        var bytes: Double
        var build: Double
        var hits: Int
    }

    private func measure(_ set: PrefixSet) throws -> Figures {
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
        func batched(_ addresses: [IPv6Address]) -> Double {
            best {
                addresses.withUnsafeBytes { addresses in
                    results.withUnsafeMutableBytes { results in
                        reader.lookup(
                            count: results.count / 4, addresses: addresses.baseAddress!, stride: 16,
                            results: results.baseAddress!, resultStride: 4)
                    }
                }
            }
        }
        let skewed = batched(set.skewedAddresses)
        let uniform = batched(set.addresses)
        let hits = results.count { $0 != PrefixTable.noValue }
        var singleHits = 0
        let single = best {
            singleHits = 0
            for address in set.addresses where reader.lookup(address) != PrefixTable.noValue { singleHits += 1 }
        }
        guard singleHits == hits else { throw BenchError("single and batched look-ups differ") }
        quiescent.goOffline()
        let updates = updatesPerSecond(table, set)
        let perLookup = 1e9 / Double(set.addresses.count)
        return Figures(
            prefixes: table.count, lookup: uniform * perLookup, skewedLookup: skewed * perLookup,
            singleLookup: single * perLookup, updates: updates,
            stall: LookupStall(table, quiescent, set.addresses) {
                let end = DispatchTime.now() + .milliseconds(500)
                repeat { _ = updatesPerSecond(table, set) } while DispatchTime.now() < end
            },
            bytes: bytes, build: build, hits: hits)
    }

    private func report(_ figures: Figures) {
        if output.json {
            print(
                "{\"bench\":\"lpm\",\"prefixes\":\(figures.prefixes),\"lookup_ns\":\(figures.lookup.rounded(2)),"
                    + "\"skewed_lookup_ns\":\(figures.skewedLookup.rounded(2)),"
                    + "\"single_lookup_ns\":\(figures.singleLookup.rounded(2)),"
                    + "\"updates_per_s\":\(Int(figures.updates)),"
                    + "\"stall_us\":\(figures.stall.underUpdates.rounded(1)),"
                    + "\"stall_idle_us\":\(figures.stall.idle.rounded(1)),"
                    + "\"bytes_per_prefix\":\(figures.bytes.rounded(1)),\"build_s\":\(figures.build.rounded(3)),"
                    + "\"hits\":\(figures.hits)}")
        } else {
            let stall = String(format: "%.0f (%.0f)", figures.stall.underUpdates, figures.stall.idle)
            print(
                String(
                    format: "%10d %11.2f %11.2f %11.2f %11.0f ", figures.prefixes, figures.lookup,
                    figures.skewedLookup, figures.singleLookup, figures.updates)
                    + String(repeating: " ", count: max(14 - stall.count, 0)) + stall
                    + String(format: " %14.1f %9.3f %11d", figures.bytes, figures.build, figures.hits))
        }
    }

    private static func plot(_ figures: [Figures]) -> Plot {
        func series(_ name: String, _ value: (Figures) -> Double) -> Plot.Series {
            Plot.Series(name: name, points: figures.map { (Double($0.prefixes), value($0)) })
        }
        return Plot(
            title: "Longest-prefix match", number: "prefixes",
            charts: [
                Plot.Chart(
                    title: "A look-up", unit: "ns",
                    series: [
                        series("one by one", \.singleLookup), series("in batches", \.lookup),
                        series("in batches, skewed", \.skewedLookup),
                    ]),
                Plot.Chart(title: "Changes", unit: "a second", series: [series("puts and removals", \.updates)]),
                Plot.Chart(title: "Memory", unit: "bytes a prefix", series: [series("table and rules", \.bytes)]),
                Plot.Chart(
                    title: "Longest batch of 64 look-ups", unit: "us",
                    series: [
                        series("under changes") { $0.stall.underUpdates }, series("without") { $0.stall.idle },
                    ]),
            ])
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
    func rounded(_ digits: Int) -> Double {
        let factor = Foundation.pow(10, Double(digits))
        return (self * factor).rounded() / factor
    }
}
