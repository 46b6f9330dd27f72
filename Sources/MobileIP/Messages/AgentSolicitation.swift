// The Agent Solicitation (RFC 5944, 2.2): an ICMP Router Solicitation (RFC 1256, 3), sent with TTL 1.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------+---------------+-------------------------------+
//     |   Type, 10    |    Code, 0    |           Checksum            |
//     +---------------+---------------+-------------------------------+
//     |                           Reserved                            |
//     +---------------------------------------------------------------+

import Wire

/// A mobile node asks for advertisements. It says nothing but that.
public struct AgentSolicitation: Hashable, Sendable {
    /// Of ICMP.
    public static let type: UInt8 = 10
    /// In bytes.
    public static let length = 8

    /// A solicitation.
    public init() {}

    /// The ICMP message's bytes.
    public func write() -> [UInt8] {
        var writer = MessageWriter(capacity: Self.length)
        writer.write(Self.type)
        writer.write(UInt8(0))
        writer.write(UInt16(0))
        writer.write(UInt32(0))
        return ICMPMessage.withChecksum(writer.bytes)
    }

    /// Reads the payload of an IPv4 packet with protocol 1. What stands behind the eighth byte is ignored.
    /// - Throws: `icmpTruncated`, `icmpChecksum`, `icmpType`, `icmpCode`.
    public static func parse(_ bytes: [UInt8]) throws(MobileIPError) -> AgentSolicitation {
        var reader = try ICMPMessage.reader(of: bytes)
        guard reader.readUInt8() == type else { throw .icmpType }
        guard reader.readUInt8() == 0 else { throw .icmpCode }
        return AgentSolicitation()
    }
}

/// What the two messages of agent discovery have in common.
enum ICMPMessage {
    /// A reader of a message whose checksum is right, and that has a header.
    static func reader(of bytes: [UInt8]) throws(MobileIPError) -> MessageReader {
        guard bytes.count >= ICMPv4.headerLength else { throw .icmpTruncated }
        guard bytes.withUnsafeBytes({ InternetChecksum.verifies($0) }) else { throw .icmpChecksum }
        return MessageReader(bytes)
    }

    /// The message with the checksum where it belongs, which is zero before.
    static func withChecksum(_ message: [UInt8]) -> [UInt8] {
        var message = message
        message.withUnsafeMutableBytes { bytes in
            var sum = InternetChecksum()
            sum.add(UnsafeRawBufferPointer(bytes))
            bytes.storeBytes(of: sum.checksum.bigEndian, toByteOffset: ICMPv4.Offset.checksum, as: UInt16.self)
        }
        return message
    }
}
