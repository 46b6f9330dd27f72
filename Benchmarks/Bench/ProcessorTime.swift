// What a process has used of the processors.

import Foundation

/// Processor time, in seconds.
struct ProcessorTime {
    var user = 0.0
    var system = 0.0

    var total: Double { user + system }

    static func - (left: ProcessorTime, right: ProcessorTime) -> ProcessorTime {
        ProcessorTime(user: left.user - right.user, system: left.system - right.system)
    }
}

extension Process {
    /// User and system time so far (proc_pid_stat(5), fields 14 and 15). `ip netns exec` becomes what it runs, so the
    /// process is the program itself.
    func processorTime() throws -> ProcessorTime {
        let stat = try String(contentsOfFile: "/proc/\(processIdentifier)/stat", encoding: .utf8)
        let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
            throw BenchError("/proc tells no times of a program")
        }
        let tick = 1 / Double(sysconf(Int32(_SC_CLK_TCK)))
        return ProcessorTime(user: user * tick, system: system * tick)
    }

    /// The most memory that it has had resident.
    func largestResidentMebibytes() throws -> Double {
        let status = try String(contentsOfFile: "/proc/\(processIdentifier)/status", encoding: .utf8)
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kibibytes = Double(line.split(whereSeparator: { !$0.isNumber }).first ?? "")
        else { throw BenchError("/proc tells no memory of a program") }
        return kibibytes / 1024
    }
}
