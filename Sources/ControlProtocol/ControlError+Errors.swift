// Error replies as Swift errors: what a handler throws or returns, and what a client's caller catches.

import Bindings
import Wire

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

    /// The prefix that overlaps another binding's, a network in its mapped form; nil where that is not what is wrong.
    public var overlappingPrefix: IPv6Prefix? {
        get {
            guard hasOverlap, let address = IPv6Address(networkOrder: overlap.address) else { return nil }
            return IPv6Prefix(address: address, length: Int(overlap.length))
        }
        set {
            guard let newValue else { return clearOverlap() }
            overlap = .with {
                $0.address = newValue.address.networkOrder
                $0.length = UInt32(newValue.length)
            }
        }
    }

    /// The message; where there is none, the code.
    public var description: String { message.isEmpty ? "error \(code)" : message }
}
