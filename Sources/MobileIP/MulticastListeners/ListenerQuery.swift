// Queries of version 2 (RFC 3810, 5.1), which hosts of version 1 understand, too: the first 24 bytes are theirs.
//
//     IPv6, hop limit 1 | hop-by-hop: router alert, padding | type 130 | code 0 | checksum
//     maximum response code | reserved | group, :: in a general query | S, QRV | QQIC | number of sources: 0

import Wire

/// A query about one group, or about all.
struct ListenerQuery {
    /// Nil for all.
    var group: IPv6Address?
    /// Of this end of the link.
    var source: IPv6Address
    /// For the answer, in milliseconds below 32768, which stand for themselves.
    var maximumResponse: UInt16
    /// Whether other routers are not to end the group for it (the S flag).
    var suppressesProcessing = false
    /// 2 to 7.
    var robustness: UInt8
    /// In seconds.
    var queryInterval: UInt64

    private static let optionsLength = 8
    private static let messageLength = 28

    /// The packet.
    var packet: [UInt8] {
        let length = IPv6.headerLength + Self.optionsLength + Self.messageLength
        let destination = group ?? IPv6Address(high: 0xFF02 << 48, low: 1)
        return [UInt8](unsafeUninitializedCapacity: length) { bytes, count in
            let start = UnsafeMutableRawPointer(bytes.baseAddress!)
            var header = IPv6Header(nextHeader: 0, source: source, destination: destination)
            header.hopLimit = 1
            header.payloadLength = UInt16(Self.optionsLength + Self.messageLength)
            header.write(to: start)
            let options = start + IPv6.headerLength
            options.storeByte(IPProtocol.icmpv6, at: 0)
            options.storeByte(0, at: 1)
            // Router alert of value 0 (RFC 2711, 2.1), and two bytes of padding.
            options.storeNetwork(UInt32(0x0502_0000), at: 2)
            options.storeNetwork(UInt16(0x0100), at: 6)
            let message = options + Self.optionsLength
            message.storeByte(ICMPv6.listenerQuery, at: ICMPv6.Offset.type)
            message.storeByte(0, at: ICMPv6.Offset.code)
            message.storeNetwork(UInt16(0), at: ICMPv6.Offset.checksum)
            message.storeNetwork(UInt32(maximumResponse) << 16, at: 4)
            message.store(group ?? .unspecified, at: 8)
            message.storeByte((suppressesProcessing ? 8 : 0) | robustness & 7, at: 24)
            message.storeByte(Self.intervalCode(queryInterval), at: 25)
            message.storeNetwork(UInt16(0), at: 26)
            var sum = InternetChecksum()
            sum.addPseudoHeader(
                source: source, destination: destination, length: UInt32(Self.messageLength),
                protocol: IPProtocol.icmpv6)
            sum.add(UnsafeRawBufferPointer(start: message, count: Self.messageLength))
            message.storeNetwork(sum.checksum, at: ICMPv6.Offset.checksum)
            count = length
        }
    }

    /// The querier's query interval code (RFC 3810, 5.1.9), the largest that is no more than the seconds: from 128 on
    /// four bits of mantissa below a leading one, and three of an exponent.
    static func intervalCode(_ seconds: UInt64) -> UInt8 {
        guard seconds >= 128 else { return UInt8(seconds) }
        precondition(seconds < 32768, "longer than the code can say")
        let exponent = UInt64(63 - seconds.leadingZeroBitCount) - 7
        let mantissa = seconds >> (exponent + 3) & 0xF
        return UInt8(0x80 | exponent << 4 | mantissa)
    }
}
