// Packets towards a tunnel that may be joined, and what the kernel cuts of super-frames in one.

import TestSupport
import Wire

/// Packets that are joined, and super-frames in tunnels.
enum TunnelledFrame {
    /// What the kernel makes of a super-frame with outer headers before it: the segments, each with those headers and what
    /// differs in them from one to the next.
    static func cut(
        _ packet: [UInt8], outer: Int, isTCP: Bool, size: Int, transportOffset: Int
    ) -> [[UInt8]] {
        let inner = Array(packet[outer...])
        return inner.withUnsafeBytes { bytes -> [[UInt8]] in
            guard
                let frame = SuperFrameView(
                    bytes, isTCP: isTCP, segmentSize: size, transportOffset: transportOffset - outer)
            else { return [] }
            return (0..<frame.segmentCount).map { number in
                let segment = [UInt8](unsafeUninitializedCapacity: frame.headerLength + size) { target, count in
                    count = frame.writeSegment(
                        at: number * size, size: size, to: UnsafeMutableRawPointer(target.baseAddress!))
                }
                var result = Array(packet[..<outer]) + segment
                let first = Int(packet[4]) << 8 | Int(packet[5])
                result.replaceSubrange(2..<4, with: [UInt8(result.count >> 8), UInt8(result.count & 0xFF)])
                result.replaceSubrange(
                    4..<6, with: [UInt8((first + number) >> 8 & 0xFF), UInt8((first + number) & 0xFF)])
                PacketMutation.mendIPv4Checksum(&result)
                return result
            }
        }
    }

    /// A datagram as it comes from the home side.
    static func datagram(
        _ number: Int, size: Int = 100, version: Int = 6, port: UInt16 = 5201, mayBeFragmented: Bool = false,
        host: UInt8 = 1, from source: IPv4Address = IPv4Address("192.0.2.200")!
    ) -> [UInt8] {
        let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number) }
        let length = UInt16(8 + size)
        var udp = [port, 40_000, length, 0].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } + payload
        var header: [UInt8]
        if version == 6 {
            header = [0x62, 0xA1, 0x23, 0x45, UInt8(length >> 8), UInt8(length & 0xFF), 17, 63]
            header += [0x20, 1, 0xD, 0xB8, 0xCC, 0xCC, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]
            header += [0x20, 1, 0xD, 0xB8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]
        } else {
            let total = length + 20
            header = [0x45, 0x2A, UInt8(total >> 8), UInt8(total & 0xFF), UInt8(number >> 8), UInt8(number & 0xFF)]
            header += [mayBeFragmented ? 0 : 0x40, 0, 63, 17, 0, 0]
            header += (0..<4).map { UInt8(source.rawValue >> (24 - 8 * UInt32($0)) & 0xFF) } + [198, 51, 100, 7]
            PacketMutation.mendIPv4Checksum(&header)
        }
        let addresses = header[(version == 6 ? 8 : 12)...]
        let sum = ~PacketMutation.onesComplementSum(
            (Array(addresses) + [UInt8(length >> 8), UInt8(length & 0xFF), 0, 17] + udp)[...])
        let checksum = sum == 0 ? 0xFFFF : sum
        (udp[6], udp[7]) = (UInt8(checksum >> 8), UInt8(checksum & 0xFF))
        return header + udp
    }
}
