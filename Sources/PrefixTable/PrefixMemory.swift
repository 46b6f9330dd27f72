// Memory for nodes: one range of addresses, given out in lines of 64 bytes, so that a line number names a node in 29 bits.
// The kernel gives memory only for what is touched, in huge pages where it can. What is retired is given out again when
// every reader has passed a quiescent point.

import Glibc

/// Memory in lines of 64 bytes; one writer.
final class PrefixMemory {
    static let lineSize = 64
    /// Larger blocks are one size (a node of 16 bits).
    private static let smallLimit = 17
    static let largeLines = 4097

    let base: UnsafeMutableRawPointer
    private let lineCount: Int
    private let mapping: UnsafeMutableRawPointer
    private let mappedBytes: Int
    private var untouched = 1
    /// Lists of free blocks by their lines; the last is that of large ones.
    private var free: [[UInt32]] = Array(repeating: [], count: smallLimit + 2)
    private var limbo: Limbo<(line: UInt32, list: Int)>
    /// Lines that wait for readers, and how many may: of the room that a table has beside what its prefixes take, half.
    private var waiting = 0
    private static let waitingLimit = 1 << 17
    /// Lines in use, those retired but not yet reusable included.
    private(set) var linesInUse = 0

    /// Line 0 is never given out.
    init(lines: Int, quiescentStates: QuiescentStates) throws(SlabError) {
        precondition(lines < 1 << 29, "a line number has 29 bits")
        lineCount = lines
        let hugePage = 2 << 20
        mappedBytes = lines * Self.lineSize + hugePage
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let memory = mmap(nil, mappedBytes, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else {
            throw SlabError(bytes: mappedBytes)
        }
        mapping = memory
        base = memory + (hugePage - Int(UInt(bitPattern: memory) & UInt(hugePage - 1)))
        // Fewer pages to find in the TLB; a kernel without huge pages refuses, and that is as well.
        _ = madvise(base, lines * Self.lineSize, MADV_HUGEPAGE)
        limbo = Limbo(quiescentStates)
    }

    deinit { munmap(mapping, mappedBytes) }

    private static func list(_ lines: Int) -> Int { lines <= smallLimit ? lines : smallLimit + 1 }

    /// Whether so many lines can be had, in blocks of any size.
    func hasRoom(for lines: Int) -> Bool { lineCount - untouched >= lines }

    /// A block that nobody reads, its bytes whatever they are; room was asked for.
    func take(_ lines: Int) -> UInt32 {
        let list = Self.list(lines)
        if free[list].isEmpty { reclaim() }
        linesInUse += lines
        if let line = free[list].popLast() { return line }
        precondition(lineCount - untouched >= lines, "room for nodes was asked for")
        defer { untouched += lines }
        return UInt32(untouched)
    }

    /// Gives back a block that readers can no longer come upon. Where too much waits for readers, who pass within one
    /// batch, so does the writer: else one who changes much while a reader does not get to run would take all room.
    func retire(_ line: UInt32, lines: Int) {
        limbo.append((line, Self.list(lines)))
        waiting += lines
        guard waiting > Self.waitingLimit else { return }
        reclaim()
        while waiting > Self.waitingLimit {
            sched_yield()
            reclaim()
        }
    }

    /// Makes blocks free that no reader sees any more.
    func reclaim() {
        limbo.release { block in
            free[block.list].append(block.line)
            let lines = block.list > Self.smallLimit ? Self.largeLines : block.list
            linesInUse -= lines
            waiting -= lines
        }
    }
}
