// Identifications of IPv4 packets that are made here (RFC 6864, 4.3: not the same twice to one destination while fragments
// of the first may live). Each destination counts by itself, so that what others get does not use its numbers up. There
// is no room for a counter each: addresses share counters by a hash, which leaves gaps and repeats nothing. Of several
// workers each has its own numbers, a half, a quarter, an eighth or a sixteenth of all, one behind the other: so the kernel
// numbers the segments of a super-frame as it does, and stays among them.

import CPrefetch
import Wire

/// The next identification to each destination.
struct Identifications {
    private static var bits: UInt64 { 15 }

    private let counters: UnsafeMutablePointer<UInt16>
    private let factor: UInt64
    /// The lower bits of a number, which count, and the upper ones, which are the worker's.
    private let mask: UInt16
    private let base: UInt16

    /// - Parameter last: behind which all begin, so that what is made is the same each time; nil: each anywhere, and by a
    ///   hash of its own, so that nobody can tell them.
    /// - Parameter place: whose they are.
    init(behind last: UInt16?, of place: WorkerPlace) {
        let count = 1 << Int(Self.bits)
        let bits = UInt16.bitWidth - (Int.bitWidth - (place.count - 1).leadingZeroBitCount)
        mask = bits == UInt16.bitWidth ? .max : 1 << UInt16(bits) - 1
        base = UInt16(truncatingIfNeeded: place.index << bits)
        counters = .allocate(capacity: count)
        for index in 0..<count {
            (counters + index).initialize(to: last ?? .random(in: .min ... .max))
        }
        factor = last == nil ? .random(in: .min ... .max) | 1 : 0x9E37_79B9_7F4A_7C15
    }

    func deallocate() { counters.deallocate() }

    @inline(__always)
    func next(to destination: IPv4Address) -> UInt16 {
        let counter = counter(of: destination)
        counter.pointee &+= 1
        return base | counter.pointee & mask
    }

    /// Has the counter of a destination fetched.
    @inline(__always)
    func prefetch(to destination: IPv4Address) { CPrefetch_line(counter(of: destination)) }

    /// Has the next `count` come one behind the other, as far as there are so many.
    func prepare(run count: Int, to destination: IPv4Address) {
        // All numbers there are go on behind the last with the first, here as in the kernel.
        guard mask != .max else { return }
        let counter = counter(of: destination)
        if Int((counter.pointee &+ 1) & mask) + count > Int(mask) + 1 { counter.pointee |= mask }
    }

    /// Leaves out the next `count`.
    func skip(_ count: Int, to destination: IPv4Address) {
        counter(of: destination).pointee &+= UInt16(truncatingIfNeeded: count)
    }

    @inline(__always)
    private func counter(of destination: IPv4Address) -> UnsafeMutablePointer<UInt16> {
        counters + Int(truncatingIfNeeded: (UInt64(destination.rawValue) &* factor) &>> (64 &- Self.bits))
    }
}
