// Error replies as Swift errors: what a handler throws or returns, and what a client's caller catches.

import Bindings

extension ControlError: Error, CustomStringConvertible {
    /// An error reply.
    /// - Parameters:
    ///   - message: what is wrong, where, and what to do.
    ///   - binding: the id of the binding it concerns. One that is no id (too long) is cut.
    ///   - taken: packets of an `Inject` that were taken before the one it concerns.
    public init(_ code: Code, _ message: String, binding: String = "", taken: Int = 0) {
        self.init()
        self.code = code
        self.message = message
        self.binding = String(binding.unicodeScalars.prefix(BindingLimits.idLength))
        self.taken = UInt32(taken)
    }

    /// The message; where there is none, the code.
    public var description: String { message.isEmpty ? "error \(code)" : message }
}
