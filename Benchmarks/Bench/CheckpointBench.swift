// How long bindings take into a checkpoint and back. Encoding is done in slices as mooringd does it, and how long the
// longest took is what a request may have to wait; writing goes to a file and to the disk.

import ArgumentParser
import Checkpoint
import Forwarding
import Foundation
import Wire

struct CheckpointBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint", abstract: "Bindings into a checkpoint and back.",
        discussion: """
            Examples:
              swift run Bench checkpoint
              swift run Bench checkpoint --prefixes-each 2
              swift run Bench checkpoint --bindings 100000 --directory /var/tmp --json
            """)

    @Option(help: "Bindings, each with a home address.") var bindings = 1_000_000
    @Option(help: "Prefixes of each binding, /64: 1 or 2.") var prefixesEach = 1
    @Option(help: "Where the file is written.") var directory = "/tmp"
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...5_000_000).contains(bindings) else { throw ValidationError("--bindings is 1 to 5000000") }
        guard (1...2).contains(prefixesEach) else { throw ValidationError("--prefixes-each is 1 or 2") }
    }

    private final class Origin: CheckpointOrigin {
        func isFromFile(_ id: String) -> Bool { false }
        func isFromFile(_ id: String, of group: IPv6Address) -> Bool { false }
        let fileDigest: CheckpointFileDigest? = nil
    }

    private func table() throws -> BindingTable {
        var configuration = BindingTable.Configuration()
        configuration.bindingLimit = bindings
        configuration.prefixLimit = bindings * prefixesEach
        configuration.endpoint = PipelinePackets.endpoint
        return try BindingTable(configuration)
    }

    func run() throws {
        let full = try table()
        let prefixes = PrefixLayout.spread.prefixes(2 * bindings)
        let putting = ContinuousClock.now
        var first = 0
        while first < bindings {
            let batch = (first..<min(first + 1000, bindings)).map { node in
                var binding = PipelinePackets.binding(node, .ipInIP, prefixes)
                binding.prefixes.removeFirst(2 - prefixesEach)
                return binding
            }
            _ = try full.put(batch, now: 0)
            first += 1000
        }
        let putTime = ContinuousClock.now - putting
        let file = CheckpointFile(path: "\(directory)/mooring-bench-\(getpid()).checkpoint")
        defer { unlink(file.path) }

        var blocks: [CheckpointBlock] = []
        let origin = Origin()
        var (encodeTime, longest) = (Duration.zero, Duration.zero)
        var begin = ContinuousClock.now
        let snapshot = CheckpointSnapshot(of: full, origin: origin, number: 1) { blocks.append($0) }
        var isDone = false
        while true {
            let time = ContinuousClock.now - begin
            encodeTime += time
            longest = max(longest, time)
            if isDone { break }
            begin = ContinuousClock.now
            isDone = snapshot.run(for: .milliseconds(1))
        }

        begin = ContinuousClock.now
        let writer = try CheckpointWriter(file, header: snapshot.header)
        for block in blocks { try writer.write(block) }
        try writer.commit()
        let writeTime = ContinuousClock.now - begin

        let empty = try table()
        begin = ContinuousClock.now
        let limits = CheckpointContents.Limits(bindings: bindings, prefixes: bindings * prefixesEach, members: 1)
        let processorBegin = Self.processorSeconds()
        var readTime = Duration.zero
        let now = CheckpointClock.now()
        _ = try file.load(unusable: { path, error in print("\(path) \(error)") }) {
            (descriptor, _) throws(CheckpointError) in
            var contents = try CheckpointContents(descriptor: descriptor, limits: limits)
            let clock = contents.header.clock
            var restoration = BindingTable.Restoration(
                into: empty, expecting: contents.bindingCount, continuesSequences: false, now: now.bootTime)
            do {
                try contents.read { saved throws(CheckpointError) in
                    do { try restoration.add(saved.carried(from: clock, over: now)) } catch {
                        throw .malformed("\(error)")
                    }
                }
                readTime = ContinuousClock.now - begin
                _ = try restoration.finish(groups: contents.groups, lastRevision: contents.lastRevision)
            } catch { throw .malformed("\(error)") }
        }
        let restoreTime = ContinuousClock.now - begin
        let processorEnd = Self.processorSeconds()
        precondition(empty.count == bindings, "all bindings are back")
        report(
            size: writer.size, put: putTime, encode: encodeTime, longest: longest, write: writeTime, read: readTime,
            restore: restoreTime, user: processorEnd.user - processorBegin.user,
            system: processorEnd.system - processorBegin.system)
    }

    /// What all threads of this process have used of processors.
    private static func processorSeconds() -> (user: Double, system: Double) {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return (seconds(usage.ru_utime), seconds(usage.ru_stime))
    }

    private func report(
        size: Int, put: Duration, encode: Duration, longest: Duration, write: Duration, read: Duration,
        restore: Duration, user: Double, system: Double
    ) {
        func seconds(_ duration: Duration) -> Double { (duration / .seconds(1) * 10_000).rounded() / 10_000 }
        if output.json {
            print(
                """
                {"bench":"checkpoint","bindings":\(bindings),"prefixes_each":\(prefixesEach),"bytes":\(size),\
                "put_s":\(seconds(put)),"encode_s":\(seconds(encode)),"longest_slice_us":\(Int(longest / .microseconds(1))),\
                "write_s":\(seconds(write)),"read_s":\(seconds(read)),"restore_s":\(seconds(restore)),\
                "restore_user_s":\(user),"restore_system_s":\(system)}
                """)
        } else {
            print("\(bindings) bindings of \(prefixesEach) prefixes each, \(size) bytes in the file")
            print("put by batches of 1000: \(seconds(put)) s")
            print("encoded: \(seconds(encode)) s, the longest slice \(Int(longest / .microseconds(1))) µs")
            print("written and flushed: \(seconds(write)) s")
            let processor = String(format: "%.2f and %.2f", user, system)
            print("restored: \(seconds(restore)) s, of which read and laid down: \(seconds(read)) s")
            print("processor time for that, user and kernel: \(processor) s")
        }
    }
}
