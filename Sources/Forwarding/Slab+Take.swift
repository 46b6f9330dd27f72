// Elements for a writer that may have to wait for the readers.

import Glibc
import PrefixTable

/// A new element of a slab, for those who asked for room before.
func take<Element: ~Copyable>(
    from slab: Slab<Element>, _ initialize: (UnsafeMutablePointer<Element>) -> Void
) -> UInt32 {
    while true {
        if let number = slab.take() {
            initialize(slab.base + Int(number))
            return number
        }
        // Only retired numbers are left, and readers pass within one batch.
        sched_yield()
    }
}
