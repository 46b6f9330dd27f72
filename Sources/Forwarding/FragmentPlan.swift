// How an IPv4 packet is cut into fragments (RFC 791, 3.2): each has the packet's header, with its own length and offset;
// options that are not to be copied stand in the first alone. The payload is cut at multiples of eight bytes.

import Wire

/// The fragments of one packet, from the first to the last.
struct FragmentPlan {
    /// Bytes that a plan needs beside the packet.
    static let workspace = 2 * IPv4.maximumHeaderLength

    /// A fragment to be made.
    struct Piece {
        /// Where its payload begins in the packet's, in bytes.
        let offset: Int
        /// Of its header, in bytes.
        let headerLength: Int
        /// Of its payload, in bytes.
        let payloadLength: Int
        let isLast: Bool

        var length: Int { headerLength + payloadLength }
    }

    private let packet: UnsafeMutableRawPointer
    private let headers: UnsafeMutableRawPointer
    private let headerLength: Int
    private let laterHeaderLength: Int
    private let payloadLength: Int
    private let limit: Int
    private var offset = 0

    /// The fragments of at most `limit` bytes of a packet whose header was checked.
    /// - Parameter workspace: of so many bytes, for as long as the plan is used.
    init(
        _ packet: UnsafeMutableRawPointer, length: Int, limit: Int, workspace: UnsafeMutableRawPointer
    ) {
        self.packet = packet
        self.limit = limit
        headers = workspace
        headerLength = Int(UnsafeRawPointer(packet).byte(0) & 0xF) * 4
        payloadLength = length - headerLength
        headers.copyMemory(from: packet, byteCount: headerLength)
        laterHeaderLength = Self.writeLaterHeader(
            of: UnsafeRawBufferPointer(start: packet, count: headerLength), to: headers + IPv4.maximumHeaderLength)
    }

    /// How many fragments there are at the most, whatever the options.
    static func largestCount(length: Int, limit: Int) -> Int {
        let least = (limit - IPv4.maximumHeaderLength) & ~7
        return (length + least - 1) / least
    }

    /// - Returns: nil behind the last.
    mutating func next() -> Piece? {
        guard offset < payloadLength else { return nil }
        let headerLength = offset == 0 ? headerLength : laterHeaderLength
        let rest = payloadLength - offset
        let room = limit - headerLength
        let isLast = rest <= room
        let piece = Piece(
            offset: offset, headerLength: headerLength, payloadLength: isLast ? rest : room & ~7, isLast: isLast)
        offset += piece.payloadLength
        return piece
    }

    /// Writes a fragment to its own memory, or the last one to where its payload lies.
    /// - Parameter start: of the memory; nil for the last.
    /// - Returns: where the fragment begins.
    func write(_ piece: Piece, to start: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer {
        let payload = packet + headerLength + piece.offset
        let start = start ?? payload - piece.headerLength
        let header = piece.offset == 0 ? headers : headers + IPv4.maximumHeaderLength
        let field = UnsafeRawPointer(headers).networkUInt16(at: IPv4.Offset.fragment)
        if start + piece.headerLength != payload {
            (start + piece.headerLength).copyMemory(from: payload, byteCount: piece.payloadLength)
        }
        start.copyMemory(from: header, byteCount: piece.headerLength)
        start.storeNetwork(UInt16(piece.length), at: IPv4.Offset.totalLength)
        let more = piece.isLast ? field & IPv4.moreFragments : IPv4.moreFragments
        start.storeNetwork(
            field & ~(IPv4.moreFragments | 0x1FFF) | more | ((field & 0x1FFF) &+ UInt16(piece.offset / 8)),
            at: IPv4.Offset.fragment)
        IPv4Header.writeChecksum(at: start, headerLength: piece.headerLength)
        return start
    }

    /// Writes the header of fragments behind the first: of the options, those whose copied flag is set.
    /// - Returns: its length.
    private static func writeLaterHeader(
        of header: UnsafeRawBufferPointer, to start: UnsafeMutableRawPointer
    ) -> Int {
        let length = IPv4.minimumHeaderLength
        start.copyMemory(from: header.baseAddress!, byteCount: length)
        var written = length
        var position = length
        while position < header.count, header[position] != 0 {
            if header[position] == 1 {
                position += 1
                continue
            }
            // What is malformed is not copied, nor what stands behind it.
            guard position + 1 < header.count, header[position + 1] >= 2,
                position + Int(header[position + 1]) <= header.count
            else { break }
            let count = Int(header[position + 1])
            if header[position] & 0x80 != 0 {
                (start + written).copyMemory(from: header.baseAddress! + position, byteCount: count)
                written += count
            }
            position += count
        }
        while written % 4 != 0 {
            start.storeByte(0, at: written)
            written += 1
        }
        start.storeByte(0x40 | UInt8(written / 4), at: 0)
        return written
    }
}
