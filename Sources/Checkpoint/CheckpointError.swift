// What can be wrong with a checkpoint.

import Glibc

/// A checkpoint can't be used, or not be written.
public enum CheckpointError: Error, Hashable, CustomStringConvertible {
    /// It does not begin as one.
    case notCheckpoint
    /// It is of another version of the format.
    case version(UInt16)
    /// Bytes are not those that were written.
    case damaged(offset: Int)
    /// It ends before its end.
    case cutShort(offset: Int)
    /// Its checksums are right, and what it says can't be.
    case malformed(String)
    /// It holds more than the tables are made for.
    case tooMany(String, option: String, limit: Int)
    /// Somebody else may have written it.
    case notTrusted(String)
    /// Another process writes to the same file.
    case inUse
    /// A system call failed.
    case failed(String, errorNumber: Int32)

    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .notCheckpoint: "is no checkpoint of mooringd"
        case .version(let version):
            "is of version \(version) of the format, and this mooringd reads version \(CheckpointFormat.version)"
        case .damaged(let offset): "is damaged at byte \(offset) or behind it: a checksum differs"
        case .cutShort(let offset): "is cut short at byte \(offset)"
        case .malformed(let problem): "is malformed: \(problem)"
        case .tooMany(let what, let option, let limit):
            "has more than \(limit) \(what), which is the limit: raise \(option)"
        case .notTrusted(let reason): "is not trusted: \(reason)"
        case .inUse: "is written by another process: give each mooringd a checkpoint of its own"
        case .failed(let call, let errorNumber): "\(call): \(String(cString: strerror(errorNumber)))"
        }
    }

    /// Whether an older checkpoint may be used instead: not where the operator has something to put right.
    public var allowsPrevious: Bool {
        switch self {
        case .notCheckpoint, .version, .damaged, .cutShort, .malformed, .failed: true
        case .tooMany, .notTrusted, .inUse: false
        }
    }
}
