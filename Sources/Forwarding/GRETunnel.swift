// GRE (RFC 2784, 7676), with key, sequence number and checksum where the binding has them (RFC 2890). A node that moves
// goes on with its sequence numbers unless the tunnel is another one. What becomes of packets out of sequence is told in
// Forwarder+Sequence.

import Bindings
import Synchronization
import Wire

enum GRETunnel {
    /// Of a payload of that protocol, 4 or 41. Sequence number and checksum are patched for every packet.
    static func header(_ ends: TunnelEnds, payload: UInt8, _ options: GREOptions) -> [UInt8] {
        var header = GREHeader(protocolType: payload == IPProtocol.ipv6 ? GRE.ipv6 : GRE.ipv4)
        header.key = options.key
        header.sequence = options.sequence ? 0 : nil
        header.hasChecksum = options.checksum
        return ends.outerHeader(protocol: IPProtocol.gre) + written(header.length) { header.write(to: $0) }
    }

    @inline(__always)
    static func open(_ outer: IPv4View) throws(DropReason) -> OpenedTunnel {
        let view = try GREView(outer.payload)
        let payload: UInt8
        switch view.protocolType {
        case GRE.ipv4: payload = IPProtocol.ipv4
        case GRE.ipv6: payload = IPProtocol.ipv6
        default: throw .greProtocolType
        }
        var opened = OpenedTunnel(.gre, protocol: payload, inner: view.payload)
        opened.key = view.key
        opened.sequence = view.sequence
        return opened
    }
}

/// The sequence numbers of a GRE tunnel, which the worker changes and nobody else reads.
struct GRESequence: ~Copyable {
    /// The next to send; the first is 0.
    private let next = Atomic<UInt32>(0)
    /// The last that was accepted (RFC 2890, 2.2).
    private let last = Atomic<UInt32>(.max)
    /// Tells this tunnel from others that have the same slot before or after it.
    let generation: UInt32

    init(generation: UInt32) { self.generation = generation }

    func takeNext() -> UInt32 {
        let number = next.load(ordering: .relaxed)
        next.store(number &+ 1, ordering: .relaxed)
        return number
    }

    /// The last that went on.
    var lastAccepted: UInt32 { last.load(ordering: .relaxed) }

    /// Makes a number the last that went on.
    func accept(_ number: UInt32) { last.store(number, ordering: .relaxed) }
}
