// Classic pcap: a header for the file, in the byte order of the host that wrote it, and one for each packet.

/// A classic pcap file.
struct PcapFormat {
    let numbers: FileNumbers
    let hasNanoseconds: Bool
    let linkLayer: LinkLayer

    /// Of no file.
    static let none = PcapFormat(numbers: FileNumbers(isSwapped: false), hasNanoseconds: false, linkLayer: .raw)

    private init(numbers: FileNumbers, hasNanoseconds: Bool, linkLayer: LinkLayer) {
        (self.numbers, self.hasNanoseconds, self.linkLayer) = (numbers, hasNanoseconds, linkLayer)
    }

    /// Reads the file header; nil where `magic` is another.
    init?(_ magic: UnsafeRawBufferPointer, _ stream: CaptureStream) throws(CaptureError) {
        guard magic.count == 4 else { return nil }
        switch magic.loadUnaligned(as: UInt32.self) {
        case 0xA1B2_C3D4: (numbers, hasNanoseconds) = (FileNumbers(isSwapped: false), false)
        case 0xD4C3_B2A1: (numbers, hasNanoseconds) = (FileNumbers(isSwapped: true), false)
        case 0xA1B2_3C4D: (numbers, hasNanoseconds) = (FileNumbers(isSwapped: false), true)
        case 0x4D3C_B2A1: (numbers, hasNanoseconds) = (FileNumbers(isSwapped: true), true)
        default: return nil
        }
        let header = try stream.take(24, "the file header")
        let major = numbers.uint16(header, at: 4)
        guard major == 2 else { throw stream.failure("version \(major) of pcap is not known") }
        // The upper bits tell how long a frame check sequence is; IP packets know their length without.
        let linkType = numbers.uint32(header, at: 20) & 0x03FF_FFFF
        linkLayer = try LinkLayer(known: linkType, in: stream)
    }

    func next(_ stream: CaptureStream) throws(CaptureError) -> CapturedFrame? {
        guard try !stream.peek(1).isEmpty else { return nil }
        let header = try stream.take(16, "the header of a packet")
        let (seconds, fraction) = (numbers.uint32(header, at: 0), numbers.uint32(header, at: 4))
        let (length, originalLength) = (Int(numbers.uint32(header, at: 8)), Int(numbers.uint32(header, at: 12)))
        // A fraction of more than a second is carried over, as other readers do.
        let time = UInt64(seconds) * 1_000_000_000 + UInt64(fraction) * (hasNanoseconds ? 1 : 1000)
        guard time <= CaptureReader.timeLimit else { throw stream.failure("a packet of a time later than 2106") }
        try stream.check(length: length)
        return CapturedFrame(
            time: time, bytes: try stream.take(length, "a packet"), originalLength: originalLength,
            linkLayer: linkLayer)
    }
}
