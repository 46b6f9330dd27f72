// GRE (RFC 2784, 7676), with key, sequence number and checksum where the binding has them (RFC 2890). A node that moves
// goes on with its sequence numbers unless the tunnel is another one. What becomes of packets out of sequence is told in
// Forwarder+Sequence.

import Bindings
import Synchronization
import Wire

enum GRETunnel {
    /// The upper byte of its flags, and its length in bytes.
    static func shape(_ options: GREOptions) -> (flags: UInt8, length: UInt8) {
        let flags =
            (options.checksum ? GRE.Flag.checksum : 0) | (options.key == nil ? 0 : GRE.Flag.key)
            | (options.sequence ? GRE.Flag.sequence : 0)
        return (UInt8(flags >> 8), UInt8(GRE.minimumHeaderLength + 4 * flags.nonzeroBitCount))
    }

    /// Writes a header. Sequence number and checksum follow when all headers are written.
    /// - Parameters:
    ///   - payload: its protocol, 4 or 41.
    ///   - flags: the upper byte.
    /// - Returns: its protocol.
    @inline(__always)
    static func write(to start: UnsafeMutableRawPointer, payload: UInt8, flags: UInt8, key: UInt32) -> UInt8 {
        start.storeNetwork(UInt16(flags) << 8, at: 0)
        start.storeNetwork(payload == IPProtocol.ipv6 ? GRE.ipv6 : GRE.ipv4, at: 2)
        var offset = GRE.minimumHeaderLength
        if flags & UInt8(GRE.Flag.checksum >> 8) != 0 {
            start.storeNetwork(UInt32(0), at: offset)
            offset += 4
        }
        if flags & UInt8(GRE.Flag.key >> 8) != 0 { start.storeNetwork(key, at: offset) }
        return IPProtocol.gre
    }

    /// - Parameter bytes: behind the outer header, or behind that of Mobile Tunnel Data.
    @inline(__always)
    static func open(_ bytes: UnsafeRawBufferPointer) throws(DropReason) -> OpenedTunnel {
        let view = try GREView(bytes)
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

/// The sequence numbers of a GRE tunnel, which workers change and nobody else reads: one worker sends, and one, whose queue
/// the tunnel's packets come to, receives.
struct GRESequence: ~Copyable {
    /// The next to send; the first is 0.
    private let next = Atomic<UInt32>(0)
    /// The last that was accepted in the lower half, at first 2^32 - 1 (RFC 2890, 2.2); in the upper half the generation,
    /// so that who changes the one is sure of the other.
    private let last: Atomic<UInt64>
    /// The worker that sends. Two that took numbers in turn could not write their packets in that order.
    let owner: UInt32
    /// Whether any was accepted.
    private let isHeard = Atomic(false)

    init(generation: UInt32, owner: Int) {
        last = Atomic(UInt64(generation) << 32 | UInt64(UInt32.max))
        self.owner = UInt32(owner)
    }

    /// Tells this tunnel from others that have the same slot before or after it.
    var generation: UInt32 { UInt32(truncatingIfNeeded: last.load(ordering: .relaxed) >> 32) }

    func takeNext() -> UInt32 {
        let number = next.load(ordering: .relaxed)
        next.store(number &+ 1, ordering: .relaxed)
        return number
    }

    /// The last that went on.
    var lastAccepted: UInt32 { UInt32(truncatingIfNeeded: last.load(ordering: .relaxed)) }

    /// How far a number is ahead of the last that went on; nil for one that is late: within the half of all numbers that
    /// lies before the last one. The first that is heard is not late, whatever it is: the node's end may be older than
    /// this one.
    func distance(of number: UInt32) -> UInt32? {
        let ahead = number &- lastAccepted
        if ahead != 0, ahead < 1 << 31 { return ahead }
        return isHeard.load(ordering: .relaxed) ? nil : 1
    }

    /// Where the tunnel is; set only while no worker reads it.
    var numbers: BindingTable.SequenceNumbers {
        get {
            BindingTable.SequenceNumbers(
                next: next.load(ordering: .relaxed), lastAccepted: lastAccepted)
        }
        nonmutating set {
            next.store(newValue.next, ordering: .relaxed)
            last.store(UInt64(generation) << 32 | UInt64(newValue.lastAccepted), ordering: .relaxed)
            isHeard.store(newValue.lastAccepted != .max, ordering: .relaxed)
        }
    }

    /// Makes a number the last that went on, if this is still the tunnel of that generation.
    func accept(_ number: UInt32, of generation: UInt32) {
        let known = last.load(ordering: .relaxed)
        guard known >> 32 == UInt64(generation) else { return }
        let new = UInt64(generation) << 32 | UInt64(number)
        // Another tunnel may be getting the slot at this moment; then this number is nobody's.
        _ = last.compareExchange(expected: known, desired: new, ordering: .relaxed)
        isHeard.store(true, ordering: .relaxed)
    }
}
