// Which processors the workers are pinned to, written as the kernel writes such lists (cpuset(7)): "2-5,8".

import ArgumentParser
import PacketIO

/// Processors, by their numbers, one for each worker in turn.
struct ProcessorList: Equatable, LosslessStringConvertible {
    /// In the order in which they were named, each once.
    let numbers: [Int]

    /// Numbers that a processor may have.
    private static let limits = 0..<8192

    /// None where the list is empty, names a processor twice, or is none.
    init?(_ description: String) {
        var numbers: [Int] = []
        for part in description.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { Int($0) }
            guard let first = ends[0], let last = ends[ends.count - 1], Self.limits.contains(first),
                Self.limits.contains(last), first <= last
            else { return nil }
            numbers += first...last
        }
        guard Set(numbers).count == numbers.count else { return nil }
        self.numbers = numbers
    }

    var description: String { numbers.map(String.init).joined(separator: ",") }

    /// Checks that a number of workers can be pinned.
    /// - Throws: where there are too few, or the daemon may not run on one.
    func check(workers: Int) throws(ConfigurationError) {
        guard numbers.count >= workers else {
            throw ConfigurationError(
                "\(workers) workers want as many processors, and \(self) are \(numbers.count): name more, or have fewer "
                    + "workers")
        }
        for number in numbers.prefix(workers) where !ForwardingThread.mayRun(on: number) {
            throw ConfigurationError(
                "there is no processor \(number) that the daemon may run on: see Cpus_allowed_list in /proc/self/status, "
                    + "and CPUAffinity= and AllowedCPUs= of the service")
        }
    }
}

extension ProcessorList: ExpressibleByArgument {
    /// A list from the command line.
    init?(argument: String) { self.init(argument) }
}
