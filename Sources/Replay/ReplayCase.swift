// A case: a folder with bindings, one or two captures that go in, those that are to come out, and the counters that are
// to be there then. It is run, and what comes out is compared packet by packet as it comes.
//
//     bindings.json   home-in.pcap   access-in.pcap   home-out.pcap   access-out.pcap   counters.json
//
// An input or an output that is not there has no packets; one of the inputs must be there.

import Bindings
import Capture
import Glibc
import PacketBuffer

/// A folder whose outputs are to come out of its inputs.
public struct ReplayCase: Sendable {
    /// What a check has found.
    public enum Outcome: Hashable, Sendable {
        /// Everything is as expected.
        case same
        /// The first difference, in a sentence and perhaps lines of hexadecimal digits.
        case differs(String)
        /// It can't be run, or what is expected can't be read.
        case unusable(String)
    }

    /// The folder's path.
    public let directory: String
    var batchCapacity = Replay.batchCapacity

    /// The case in a folder.
    public init(directory: String) { self.directory = directory }

    /// The cases that a directory stands for: itself or, where it has no bindings, the directories in it that have, in
    /// the order of their names.
    public static func all(in directory: String) -> [ReplayCase] {
        let single = ReplayCase(directory: directory)
        guard single.existing("bindings.json") == nil, let stream = opendir(directory) else { return [single] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        let cases = names.sorted().filter { !$0.hasPrefix(".") }.map { ReplayCase(directory: single.path($0)) }
            .filter { $0.existing("bindings.json") != nil }
        return cases.isEmpty ? [single] : cases
    }

    /// Runs it and compares.
    public func check() -> Outcome {
        do {
            let replay = try makeReplay()
            let expected = try ReplayCounters(contentsOf: path("counters.json"))
            let (result, comparison) = try replay.run { _ in
                try PacketComparison(home: existing("home-out.pcap"), access: existing("access-out.pcap"))
            }
            if let difference = try comparison.finish() { return .differs(difference) }
            for (found, expected) in zip(result.counters.named, expected.named) where found.value != expected.value {
                return .differs("counters.json: \(found.name): \(expected.value) expected, \(found.value) counted")
            }
            return .same
        } catch {
            return .unusable(ReplayError(describing: error).description)
        }
    }

    /// Writes what comes out as what is expected. Each file is replaced whole.
    public func regenerate() throws(ReplayError) {
        let names = ["home-out.pcap", "access-out.pcap", "counters.json"].map(path)
        let new = names.map { $0 + ".new" }
        do throws(ReplayError) {
            _ = try makeReplay().write(to: Replay.Outputs(home: new[0], access: new[1], counters: new[2]))
        } catch {
            for path in new { unlink(path) }
            throw error
        }
        for (old, new) in zip(names, new) where rename(new, old) != 0 {
            throw ReplayError("\(old): can't be replaced: \(String(cString: strerror(errno)))")
        }
    }

    func makeReplay() throws(ReplayError) -> Replay {
        do throws(BindingError) {
            var replay = Replay(
                bindings: try BindingFile(contentsOf: path("bindings.json")), homeInput: existing("home-in.pcap"),
                accessInput: existing("access-in.pcap"))
            replay.batchCapacity = batchCapacity
            guard replay.homeInput != nil || replay.accessInput != nil else {
                throw BindingError(directory, "has neither home-in.pcap nor access-in.pcap")
            }
            return replay
        } catch {
            throw ReplayError("\(error)")
        }
    }

    func path(_ name: String) -> String { directory.hasSuffix("/") ? directory + name : "\(directory)/\(name)" }

    func existing(_ name: String) -> String? { access(path(name), F_OK) == 0 ? path(name) : nil }
}
