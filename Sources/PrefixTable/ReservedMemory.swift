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
        // Fewer pages to find in the TLB, once so much is used that whole ones are; a kernel without them refuses. Who uses
        // little takes memory by small pages.
        let hugePage = 2 << 20
        let start = (Int(bitPattern: memory) + 2 * hugePage - 1) / hugePage * hugePage - Int(bitPattern: memory)
        if bytes >= start + hugePage { _ = madvise(memory + start, bytes - start, MADV_HUGEPAGE) }
        base = memory.bindMemory(to: Element.self, capacity: capacity)
        self.capacity = capacity
        byteCount = bytes
    }

    /// Room without which nothing can go on. What is given back goes to the kernel, where a heap would keep it.
    /// - Parameter purpose: said where the kernel has no address space.
    public convenience init(capacity: Int, for purpose: String) {
        do { try self.init(capacity: capacity) } catch { fatalError("\(purpose): \(error)") }
    }

    /// Has the kernel give memory for some elements before they are touched. Any thread may ask for it, whatever others do
    /// with the elements. A kernel before 5.14 does not know how, and gives it as they are touched.
    public func populate(_ elements: Range<Int>) {
        // MADV_POPULATE_WRITE, which Glibc's headers lack.
        let populateForWriting: CInt = 23
        let page = Int(sysconf(CInt(_SC_PAGESIZE)))
        let stride = MemoryLayout<Element>.stride
        let start = elements.lowerBound * stride / page * page
        let end = min(elements.upperBound * stride, byteCount)
        guard start < end else { return }
        _ = madvise(UnsafeMutableRawPointer(base) + start, end - start, populateForWriting)
    }

    deinit { munmap(base, byteCount) }
}
