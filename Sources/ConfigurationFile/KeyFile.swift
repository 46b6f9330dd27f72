// Keys of security associations stand in files of their own, which nobody else can read: one line of hexadecimal digits,
// as `openssl rand -hex 16` makes it. A configuration can then be shown around.

import Bindings
import Glibc

/// A file with a key.
public enum KeyFile {
    /// The longest key, in bytes.
    public static let maximumLength = 256

    /// Reads a key.
    /// - Returns: its bytes, one at least.
    /// - Throws: where it can't be read, can be read by others than its owner, or holds something else; the place is the
    ///   path.
    public static func read(_ path: String) throws(StrictJSON.Failure) -> [UInt8] {
        try key(in: bytes(of: path, limit: textLimit), path)
    }

    /// Reads a key from standard input.
    /// - Throws: as `read` does; nobody's mode is looked at.
    public static func readStandardInput() throws(StrictJSON.Failure) -> [UInt8] {
        try key(in: StrictJSON.bytes(of: "/dev/stdin", limit: textLimit), "standard input")
    }

    private static let textLimit = maximumLength * 2 + 2

    private static func key(in text: [UInt8], _ path: String) throws(StrictJSON.Failure) -> [UInt8] {
        let isSpace: (UInt8) -> Bool = { [0x09, 0x0A, 0x0D, 0x20].contains($0) }
        let start = text.firstIndex { !isSpace($0) } ?? text.endIndex
        let end = (text.lastIndex { !isSpace($0) }).map { $0 + 1 } ?? start
        let digits = text[start..<end]
        guard let key = bytes(ofDigits: digits) else {
            // Not a word of what it holds: it may be a key all the same.
            throw StrictJSON.Failure(
                path, "holds no key: one line of hexadecimal digits, two a byte, as openssl rand -hex 16 makes it")
        }
        return key
    }

    /// Reads a file with keys in it, whatever its form.
    /// - Parameter limit: of its length, in bytes.
    /// - Throws: where it can't be read, can be read by others than its owner, or is longer; the place is the path.
    public static func bytes(of path: String, limit: Int) throws(StrictJSON.Failure) -> [UInt8] {
        try StrictJSON.bytes(of: path, limit: limit) { status throws(StrictJSON.Failure) in
            try check(status, of: path)
        }
    }

    private static func check(_ status: stat, of path: String) throws(StrictJSON.Failure) {
        guard status.st_mode & S_IFMT == S_IFREG else { throw StrictJSON.Failure(path, "is no plain file") }
        guard status.st_mode & 0o077 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw StrictJSON.Failure(path, "can be used by others (mode \(mode)), as a key must not be; chmod 600 it")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw StrictJSON.Failure(path, "belongs to another user; chown it to the one that the program runs as")
        }
    }

    /// A key as a file has it, without a line's end.
    public static func digits(of key: [UInt8]) -> String {
        key.map { (($0 < 16 ? "0" : "") + String($0, radix: 16)) }.joined()
    }

    /// The bytes that hexadecimal digits say; nil where they say none.
    public static func bytes(ofDigits digits: ArraySlice<UInt8>) -> [UInt8]? {
        guard !digits.isEmpty, digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            guard let value = Character(Unicode.Scalar(digit)).hexDigitValue.map({ UInt8($0) }) else { return nil }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return bytes
    }
}
