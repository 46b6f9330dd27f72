// What a daemon and its successor say to each other, each a packet of a Unix socket:
//
//     successor                              daemon
//     hello: its settings              ──►             who it is, and whether the settings agree
//                                      ◄──   offer: queues of the devices, listeners, the checkpoint's lock
//                                      ◄──   table: a copy, made while packets flow
//     done: it has taken the copy      ──►
//                                      ◄──   changes: what has changed since; again, until it is little
//     done                             ──►
//                                      ◄──   last: the rest; the daemon forwards no more
//     done: it could forward           ──►
//                                      ◄──   yours: from here on it is the successor's
//
// Where the connection ends before "yours" was sent the daemon goes on. A packet is the version (2 bytes), the kind (2),
// and text; numbers are little-endian. Tables are files in memory (memfd_create(2)) in the format of checkpoints.

/// A message.
public struct SuccessionMessage: Sendable {
    /// What it says.
    public enum Kind: UInt16, Sendable {
        /// From the successor: text, `name=value` a line, of settings that have to agree.
        case hello = 1
        /// What is handed over: the text has the number of queues; `lock` where the last descriptor is one.
        case offer = 2
        /// A copy of the table.
        case table = 3
        /// What has changed since.
        case changes = 4
        /// What has changed since, and nothing changes any more.
        case last = 5
        /// From the successor: it has taken what it was sent.
        case done = 6
        /// The successor is to forward.
        case yours = 7
        /// There will be no succession, for the reason in the text.
        case refusal = 8
    }

    /// Of the exchange, with all that is in it; another one is refused.
    public static let version: UInt16 = 1
    /// The longest text, in bytes.
    public static let textLimit = 32_768
    static let headerLength = 4

    /// What it says.
    public var kind: Kind
    /// What belongs to it.
    public var text: String

    /// A message.
    public init(_ kind: Kind, _ text: String = "") {
        self.kind = kind
        self.text = text
    }

    /// As it is sent; of a text that is too long the beginning.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for number in [Self.version, kind.rawValue] { bytes += [UInt8(number & 0xFF), UInt8(number >> 8)] }
        return bytes + text.utf8.prefix(Self.textLimit)
    }

    /// Reads a packet.
    init(_ bytes: some RandomAccessCollection<UInt8>) throws(SuccessionError) {
        guard bytes.count >= Self.headerLength else { throw SuccessionError("a message of \(bytes.count) bytes") }
        let header = bytes.prefix(Self.headerLength).map(UInt16.init)
        let version = header[0] | header[1] << 8
        guard version == Self.version else {
            throw SuccessionError(
                "it speaks version \(version) of the exchange, and this one version \(Self.version): restart instead")
        }
        guard let kind = Kind(rawValue: header[2] | header[3] << 8) else {
            throw SuccessionError("a message of an unknown kind")
        }
        self.kind = kind
        text = String(decoding: bytes.dropFirst(Self.headerLength), as: UTF8.self)
    }
}

/// A succession can't be.
public struct SuccessionError: Error, Hashable, CustomStringConvertible {
    /// Why, and what to do.
    public let description: String

    /// An error with its sentence.
    public init(_ description: String) { self.description = description }
}
