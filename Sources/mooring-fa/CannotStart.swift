// Why the program ends by itself.

import Glibc

/// Why it can't start, or go on; a sentence for people.
struct CannotStart: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    init(_ number: Int32, _ what: String, _ advice: String? = nil) {
        description = "can't \(what): \(String(cString: strerror(number)))" + (advice.map { "; \($0)" } ?? "")
    }
}
