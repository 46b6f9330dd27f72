// What a device with virtio headers says of a packet beside its bytes. From here on a packet is as on a wire, with its
// checksum, or a super-frame that says so.

import PacketBuffer
import Wire

extension Packet {
    /// Does what the header before a packet asks for.
    /// - Parameter header: its length, in bytes.
    /// - Returns: false where it can't be: it is not as the kernel writes it.
    @inlinable @inline(__always)
    mutating func takeVirtioNetHeader(_ header: Int) -> Bool {
        VirtioNetHeader.isPlain(at: UnsafeRawPointer(start) - header) || takeOffloads(header)
    }

    @usableFromInline @inline(never)
    mutating func takeOffloads(_ headerLength: Int) -> Bool {
        guard let header = VirtioNetHeader(at: UnsafeRawPointer(start) - headerLength),
            let checksumStart = header.checksumStart.map(Int.init)
        else { return false }
        if let kind = header.segmentKind {
            guard
                let view = SuperFrameView(
                    bytes, isTCP: kind != .udp, segmentSize: Int(header.segmentSize), transportOffset: checksumStart)
            else { return false }
            let count = view.segmentCount
            if count > 1 {
                segmentKind = kind.rawValue
                transportOffset = UInt16(truncatingIfNeeded: checksumStart)
                segmentSize = header.segmentSize
                segmentCount = UInt16(truncatingIfNeeded: count)
                return true
            }
        }
        let offset = Int(header.checksumOffset)
        guard checksumStart + offset + 2 <= length else { return false }
        InternetChecksum.complete(
            UnsafeMutableRawBufferPointer(start: start + checksumStart, count: length - checksumStart), at: offset,
            isUDP: offset == UDP.Offset.checksum)
        return true
    }

    /// Writes the header before a packet that is to be transmitted.
    @inlinable @inline(__always)
    func writeVirtioNetHeader() {
        let header = start - VirtioNetHeader.length
        if isSuperFrame { writeSuperFrameHeader(to: header) } else { VirtioNetHeader.writePlain(to: header) }
    }

    @usableFromInline @inline(never)
    func writeSuperFrameHeader(to target: UnsafeMutableRawPointer) {
        guard let kind = SegmentKind(rawValue: segmentKind) else { preconditionFailure("a super-frame has a kind") }
        let transport = UnsafeRawPointer(start) + Int(transportOffset)
        let isTCP = kind != .udp
        let length = TransportHeader.length(at: transport, isTCP: isTCP)
        let reducesWindow = isTCP && transport.byte(TCP.Offset.flags) & TCP.Flag.congestionWindowReduced != 0
        VirtioNetHeader(kind, segmentSize: segmentSize, transportOffset: transportOffset)
            .write(
                to: target, headerLength: UInt16(truncatingIfNeeded: Int(transportOffset) + length),
                reducesWindow: reducesWindow)
    }
}
