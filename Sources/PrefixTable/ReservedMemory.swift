// Address space for as many elements as there may ever be. The kernel gives memory only for what is touched, so that
// nothing ever moves.

import Glibc

/// Room for `capacity` elements, all bytes zero; nothing is initialised or taken apart here.
public final class ReservedMemory<Element: ~Copyable> {
    /// Element 0.
    public let base: UnsafeMutablePointer<Element>
    /// How many elements have room.
    public let capacity: Int

    private let byteCount: Int

    /// Room for elements.
    /// - Throws: `SlabError` where the address range can't be reserved.
    public init(capacity: Int) throws(SlabError) {
        precondition(capacity > 0, "there is room for one element at least")
        let bytes = capacity * MemoryLayout<Element>.stride
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else {
            throw SlabError(bytes: bytes)
        }
        // Fewer pages to find in the TLB, where so much may be used that whole ones are; a kernel without them refuses.
        if bytes >= 64 << 20 { _ = madvise(memory, bytes, MADV_HUGEPAGE) }
        base = memory.bindMemory(to: Element.self, capacity: capacity)
        self.capacity = capacity
        byteCount = bytes
    }

    /// Room without which nothing can go on. What is given back goes to the kernel, where a heap would keep it.
    /// - Parameter purpose: said where the kernel has no address space.
    public convenience init(capacity: Int, for purpose: String) {
        do { try self.init(capacity: capacity) } catch { fatalError("\(purpose): \(error)") }
    }

    deinit { munmap(base, byteCount) }
}
