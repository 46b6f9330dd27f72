// pcapng: a sequence of blocks, each with its type, its length, a body and its length again. Sections (a header block
// each) have a byte order and interfaces of their own. Blocks that bear no packet are passed over.

/// A pcapng file, as far as it was read.
struct PcapngFormat {
    /// Interfaces that a section may have; each stands for the rest of the section, so there is a bound.
    static let interfaceLimit = 4096
    /// Bytes of an interface's block.
    static let interfaceBlockLimit = 65_536

    private enum Block {
        static let section: UInt32 = 0x0A0D_0D0A
        static let interface: UInt32 = 1
        /// Obsolete, still met.
        static let packet: UInt32 = 2
        static let simplePacket: UInt32 = 3
        static let enhancedPacket: UInt32 = 6
    }

    /// What the section says of an interface.
    private struct Interface {
        let linkLayer: LinkLayer
        let snapshotLength: Int
        var clock = InterfaceClock()
    }

    private var numbers = FileNumbers(isSwapped: false)
    private var interfaces: [Interface] = []
    /// Of the last packet: simple packets have no time of their own.
    private var time: UInt64 = 0

    /// Nil where `magic` is another's.
    init?(_ magic: UnsafeRawBufferPointer) {
        guard magic.count == 4, magic.loadUnaligned(as: UInt32.self) == Block.section else { return nil }
    }

    mutating func next(_ stream: CaptureStream) throws(CaptureError) -> CapturedFrame? {
        while try !stream.peek(1).isEmpty {
            // A section's type reads the same in both byte orders; which one it has stands behind the length.
            if numbers.uint32(try stream.peek(4, "a block"), at: 0) == Block.section { try beginSection(stream) }
            let header = try stream.take(8, "the header of a block")
            let (type, length) = (numbers.uint32(header, at: 0), Int(numbers.uint32(header, at: 4)))
            guard length >= 12, length.isMultiple(of: 4) else {
                throw stream.failure("a block of \(length) bytes, which can't be")
            }
            let body = length - 12
            switch type {
            case Block.interface:
                try addInterface(body, stream)
            case Block.packet, Block.simplePacket, Block.enhancedPacket:
                return try packet(type, body, stream)
            default:
                try stream.skip(body, "a block")
            }
            try end(length, stream)
        }
        return nil
    }

    private mutating func beginSection(_ stream: CaptureStream) throws(CaptureError) {
        let header = try stream.peek(16, "a section header")
        switch header.loadUnaligned(fromByteOffset: 8, as: UInt32.self) {
        case 0x1A2B_3C4D: numbers = FileNumbers(isSwapped: false)
        case 0x4D3C_2B1A: numbers = FileNumbers(isSwapped: true)
        default: throw stream.failure("a section without a byte order")
        }
        guard numbers.uint32(header, at: 4) >= 28 else {
            throw stream.failure("a section header of fewer than 28 bytes")
        }
        let major = numbers.uint16(header, at: 12)
        guard major == 1 else { throw stream.failure("version \(major) of pcapng is not known") }
        interfaces.removeAll(keepingCapacity: true)
    }

    /// Reads the length at a block's end.
    private func end(_ length: Int, _ stream: CaptureStream) throws(CaptureError) {
        let trailer = Int(numbers.uint32(try stream.take(4, "a block"), at: 0))
        guard trailer == length else {
            throw stream.failure("a block says \(length) bytes before and \(trailer) behind")
        }
    }

