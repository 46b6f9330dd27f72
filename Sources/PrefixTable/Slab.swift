// Elements that readers reach by number while one writer adds and takes away. A number that is retired is used again when
// every reader has passed a quiescent point.

/// Memory for up to `capacity` elements of plain bytes; one writer.
public final class Slab<Element: ~Copyable> {
    /// Element 0.
    public let base: UnsafeMutablePointer<Element>
    /// How many numbers there are; they are below this.
    public var capacity: Int { memory.capacity }
    /// Numbers in use, those retired but not yet reusable included.
    public private(set) var inUse = 0

    private let memory: ReservedMemory<Element>
    private var untouched = 0
    private var free: [UInt32] = []
    private var limbo: Limbo<UInt32>

    /// Nothing in use. New elements have zero bytes.
    /// - Throws: `SlabError` where the address range can't be reserved.
    public init(capacity: Int, quiescentStates: QuiescentStates) throws(SlabError) {
        precondition(capacity > 0 && capacity <= Int(UInt32.max), "numbers have 32 bits")
        memory = try ReservedMemory(capacity: capacity)
        base = memory.base
        limbo = Limbo(quiescentStates)
    }

    /// A number whose element nobody reads; its bytes are zero or those of an earlier use. Nil where all are in use, or
    /// retired too lately.
    public func take() -> UInt32? {
        if free.isEmpty { reclaim() }
        if let number = free.popLast() {
            inUse += 1
            return number
        }
        guard untouched < capacity else { return nil }
        defer { untouched += 1 }
        inUse += 1
        return UInt32(untouched)
    }

    /// Has the kernel give memory for elements of these numbers. Any thread may ask for it.
    public func populate(_ numbers: Range<Int>) { memory.populate(numbers) }

    /// Gives back a number that readers can no longer come upon, though some may still be looking at its element.
    public func retire(_ number: UInt32) { limbo.append(number) }

    /// Makes the numbers that all readers have let go free.
    private func reclaim() {
        limbo.release { number in
            free.append(number)
            inUse -= 1
        }
    }
}

/// The kernel did not reserve a table's address range.
public struct SlabError: Error, CustomStringConvertible {
    /// How much was asked for.
    public let bytes: Int
    /// Says what to do.
    public var description: String {
        "no address space for a table of \(bytes / 1_048_576) MiB: lower the limit of bindings, or raise the memory limit"
    }
}
