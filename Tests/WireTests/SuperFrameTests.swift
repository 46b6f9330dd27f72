// Super-frames against segments that scapy encoded, and virtio headers against those that Python packed.

import TestSupport
import Testing
import Wire

@Suite("Super-frames")
struct SuperFrameTests {
    private static let vectors = SuperFrameVectors.all

    private func withView<Result>(
        _ bytes: [UInt8], isTCP: Bool, size: Int, offset: Int, _ body: (SuperFrameView?) -> Result
    ) -> Result {
        bytes.withUnsafeBytes { body(SuperFrameView($0, isTCP: isTCP, segmentSize: size, transportOffset: offset)) }
    }

    @Test("Each segment has the bytes that scapy gives it", arguments: vectors.cases)
    func segments(_ vector: SuperFrameVectors.Case) throws {
        let size = Int(vector.segmentSize)
        let segments = withView(
            vector.frame.bytes, isTCP: vector.kind != SegmentKind.udp.rawValue, size: size,
            offset: Int(vector.transportOffset)
        ) { view -> [[UInt8]]? in
            guard let view else { return nil }
            return (0..<view.segmentCount).map { number in
                [UInt8](unsafeUninitializedCapacity: view.headerLength + size) { target, count in
                    count = view.writeSegment(
                        at: number * size, size: size, to: UnsafeMutableRawPointer(target.baseAddress!))
                }
            }
        }
        #expect(segments?.count == vector.segments.count)
        #expect(segments == vector.segments.map(\.bytes))
    }

    @Test("One whose headers do not lie inside, or that has no payload, is none")
    func malformed() {
        let vector = SuperFrameVectors.named("TCP over IPv6, the last shorter")
        let bytes = vector.frame.bytes
        func isFrame(_ bytes: [UInt8], isTCP: Bool = true, size: Int = 1208, offset: Int = 40) -> Bool {
            withView(bytes, isTCP: isTCP, size: size, offset: offset) { $0 != nil }
        }
        #expect(isFrame(bytes))
        #expect(!isFrame(bytes, size: 0))
        #expect(!isFrame(bytes, offset: 39), "within the header of IPv6")
        #expect(!isFrame(bytes, offset: bytes.count - 20))
        #expect(!isFrame(bytes, offset: bytes.count))
        #expect(!isFrame(Array(bytes[..<72])), "headers of 72 bytes, and nothing behind")
        #expect(isFrame(Array(bytes[..<73])))
        #expect(!isFrame([]))
        var short = bytes
        short[52] = 0x40
        #expect(!isFrame(short), "a TCP header of 16 bytes")
        #expect(!isFrame(bytes + [UInt8](repeating: 0, count: 65_536 - bytes.count)), "more than a packet can have")
        #expect(isFrame(Array(bytes[..<49]), isTCP: false))
        #expect(!isFrame(Array(bytes[..<48]), isTCP: false))
    }

    @Test("Virtio headers have the bytes that Python packs", arguments: vectors.headers.indices)
    func headers(_ index: Int) throws {
        let vector = Self.vectors.headers[index]
        let kind = try #require(SegmentKind(rawValue: vector.kind))
        let header = VirtioNetHeader(kind, segmentSize: vector.segmentSize, transportOffset: vector.transportOffset)
        var bytes = [UInt8](repeating: 0xFF, count: VirtioNetHeader.length)
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!, headerLength: vector.headerLength) }
        #expect(bytes == vector.header.bytes)
        bytes.withUnsafeBytes {
            #expect(VirtioNetHeader(at: $0.baseAddress!) == header)
            #expect(!VirtioNetHeader.isPlain(at: $0.baseAddress!))
        }
        // What the window's reduction adds.
        bytes.withUnsafeMutableBytes { header.write(to: $0.baseAddress!, headerLength: 0, reducesWindow: true) }
        #expect(bytes[1] == vector.kind | 0x80)
        bytes.withUnsafeBytes { #expect(VirtioNetHeader(at: $0.baseAddress!) == header) }
    }

    @Test("A header of one packet is told from others, and kinds that nobody asked for are none")
    func plain() {
        func read(_ change: (inout [UInt8]) -> Void) -> (isPlain: Bool, header: VirtioNetHeader?) {
            var bytes = [UInt8](repeating: 0, count: 16)
            change(&bytes)
            return bytes.withUnsafeBytes {
                (VirtioNetHeader.isPlain(at: $0.baseAddress!), VirtioNetHeader(at: $0.baseAddress!))
            }
        }
        #expect(read { _ in }.isPlain)
        // VIRTIO_NET_HDR_F_DATA_VALID: the checksum was verified, which is no business of a forwarder's.
        #expect(read { $0[0] = 2 }.isPlain)
        #expect(!read { $0[0] = 1 }.isPlain)
        #expect(!read { $0[1] = 1 }.isPlain)
        #expect(!read { $0[1] = 0x80 }.isPlain)
        // VIRTIO_NET_HDR_GSO_UDP is fragmentation, long given up.
        #expect(read { $0[1] = 3 }.header == nil)
        var written = [UInt8](repeating: 0xFF, count: 16)
        written.withUnsafeMutableBytes { VirtioNetHeader.writePlain(to: $0.baseAddress!) }
        #expect(written == [UInt8](repeating: 0, count: 16))
    }

    @Test("A checksum that was left to be made is made", arguments: vectors.cases.filter { $0.segments.count > 1 })
    func completes(_ vector: SuperFrameVectors.Case) throws {
        // The first segment, as the kernel hands over one packet: the sum of its pseudo-header in the checksum's place.
        let (expected, start) = (vector.segments[0].bytes, Int(vector.transportOffset))
        let isUDP = vector.kind == SegmentKind.udp.rawValue
        let offset = isUDP ? 6 : 16
        let whole = vector.frame.bytes
        var bytes = expected
        // From the sum with the length of all that with its own.
        var sum = UInt32(whole[start + offset]) << 8 | UInt32(whole[start + offset + 1])
        sum += UInt32(0xFFFF - (whole.count - start)) + UInt32(bytes.count - start)
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
        bytes[start + offset] = UInt8(sum >> 8)
        bytes[start + offset + 1] = UInt8(sum & 0xFF)
        bytes.withUnsafeMutableBytes {
            InternetChecksum.complete(UnsafeMutableRawBufferPointer(rebasing: $0[start...]), at: offset, isUDP: isUDP)
        }
        #expect(bytes == expected)
    }

    @Test("Bytes are copied while they are summed", arguments: Array(0...70) + [1_448, 65_000])
    func copies(_ count: Int) {
        var random = SeededGenerator(seed: UInt64(count))
        let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        var expected = InternetChecksum()
        bytes.withUnsafeBytes { expected.add($0) }
        var sum = InternetChecksum()
        var target = [UInt8](repeating: 0xEE, count: count + 1)
        bytes.withUnsafeBytes { source in
            target.withUnsafeMutableBytes { target in
                guard let source = source.baseAddress, let target = target.baseAddress else { return }
                sum.copy(source, to: target, count: count)
            }
        }
        #expect(sum.folded == expected.folded)
        #expect(target == bytes + [0xEE])
    }
}
