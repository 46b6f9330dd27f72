// Packets that the control plane sends: answers to registrations, multicast listener queries, router advertisements. It
// puts them into a queue of fixed size, and is told where that is full; the worker takes some in each turn and counts them
// as packets that the forwarder made.

import Bindings
import PacketBuffer
import Wire

/// Why a packet is not injected.
public enum InjectError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It is not whole.
    case malformed(DropReason)
    /// To the access side goes IPv4 alone.
    case notIPv4
    /// Bytes stand behind its end.
    case trailingBytes(Int)
    /// Nobody said where it goes.
    case noDestination
    /// There is no such binding.
    case noBinding(String)
    /// It is larger than what the tunnel carries.
    case tooBig(limit: Int)
    /// Its family can't go into that binding's tunnel, or it has options or is a fragment and the tunnel is of minimal
    /// encapsulation.
    case notCarried(String)
    /// The queue is full.
    case full

    /// Says what to do.
    public var description: String {
        switch self {
        case .malformed(let reason): "the packet is malformed: \(reason.explanation)"
        case .notIPv4: "packets to the access side are IPv4"
        case .trailingBytes(let count): "\(count) bytes stand behind the end of the packet"
        case .noDestination: "nothing says where the packet is to go: a side, or the tunnel of a binding"
        case .noBinding(let id): "there is no binding \(StrictJSON.quoted(id))"
        case .tooBig(let limit): "the packet is larger than \(limit) bytes, which is the most that is sent there"
        case .notCarried(let id):
            "the tunnel of \(id) does not carry such a packet: another family, or options or a fragment with minimal encapsulation"
        case .full: "too many packets wait to be sent; try again in a moment"
        }
    }
}

/// By what the worker finds the binding whose tunnel a packet goes into. It may have moved by then, or be gone.
struct TunnelOfInjected: BitwiseCopyable, Sendable {
    /// Which of a binding's addresses it is found by.
    enum Key: UInt8, BitwiseCopyable {
        case homeAddress
        case nodeAddress
        case network
        case prefix
        case careOfAddress
    }

    var key: Key
    /// IPv4 in its mapped form.
    var address: IPv6Address
    /// The slot of the binding's traffic counters, which it keeps.
    var traffic: UInt32
    var isIPv4: Bool
    var usesHomeAddress: Bool
}

/// A bounded queue of packets from the control plane to a worker.
public final class InjectQueue: Sendable {
    struct Note: BitwiseCopyable, Sendable {
        var side: Side
        /// Where a packet into a tunnel goes; nil for one that is sent as it is.
        var tunnel: TunnelOfInjected?
    }

    let queue: PacketQueue<Note>

    /// An empty queue.
    /// - Parameter capacity: in bytes, a power of two; a packet takes some 64 beside its own.
    public init(capacity: Int = 1 << 20) { queue = PacketQueue(capacity: capacity) }

    /// Puts a packet that is sent as it is, by the thread that owns the control plane.
    /// - Parameter limit: of its length, in bytes.
    public func put(_ bytes: UnsafeRawBufferPointer, to side: Side, limit: Int) throws(InjectError) {
        let isIPv4 = try Self.check(bytes)
        guard side == .home || isIPv4 else { throw .notIPv4 }
        try put(bytes, Note(side: side, tunnel: nil), limit: limit)
    }

    func put(_ bytes: UnsafeRawBufferPointer, _ note: Note, limit: Int) throws(InjectError) {
        guard bytes.count <= limit else { throw .tooBig(limit: limit) }
        guard queue.put(bytes, note) else { throw .full }
    }

    /// Whether there is nothing to send, as far as the worker can see.
    public var isEmpty: Bool { queue.isEmpty }

    /// Whether a packet is whole.
    /// - Returns: whether it is IPv4.
    static func check(_ bytes: UnsafeRawBufferPointer) throws(InjectError) -> Bool {
        let length: Int
        let isIPv4 = bytes.first.map { $0 >> 4 == 4 } ?? false
        do throws(DropReason) {
            length = isIPv4 ? try IPv4View(bytes).totalLength : try IPv6View(bytes).totalLength
        } catch {
            throw .malformed(error)
        }
        guard length == bytes.count else { throw .trailingBytes(bytes.count - length) }
        return isIPv4
    }
}

extension BindingTable {
    /// Puts a packet that goes into the tunnel of a binding.
    public func inject(
        _ bytes: UnsafeRawBufferPointer, intoTunnelOf id: String, by queue: InjectQueue
    ) throws(InjectError) {
        let isIPv4 = try InjectQueue.check(bytes)
        guard let entry = entry(of: id) else { throw .noBinding(id) }
        let binding = entry.binding
        // IPv6 by way of the home address, where there is one.
        guard binding.homeAddress != nil || (isIPv4 ? !binding.networks.isEmpty : !binding.isMinimal) else {
            throw .notCarried(id)
        }
        if isIPv4, binding.isMinimal, let start = bytes.baseAddress, MinimalTunnel.refusal(of: start) != nil {
            throw .notCarried(id)
        }
        let (key, address): (TunnelOfInjected.Key, IPv6Address) =
            if let homeAddress = binding.homeAddress {
                (binding.role == .mobileNode ? .nodeAddress : .homeAddress, IPv6Address(mapping: homeAddress))
            } else if let prefix = binding.prefixes.first?.prefix {
                (.prefix, prefix.address)
            } else if let network = binding.networks.first {
                (.network, network.mapped.address)
            } else {
                (.careOfAddress, IPv6Address(mapping: binding.careOfAddress))
            }
        let tunnel = TunnelOfInjected(
            key: key, address: address, traffic: entry.number, isIPv4: isIPv4,
            usesHomeAddress: !isIPv4 && binding.homeAddress != nil
                && !(binding.role == .mobileNode && binding.homeAddress == binding.endpoint))
        try queue.put(
            bytes, InjectQueue.Note(side: .access, tunnel: tunnel), limit: Int(tunnelMTU(of: binding)))
    }
}
