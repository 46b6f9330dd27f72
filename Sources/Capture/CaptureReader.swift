// Reads pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), told apart by their first four bytes, one
// frame at a time in memory that does not grow with the file.
//
// This is no shim over libpcap, because libpcap refuses a pcapng file whose interfaces differ in link type or snapshot
// length, which Wireshark writes, keeps as many interfaces as a hostile file names, and does not say where a file is
// damaged.

/// A captured frame. Its bytes are the reader's, valid until it reads on.
public struct CapturedFrame {
    /// Nanoseconds since 1970.
    public let time: UInt64
    /// What was captured of the frame.
    public let bytes: UnsafeRawBufferPointer
    /// Bytes of the frame as it was on the wire.
    public let originalLength: Int
    /// What the frame begins with.
    public let linkLayer: LinkLayer

    /// Whether the capture has only the beginning of the frame.
    public var isCut: Bool { originalLength > bytes.count }
}

/// A capture file that is read.
public final class CaptureReader {
    /// Bytes of the largest frame; tcpdump and Wireshark have the same limit.
    public static let frameLimit = 262_144
    /// The last moment that a pcap file can name, in nanoseconds since 1970.
    public static let timeLimit = UInt64(UInt32.max) * 1_000_000_000 + 999_999_999

    /// The kind of a file and what it says of itself.
    private enum Format {
        case pcap(PcapFormat)
        case pcapng(PcapngFormat)
    }

    /// Frames that were read.
    public private(set) var frameCount = 0
    private let stream: CaptureStream
    private var format: Format

    /// Opens a file and reads its header.
    /// - Throws: where it can't be read, is no capture, or is of a link type that is not supported.
    public init(path: String) throws(CaptureError) {
        stream = try CaptureStream(path: path)
        let magic = try stream.peek(4)
        if magic.isEmpty { throw CaptureError("\(path): is empty, which no capture is") }
        if let pcap = try PcapFormat(magic, stream) {
            format = .pcap(pcap)
        } else if let pcapng = PcapngFormat(magic) {
            format = .pcapng(pcapng)
        } else if magic.starts(with: [0x1F, 0x8B]) {
            throw CaptureError("\(path): is compressed: use gunzip(1) first")
        } else {
            throw CaptureError("\(path): is neither pcap nor pcapng")
        }
    }

    /// Whether its times may be finer than microseconds.
    public var hasNanoseconds: Bool {
        switch format {
        case .pcap(let pcap): pcap.hasNanoseconds
        case .pcapng: true
        }
    }

    /// How much of the file was read, 0 to 1; 0 where nobody knows how long it is.
    public var progress: Double { stream.size == 0 ? 0 : min(1, Double(stream.offset) / Double(stream.size)) }

    /// The next frame; nil at the end of the file.
    /// - Throws: where the file is damaged; the error names the byte.
    public func next() throws(CaptureError) -> CapturedFrame? {
        let frame: CapturedFrame?
        switch format {
        case .pcap(let pcap):
            frame = try pcap.next(stream)
        case .pcapng(var pcapng):
            // Handed over and back, so that the list of interfaces is not copied.
            format = .pcap(.none)
            defer { format = .pcapng(pcapng) }
            frame = try pcapng.next(stream)
        }
        if frame != nil { frameCount += 1 }
        return frame
    }
}

extension LinkLayer {
    /// The link layer of a number, which must be known.
    init(known linkType: UInt32, in stream: CaptureStream) throws(CaptureError) {
        guard let layer = LinkLayer(linkType: linkType) else {
            throw CaptureError("\(stream.path): link type \(linkType) can't be read; these can: \(Self.supported)")
        }
        self = layer
    }
}

extension CaptureStream {
    /// Refuses frames larger than any that is captured.
    func check(length: Int) throws(CaptureError) {
        guard length <= CaptureReader.frameLimit else {
            throw failure("a packet of \(length) bytes; \(CaptureReader.frameLimit) are possible")
        }
    }
}
