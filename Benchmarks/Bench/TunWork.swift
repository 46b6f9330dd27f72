// What `Bench tun` has packets do.

import ArgumentParser

/// Work that is measured.
enum TunWork: String, CaseIterable, ExpressibleByArgument {
    /// TCP by iperf3, to the node, from it, and both at once.
    case download, upload, both
    /// UDP of that many bytes of payload as fast as a core sends it, to the node, counted where it arrives.
    case udp18 = "udp-18"
    case udp512 = "udp-512"
    case udp1400 = "udp-1400"
    /// What packets take to the node at half the rate of the smallest ones.
    case latency
    /// The smallest, which the sender's kernel has as super-frames and hands over so where they are taken (UDP_SEGMENT). The
    /// last: what it leaves in a device's queue takes most of a second.
    case udp18Segments = "udp-18-segments"

    var isTCP: Bool { iperfOptions != nil }

    /// Of the client, which is the correspondent.
    var iperfOptions: [String]? {
        switch self {
        case .download: []
        case .upload: ["--reverse"]
        case .both: ["--bidir"]
        default: nil
        }
    }

    /// Bytes of UDP.
    var payload: Int? {
        switch self {
        case .udp18, .udp18Segments: 18
        case .udp512: 512
        case .udp1400: 1400
        default: nil
        }
    }

    /// Whether they are sent as super-frames.
    var isSegmented: Bool { self == .udp18Segments }

    var title: String {
        switch self {
        case .download: "TCP download"
        case .upload: "TCP upload"
        case .both: "TCP both ways at once"
        case .udp18, .udp512, .udp1400: "UDP, \(payload ?? 0) bytes of payload"
        case .udp18Segments: "UDP, 18 bytes of payload, sent as super-frames"
        case .latency: "Latency at half the rate of small packets, one way"
        }
    }
}
