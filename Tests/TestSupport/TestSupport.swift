// What several test targets need: vectors that an independent encoder made (Tests/Vectors), packets in memory that ends
// where they end, and random numbers whose seed is printed.

import Foundation

/// Paths of this repository.
public enum Repository {
    /// Its top directory.
    public static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Where one of the project's programs is: in MOORING_BIN_DIR, or else beside the test bundle.
    public static func path(of program: String) -> String {
        let directory =
            ProcessInfo.processInfo.environment["MOORING_BIN_DIR"]
            ?? URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
        return "\(directory)/\(program)"
    }
}

/// Vectors made by `Tests/Vectors/make.py`.
public enum Vectors {
    /// Decodes one of the files beside the script.
    public static func load<Content: Decodable>(_ name: String, as type: Content.Type = Content.self) -> Content {
        let file = Repository.root.appendingPathComponent("Tests/Vectors/\(name).json")
        do {
            return try JSONDecoder().decode(type, from: Data(contentsOf: file))
        } catch {
            fatalError("\(file.path): \(error); make it anew with Tests/Vectors/make.py")
        }
    }
}

/// Bytes that are written in JSON as hexadecimal digits.
public struct Hex: Decodable, Hashable, Sendable, CustomStringConvertible {
    /// The bytes.
    public var bytes: [UInt8]

    /// From bytes.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// From pairs of hexadecimal digits.
    public init(_ text: String) {
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in text.utf8 where digit != UInt8(ascii: " ") {
            guard let value = Character(UnicodeScalar(digit)).hexDigitValue else { fatalError("\(text) is not hex") }
            if let first = high {
                bytes.append(first << 4 | UInt8(value))
                high = nil
            } else {
                high = UInt8(value)
            }
        }
        precondition(high == nil, "an odd number of hexadecimal digits")
        self.bytes = bytes
    }

    /// From a JSON string.
    public init(from decoder: any Decoder) throws {
        self.init(try decoder.singleValueContainer().decode(String.self))
    }

    /// Pairs of hexadecimal digits.
    public var description: String { hexadecimal(bytes) }
}

/// Pairs of hexadecimal digits.
public func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    return String(decoding: text, as: UTF8.self)
}

/// Runs `body` on a copy of `bytes` in memory of its own that ends where they end, so that a sanitizer sees every read
/// behind them, and that begins at an address of the given alignment's remainder.
public func withExactMemory<Result, Failure: Error>(
    of bytes: some Collection<UInt8>, offset: Int = 0, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
) throws(Failure) -> Result {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: offset + bytes.count, alignment: 64)
    defer { memory.deallocate() }
    let buffer = UnsafeMutableRawBufferPointer(start: memory + offset, count: bytes.count)
    buffer.copyBytes(from: bytes)
    return try body(UnsafeRawBufferPointer(buffer))
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere, so that a seed tells the whole run.
public struct SeededGenerator: RandomNumberGenerator {
    @usableFromInline var state: UInt64

    /// A generator that gives the same numbers for the same seed.
    @inlinable
    public init(seed: UInt64) { state = seed }

    /// The next number.
    @inlinable
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

/// How a random test runs.
public enum RandomTest {
    /// The seed of this run: `MOORING_TEST_SEED`, or a random one. It is printed, with how to use it again.
    public static func seed(for test: String) -> UInt64 {
        let seed =
            ProcessInfo.processInfo.environment["MOORING_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0 ... .max)
        print("\(test): seed \(seed) (again with MOORING_TEST_SEED=\(seed))")
        return seed
    }

    /// How often to try: `usual` times `MOORING_TEST_EFFORT`, which is 1 where it is not set.
    public static func count(_ usual: Int) -> Int {
        let effort = ProcessInfo.processInfo.environment["MOORING_TEST_EFFORT"].flatMap { Double($0) } ?? 1
        return max(1, Int(Double(usual) * effort))
    }
}
