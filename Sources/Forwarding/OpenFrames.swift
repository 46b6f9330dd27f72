// Which super-frames of a batch may still be added to, found by the flow of a packet.

import Wire

/// A super-frame that is being joined, or the packet that may become its first.
struct OpenFrame: BitwiseCopyable {
    /// The place in the batch of its first packet, and of its last.
    var first: UInt16
    var last: UInt16
    /// Towards a tunnel, the number of the first among those that need a binding.
    var pending: UInt16 = 0
    /// How many packets.
    var count: UInt16 = 1
    /// Payload of each but the last, in bytes.
    var segmentSize: UInt16
    /// The most that headers and the payload of all may be, in bytes: what is put before them counts too.
    var limit = UInt16.max
    /// All headers of a packet, in bytes.
    var headerLength: UInt8
    /// Payload of all, in bytes.
    var payload: UInt32
    /// Whether anything may be joined behind the last.
    var isOpen: Bool
    /// Whether the first one's checksum is known to be right; that of others always is.
    var isVerified = false
    let isIPv4: Bool
    /// Whether the last one pushes.
    var pushes = false
}

/// The super-frames of a batch. Those that are open are found by the addresses of their flow, in a bucket for some of its
/// flows; where there are more the oldest is added to no more.
struct OpenFrames: ~Copyable {
    static let bucketCount = 16
    static let waysPerBucket = 8

    /// All of the batch.
    private let frames: UnsafeMutablePointer<OpenFrame>
    private(set) var count = 0
    /// What is found in a bucket: the ports stand beside the number, since most are others'.
    private struct Way: BitwiseCopyable {
        var ports: UInt32 = 0
        var number: UInt32 = 0
    }

    /// Those of each bucket.
    private let ways: UnsafeMutablePointer<Way>
    /// How many frames were put into each bucket.
    private let filled: UnsafeMutablePointer<UInt16>

    /// - Parameter batchCapacity: packets in a batch at the most.
    init(batchCapacity: Int) {
        frames = .allocate(capacity: batchCapacity)
        ways = .allocate(capacity: Self.bucketCount * Self.waysPerBucket)
        ways.initialize(repeating: Way(), count: Self.bucketCount * Self.waysPerBucket)
        filled = .allocate(capacity: Self.bucketCount)
        filled.initialize(repeating: 0, count: Self.bucketCount)
    }

    deinit {
        frames.deallocate()
        ways.deallocate()
        filled.deallocate()
    }

    subscript(number: Int) -> OpenFrame {
        @inline(__always) unsafeAddress { UnsafePointer(frames + number) }
        @inline(__always) nonmutating unsafeMutableAddress { frames + number }
    }

    /// Forgets all.
    @inline(__always)
    mutating func removeAll() {
        count = 0
        filled.update(repeating: 0, count: Self.bucketCount)
    }

    /// The bucket of two addresses.
    @inline(__always)
    static func bucket(of digest: UInt64) -> Int { Int(truncatingIfNeeded: digest >> 60) }

    /// The open frame of a packet's flow.
    /// - Parameter start: tells the first byte of a frame's first packet.
    @inline(__always)
    func find(
        _ segment: FlowSegment, in bucket: Int, start: (UInt16) -> UnsafeRawPointer
    ) -> Int? {
        let ports = segment.ports
        let first = bucket &* Self.waysPerBucket
        for way in 0..<min(Int(filled[bucket]), Self.waysPerBucket) where ways[first &+ way].ports == ports {
            let number = Int(ways[first &+ way].number)
            let frame = frames + number
            if frame.pointee.isOpen, frame.pointee.isIPv4 == segment.isIPv4,
                segment.isSameFlow(as: start(frame.pointee.first))
            {
                return number
            }
        }
        return nil
    }

    /// Adds a frame.
    /// - Parameter ports: both of its flow.
    @inline(__always)
    mutating func open(_ frame: OpenFrame, ports: UInt32, in bucket: Int) {
        (frames + count).initialize(to: frame)
        let way = bucket &* Self.waysPerBucket &+ Int(filled[bucket]) % Self.waysPerBucket
        ways[way] = Way(ports: ports, number: UInt32(truncatingIfNeeded: count))
        filled[bucket] &+= 1
        count &+= 1
    }

    /// Closes all frames of a bucket.
    @inline(__always)
    func close(bucket: Int) { filled[bucket] = 0 }
}
