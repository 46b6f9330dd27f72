/// The shape of Tests/Vectors/superframes.json, whose segments scapy encoded.
public struct SuperFrameVectors: Decodable, Sendable {
    /// A super-frame, and what it stands for.
    public struct Case: Decodable, Sendable, CustomStringConvertible {
        /// What it is.
        public let name: String
        /// `SegmentKind.rawValue`.
        public let kind: UInt8
        /// Bytes of payload in each segment but the last.
        public let segmentSize: UInt16
        /// Where the header of TCP or UDP begins.
        public let transportOffset: UInt16
        /// The packet as the kernel hands it over.
        public let frame: Hex
        /// Each by itself, as on a wire.
        public let segments: [Hex]

        /// The name.
        public var description: String { name }
    }

    /// A virtio header, encoded by Python.
    public struct Header: Decodable, Sendable {
        /// As of `Case`.
        public let kind: UInt8
        /// As of `Case`.
        public let segmentSize: UInt16
        /// As of `Case`.
        public let transportOffset: UInt16
        /// Of all headers.
        public let headerLength: UInt16
        /// 16 bytes.
        public let header: Hex
    }

    /// All super-frames.
    public let cases: [Case]
    /// All headers.
    public let headers: [Header]

    /// The file's content.
    public static let all: SuperFrameVectors = Vectors.load("superframes")

    /// The case of a name.
    public static func named(_ name: String) -> Case { all.cases.first { $0.name == name }! }
}
