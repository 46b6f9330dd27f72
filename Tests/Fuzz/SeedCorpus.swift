// The packets that everything is made of, read where they are anyway: the vectors and golden cases of the repository, and
// files of one packet each. They lie in one piece of memory, each once.

import Capture
import Foundation
import TestSupport

/// Seeds, in flat memory that is kept for as long as the program runs.
struct SeedCorpus {
    /// All seeds together, in bytes.
    static let sizeLimit = 64 << 20
    /// Seeds up to this length are taken mostly: large ones cost much and show little more.
    private static let usualLength = 256

    /// How many there are.
    let count: Int
    private let memory: UnsafeRawPointer
    /// Where each begins; the usual ones first. One more than there are.
    private let offsets: UnsafePointer<Int>
    private let usualCount: Int

    /// - Throws: where there is none, or they are too large.
    init(_ seeds: Set<[UInt8]>) throws(FuzzError) {
        // In an order that is the same in every run.
        let sorted = seeds.sorted { $0.count == $1.count ? $0.lexicographicallyPrecedes($1) : $0.count < $1.count }
        let size = sorted.reduce(0) { $0 + $1.count }
        guard !sorted.isEmpty else { throw FuzzError("no seed was found") }
        guard size <= Self.sizeLimit else {
            throw FuzzError("seeds of \(size) bytes; \(Self.sizeLimit) are possible: give fewer")
        }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size + 1, alignment: 64)
        let offsets = UnsafeMutablePointer<Int>.allocate(capacity: sorted.count + 1)
        var offset = 0
        for (index, seed) in sorted.enumerated() {
            offsets[index] = offset
            (memory + offset).copyMemory(from: seed, byteCount: seed.count)
            offset += seed.count
        }
        offsets[sorted.count] = offset
        count = sorted.count
        usualCount = max(1, sorted.count { $0.count <= Self.usualLength })
        self.memory = UnsafeRawPointer(memory)
        self.offsets = UnsafePointer(offsets)
    }

    /// Those of the repository, and of directories.
    static func load(directories: [String]) throws(FuzzError) -> SeedCorpus {
        let tests = Repository.root.appendingPathComponent("Tests").path
        var seeds: Set<[UInt8]> = []
        for name in ["forwarding", "tunnels", "wire"] { try addVectors("\(tests)/Vectors/\(name).json", to: &seeds) }
        for path in files(below: "\(tests)/Golden") where path.hasSuffix(".pcap") { addCapture(path, to: &seeds) }
        for path in files(below: "\(tests)/Fuzz/Corpus") where !path.hasSuffix(".md") { try add(path, to: &seeds) }
        for directory in directories {
            let paths = files(below: directory)
            guard !paths.isEmpty else { throw FuzzError("\(directory): no files are there") }
            for path in paths { try add(path, to: &seeds) }
        }
        return try SeedCorpus(seeds)
    }

    subscript(index: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: memory + offsets[index], count: offsets[index + 1] - offsets[index])
    }

    func pick(using random: inout SeededGenerator) -> UnsafeRawBufferPointer {
        self[random.below(random.below(64) == 0 ? count : usualCount)]
    }

    // MARK: Reading

    /// Regular files, in the order of their paths.
    static func files(below directory: String) -> [String] {
        let entries = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
        return entries.sorted().map { "\(directory)/\($0)" }.filter {
            var isDirectory: ObjCBool = false
            return FileManager.default.fileExists(atPath: $0, isDirectory: &isDirectory) && !isDirectory.boolValue
        }
    }

    /// A file that is one packet.
    static func packet(at path: String) throws(FuzzError) -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: path) else { throw FuzzError("\(path): can't be read") }
        guard data.count <= PacketBuilder.capacity else {
            throw FuzzError("\(path): \(data.count) bytes are no packet; \(PacketBuilder.capacity) are possible")
        }
        return [UInt8](data)
    }

    private static func add(_ path: String, to seeds: inout Set<[UInt8]>) throws(FuzzError) {
        seeds.insert(try packet(at: path))
    }

    /// Every packet in a file of vectors, whatever its shape: hexadecimal digits under one of these names.
    private static func addVectors(_ path: String, to seeds: inout Set<[UInt8]>) throws(FuzzError) {
        guard let data = FileManager.default.contents(atPath: path),
            let json = try? JSONSerialization.jsonObject(with: data)
        else { throw FuzzError("\(path): can't be read") }
        addVectors(json, to: &seeds)
    }

    private static func addVectors(_ json: Any, to seeds: inout Set<[UInt8]>) {
        if let list = json as? [Any] { for element in list { addVectors(element, to: &seeds) } }
        guard let object = json as? [String: Any] else { return }
        for (name, value) in object {
            let texts = value as? [String] ?? (value as? String).map { [$0] }
            if let texts, ["in", "out", "packet"].contains(name) {
                for text in texts { seeds.insert(Hex(text).bytes) }
            } else {
                addVectors(value, to: &seeds)
            }
        }
    }

    /// A capture that is damaged, as some cases are, gives what comes before.
    private static func addCapture(_ path: String, to seeds: inout Set<[UInt8]>) {
        guard let reader = try? CaptureReader(path: path) else { return }
        while let frame = (try? reader.next()) ?? nil {
            guard let packet = frame.linkLayer.packet(in: frame.bytes) else { continue }
            if packet.count <= PacketBuilder.capacity { seeds.insert(Array(packet)) }
        }
    }
}

/// What can't be done, in a sentence.
struct FuzzError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
