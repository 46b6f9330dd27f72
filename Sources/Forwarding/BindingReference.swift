// What the tables that readers search hold for an address or a prefix.

import PrefixTable

/// A binding's record, and the tunnel by which its packets go.
struct BindingReference: BitwiseCopyable, Equatable {
    /// As tables hold it.
    let rawValue: UInt32

    @inline(__always)
    init(rawValue: UInt32) { self.rawValue = rawValue }

    /// - Parameter usesHomeAddress: whether packets go to the home address, and that packet to the care-of address.
    init(_ record: UInt32, usesHomeAddress: Bool) { rawValue = record << 1 | (usesHomeAddress ? 1 : 0) }

    /// In place of a reference: nothing is there.
    static let none = BindingReference(rawValue: PrefixTable.noValue)

    /// Nil where nothing is there.
    var ifAny: BindingReference? { self == .none ? nil : self }

    /// The number of the record, where there is one.
    @inline(__always)
    var record: Int { Int(truncatingIfNeeded: rawValue >> 1) }

    /// Whether packets go to the home address, and that packet to the care-of address (RFC 5454, 3.3.2).
    @inline(__always)
    var usesHomeAddress: Bool { rawValue & 1 != 0 }
}
