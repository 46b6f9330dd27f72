// What all threads of this process may do, as the kernel has it (proc_pid_status(5)).

import Glibc

extension Capabilities {
    /// What the threads of this process have, each part together: those whose names begin with `workers`, and all others. A
    /// thread that ends meanwhile may be among them or not.
    /// - Throws: where /proc does not tell.
    public static func ofThreads(
        workers prefix: String
    ) throws(CapabilitiesError) -> (workers: Capabilities, others: Capabilities) {
        guard let directory = opendir("/proc/self/task") else {
            throw CapabilitiesError(call: "opendir(/proc/self/task)", number: errno)
        }
        defer { closedir(directory) }
        var (workers, others) = (Capabilities(), Capabilities())
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard !name.hasPrefix("."), let thread = thread(name) else { continue }
            if thread.name.hasPrefix(prefix) {
                workers.formUnion(thread.permitted)
            } else {
                others.formUnion(thread.permitted)
            }
        }
        return (workers, others)
    }

    /// A thread's name, and what it is permitted; nil where it has ended.
    private static func thread(_ number: String) -> (name: String, permitted: Capabilities)? {
        guard let file = fopen("/proc/self/task/\(number)/status", "re") else { return nil }
        defer { fclose(file) }
        var name = ""
        var line: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { free(line) }
        while getline(&line, &room, file) > 0, let start = line {
            let parts = String(cString: start).split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let value = parts[1].drop { $0.isWhitespace }.prefix { $0 != "\n" }
            if parts[0] == "Name" { name = String(value) }
            if parts[0] == "CapPrm" {
                return UInt64(value, radix: 16).map { (name, Capabilities(rawValue: $0)) }
            }
        }
        return nil
    }
}
