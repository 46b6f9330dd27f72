// What came of the other end, and who closes its descriptors.

import Glibc

/// A message with what came with it.
public struct ReceivedMessage: Sendable {
    /// The message.
    public let message: SuccessionMessage
    /// Its descriptors.
    public let descriptors: ReceivedDescriptors
}

/// Descriptors that were received. Those that nobody takes are closed.
public final class ReceivedDescriptors: @unchecked Sendable {
    /// All that are left.
    private var descriptors: [CInt]

    init(_ descriptors: [CInt]) { self.descriptors = descriptors }

    deinit { for descriptor in descriptors { close(descriptor) } }

    /// How many are left.
    public var count: Int { descriptors.count }

    /// Takes the first of those that are left, which the caller owns from now on. There must be one.
    public func takeNext() -> CInt { descriptors.removeFirst() }
}
