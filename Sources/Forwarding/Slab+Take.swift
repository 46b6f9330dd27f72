// Elements for a writer that may have to wait for the readers.

import Glibc
import PrefixTable

extension Slab where Element: ~Copyable {
    /// The number of a new element, for those who asked for room before.
    /// - Parameter initialize: makes it.
    func take(_ initialize: (UnsafeMutablePointer<Element>) -> Void) -> UInt32 {
        while true {
            if let number = take() {
                initialize(base + Int(number))
                return number
            }
            // Only retired numbers are left, and readers pass within one batch.
            sched_yield()
        }
    }
}