    private mutating func addInterface(_ length: Int, _ stream: CaptureStream) throws(CaptureError) {
        guard (8...Self.interfaceBlockLimit).contains(length) else {
            throw stream.failure("an interface of \(length) bytes, which can't be")
        }
        guard interfaces.count < Self.interfaceLimit else {
            throw stream.failure("more than \(Self.interfaceLimit) interfaces")
        }
        let body = try stream.take(length, "an interface")
        var interface = Interface(
            linkLayer: try LinkLayer(known: UInt32(numbers.uint16(body, at: 0)), in: stream),
            snapshotLength: Int(numbers.uint32(body, at: 4)))
        var offset = 8
        while offset + 4 <= length {
            let (code, size) = (numbers.uint16(body, at: offset), Int(numbers.uint16(body, at: offset + 2)))
            offset += 4
            guard code != 0 else { break }
            guard offset + size <= length else { throw stream.failure("an option of an interface is cut off") }
            switch (code, size) {
            case (9, 1): interface.clock.resolution = body[offset]
            case (14, 8): interface.clock.secondsAhead = numbers.int64(body, at: offset)
            default: break
            }
            offset += (size + 3) & ~3
        }
        interfaces.append(interface)
    }

    private mutating func packet(
        _ type: UInt32, _ body: Int, _ stream: CaptureStream
    ) throws(CaptureError) -> CapturedFrame {
        let isSimple = type == Block.simplePacket
        let headerLength = isSimple ? 4 : 20
        guard body >= headerLength else { throw stream.failure("a packet's block of \(body) bytes, which can't be") }
        let header = try stream.take(headerLength, "the header of a packet")
        var (number, length) = (0, 0)
        let originalLength = Int(numbers.uint32(header, at: isSimple ? 0 : 16))
        if !isSimple {
            number =
                type == Block.packet ? Int(numbers.uint16(header, at: 0)) : Int(numbers.uint32(header, at: 0))
            length = Int(numbers.uint32(header, at: 12))
        }
        guard number < interfaces.count else {
            throw stream.failure("a packet of interface \(number), where there are \(interfaces.count)")
        }
        let interface = interfaces[number]
        if isSimple {
            length = originalLength
            if interface.snapshotLength > 0 { length = min(length, interface.snapshotLength) }
        } else {
            let units = UInt64(numbers.uint32(header, at: 4)) << 32 | UInt64(numbers.uint32(header, at: 8))
            guard let time = interface.clock.nanoseconds(units) else {
                throw stream.failure("a packet of a time before 1970 or later than 2106")
            }
            self.time = time
        }
        try stream.check(length: length)
        // Read with what stands behind it, so that the frame stays valid when the block's end has been seen.
        let padded = (length + 3) & ~3
        guard padded <= body - headerLength else {
            throw stream.failure("a packet of \(length) bytes in a block that has \(body - headerLength) for it")
        }
        let options = body - headerLength - padded
        guard options <= 4092 else { throw stream.failure("\(options) bytes of options; 4092 are possible") }
        let rest = try stream.take(padded + options + 4, "a packet")
        let (blockLength, trailer) = (body + 12, Int(numbers.uint32(rest, at: padded + options)))
        guard trailer == blockLength else {
            throw stream.failure("a block says \(blockLength) bytes before and \(trailer) behind")
        }
        return CapturedFrame(
            time: time, bytes: UnsafeRawBufferPointer(rebasing: rest[..<length]), originalLength: originalLength,
            linkLayer: interface.linkLayer)
    }
}

/// How an interface of pcapng counts time.
struct InterfaceClock {
    /// Units a second: 10 or, where the highest bit is set, 2, to the power of the other bits.
    var resolution: UInt8 = 6
    /// Added to each time.
    var secondsAhead: Int64 = 0

    /// Nanoseconds since 1970, rounded down; nil where they are out of range.
    func nanoseconds(_ units: UInt64) -> UInt64? {
        let exponent = Int(resolution & 0x7F)
        let product = Int128(units) * 1_000_000_000
        let time: Int128
        if resolution & 0x80 != 0 {
            time = product >> Int128(exponent)
        } else {
            // Int128 holds 10 to the power of 38.
            time = exponent > 38 ? 0 : product / (0..<exponent).reduce(into: Int128(1)) { power, _ in power *= 10 }
        }
        let sum = time + Int128(secondsAhead) * 1_000_000_000
        return (0...Int128(CaptureReader.timeLimit)).contains(sum) ? UInt64(sum) : nil
    }
}
