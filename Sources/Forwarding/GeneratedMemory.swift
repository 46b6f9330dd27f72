// Memory for packets that the forwarder makes beside those that it was given: copies for the members of a group,
// fragments, datagrams put together. It is given out front to back and is free again as a whole, when no packet is in
// flight: nothing is freed singly, and nothing is searched.

import Glibc
import PacketBuffer

/// Memory that is given out from its front until it is cleared. Its pages are used only as far as it is filled.
struct GeneratedMemory: ~Copyable {
    private let base: UnsafeMutableRawPointer
    private let capacity: Int
    private var used = 0

    /// Room for at least so many packets of any size.
    init(packets: Int) {
        capacity = packets * Self.space(65_535)
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let memory = mmap(nil, capacity, PROT_READ | PROT_WRITE, flags, -1, 0), memory != MAP_FAILED else {
            preconditionFailure("no address space for packets that the forwarder makes")
        }
        base = memory
    }

    deinit { munmap(base, capacity) }

    private static func space(_ length: Int) -> Int { (PacketPool.headroom + length + 63) & ~63 }

    /// Whether packets fit that have so many bytes together.
    func hasRoom(for length: Int, packets: Int = 1) -> Bool {
        capacity - used >= length + packets * Self.space(63)
    }

    /// The start of a packet, with headroom before it; nil where no more fits.
    mutating func take(_ length: Int) -> UnsafeMutableRawPointer? {
        let space = Self.space(length)
        guard capacity - used >= space else { return nil }
        defer { used += space }
        return base + used + PacketPool.headroom
    }

    /// Frees all of it.
    mutating func clear() { used = 0 }
}
