// Where the process ends by a signal, which is what a trap and a touched guard page come to, the packets of the batch that
// was being worked on are written to files first, and it is said how to have that batch again. Nothing is allocated then:
// the text is made before, and the files are written by plain system calls.

import Glibc

enum CrashReport {
    private static var textCapacity: Int { 1024 }
    nonisolated(unsafe) private static var length = 0
    nonisolated(unsafe) private static var packets: UnsafeMutablePointer<UnsafeRawBufferPointer>?
    nonisolated(unsafe) private static var count = 0
    nonisolated(unsafe) private static var seed: UInt64 = 0
    nonisolated(unsafe) private static var batch: UInt64 = 0
    nonisolated(unsafe) private static var directory: UnsafeMutablePointer<CChar>?
    nonisolated(unsafe) private static var text: UnsafeMutablePointer<CChar>?

    nonisolated(unsafe) private static var command: StaticString = "Fuzz"
    nonisolated(unsafe) private static var unit: StaticString = "batch"
    /// Of what is copied, in bytes.
    private static let messageCapacity = 1 << 17
    nonisolated(unsafe) private static var message: UnsafeMutableRawPointer?

    /// From now on. Packets are written below `path`, which must be there.
    /// - Parameters:
    ///   - command: by which a batch is had again.
    ///   - unit: what a batch is called there.
    static func install(directory path: String, command: StaticString = "Fuzz", unit: StaticString = "batch") {
        (self.command, self.unit) = (command, unit)
        message = .allocate(byteCount: messageCapacity, alignment: 16)
        directory = strdup(path)
        packets = .allocate(capacity: FuzzRun.batchCapacity)
        text = .allocate(capacity: textCapacity)
        // The stack may be what is used up.
        let size = 64 * 1024
        var stack = stack_t(ss_sp: .allocate(byteCount: size, alignment: 16), ss_flags: 0, ss_size: size)
        sigaltstack(&stack, nil)
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { CrashReport.write(signal: $0) }
        action.sa_flags = CInt(bitPattern: UInt32(SA_RESETHAND)) | SA_ONSTACK
        for signal in [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE] { sigaction(signal, &action, nil) }
    }

    static func begin(seed: UInt64, batch: UInt64) { (self.seed, self.batch, count) = (seed, batch, 0) }

    static func add(_ packet: UnsafeRawBufferPointer) {
        guard let packets, count < FuzzRun.batchCapacity else { return }
        packets[count] = packet
        count += 1
    }

    /// The one packet that is worked on, in memory that may go: it is copied.
    static func take(_ bytes: [UInt8]) {
        guard let message, bytes.count <= messageCapacity else { return }
        bytes.withUnsafeBytes { if let start = $0.baseAddress { memcpy(message, start, $0.count) } }
        count = 0
        add(UnsafeRawBufferPointer(start: message, count: bytes.count))
    }

    private static func write(signal: CInt) {
        guard let packets, let directory, let text else { return }
        for index in 0..<count {
            writePath(directory)
            append("-")
            append(UInt64(index))
            text[length] = 0
            let file = open(text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
            guard file >= 0 else { continue }
            if let start = packets[index].baseAddress { _ = Glibc.write(file, start, packets[index].count) }
            close(file)
        }
        length = 0
        append("\nFuzz: ended by signal ")
        append(UInt64(signal))
        append("; again: ")
        append(command)
        append(" --seed ")
        append(seed)
        append(" --")
        append(unit)
        append(" ")
        append(batch)
        append("; what it worked on: ")
        _ = Glibc.write(STDERR_FILENO, text, length)
        writePath(directory)
        append("-*\n")
        _ = Glibc.write(STDERR_FILENO, text, length)
        raise(signal)
    }

    // MARK: Text without memory of its own

    private static func writePath(_ directory: UnsafePointer<CChar>) {
        length = 0
        for index in 0..<min(strlen(directory), textCapacity - 128) { append(byte: directory[index]) }
        append("/crash-")
        append(seed)
        append("-")
        append(batch)
    }

    private static func append(byte: CChar) {
        guard let text, length < textCapacity - 1 else { return }
        text[length] = byte
        length += 1
    }

    private static func append(_ words: StaticString) {
        for index in 0..<words.utf8CodeUnitCount { append(byte: CChar(bitPattern: words.utf8Start[index])) }
    }

    private static func append(_ number: UInt64) {
        var divisor: UInt64 = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(byte: CChar(48 + number / divisor % 10))
            divisor /= 10
        }
    }
}
