// The shape of Tests/Vectors/wire.json, whose packets scapy encoded.

import TestSupport
import Testing
import Wire

struct WireVectors: Decodable {
    struct IPv4Packet: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let packet: Hex
        let behind: Hex
        let headerLength: Int
        let totalLength: Int
        let trafficClass: UInt8
        let identification: UInt16
        let dontFragment: Bool
        let isFragment: Bool
        let timeToLive: UInt8
        let `protocol`: UInt8
        let source: String
        let destination: String
        let checksum: UInt16

        var testDescription: String { name }
    }

    struct IPv6Packet: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let packet: Hex
        let behind: Hex
        let trafficClass: UInt8
        let flowLabel: UInt32
        let payloadLength: UInt16
        let nextHeader: UInt8
        let hopLimit: UInt8
        let source: Hex
        let destination: Hex

        var testDescription: String { name }
    }

    struct Chain: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let packet: Hex
        let `protocol`: UInt8
        let offset: Int
        let isLaterFragment: Bool
        let isTooLong: Bool

        var testDescription: String { name }
    }

    struct UDPDatagram: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let packet: Hex
        let behind: Hex
        let sourcePort: UInt16
        let destinationPort: UInt16
        let length: Int
        let checksum: UInt16

        var testDescription: String { name }
    }

    struct UDPPacketInFragments: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let payload: Hex
        let sourcePort: UInt16
        let destinationPort: UInt16
        let timeToLive: UInt8
        let identification: UInt16
        let mtu: Int
        let fragments: [Hex]

        var testDescription: String { name }
    }

    struct ICMPv4Message: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let packet: Hex
        let type: UInt8
        let code: UInt8
        let checksum: UInt16

        var testDescription: String { name }
    }

    struct ICMPv6Packet: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let packet: Hex
        let type: UInt8
        let code: UInt8
        let forbidsErrors: Bool

        var testDescription: String { name }
    }

    struct Checksum: Decodable, Sendable {
        let bytes: Hex
        let checksum: UInt16
    }

    let ipv4: [IPv4Packet]
    let ipv6: [IPv6Packet]
    let chains: [Chain]
    let udp: [UDPDatagram]
    let udpPackets: [UDPPacketInFragments]
    let icmpv4: [ICMPv4Message]
    let icmpv6: [ICMPv6Packet]
    let checksums: [Checksum]

    static let all: WireVectors = Vectors.load("wire")
}

extension IPv6Address {
    /// From its 16 bytes, by shifts alone.
    init(bytes: [UInt8]) {
        precondition(bytes.count == 16)
        self.init(
            high: bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }, low: bytes[8...].reduce(0) { $0 << 8 | UInt64($1) })
    }
}

/// What a view's initialiser threw; nil where it accepted the bytes.
func reason(_ body: () throws(DropReason) -> Void) -> DropReason? {
    do {
        try body()
        return nil
    } catch {
        return error
    }
}
