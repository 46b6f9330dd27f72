// The dynamic home agent extension (RFC 4433, 3.4). It has the long format though it may be skipped, so that to whoever
// does not know it, its subtype is its length. Here, too, one that is not of a known subtype with length 4 is skipped
// so.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+-------------------------------+
//     |   Type, 139   |   Sub-Type    |           Length, 4           |
//     +---------------+---------------+-------------------------------+
//     |                      Home Agent Address                       |
//     +---------------------------------------------------------------+

import Wire

/// A home agent that is asked for, or that is to be asked.
public struct DynamicHomeAgent: Hashable, Sendable {
    static let type: UInt8 = 139
    static let dataLength: UInt16 = 4
    /// Type, subtype and length included.
    static let length = 8

    /// Who says so; the subtype.
    public enum Role: UInt8, Hashable, Sendable {
        /// The mobile node wishes it.
        case requested = 1
        /// The home agent sends the mobile node there.
        case redirected = 2
    }

    /// Who says so.
    public var role: Role
    /// A unicast address.
    public var address: IPv4Address

    /// An extension with a home agent's address.
    public init(role: Role, address: IPv4Address) {
        self.role = role
        self.address = address
    }

    /// Reads what stands behind the type; nil where it is not of this format, with which the caller then begins anew.
    init?(reading reader: inout MessageReader) {
        guard reader.remaining >= Self.length - 1, let role = Role(rawValue: reader.readUInt8()),
            reader.readUInt16() == Self.dataLength
        else { return nil }
        self.role = role
        address = reader.readIPv4Address()
    }

    func write(to writer: inout MessageWriter) {
        writer.write(Self.type)
        writer.write(role.rawValue)
        writer.write(Self.dataLength)
        writer.write(address)
    }
}
