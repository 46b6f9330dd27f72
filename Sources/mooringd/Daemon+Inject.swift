// Packets that the control plane has sent: an answer to a registration, a query for listeners, a router advertisement. All
// that go into the tunnel of a binding go by one worker, and all to one address on a side, so that they keep their order.

import ControlProtocol
import Forwarding
import PacketBuffer
import Wire

extension Daemon {
    /// Queues packets, in their order, up to the first that can't be taken.
    func inject(_ request: ControlInject) -> ControlReply.OneOf_Body {
        guard request.packets.count <= ControlInjectLimits.packets else {
            return .error(
                ControlError(
                    .limit,
                    "\(request.packets.count) packets, where \(ControlInjectLimits.packets) are the limit; split them"))
        }
        var taken = 0
        var wakened: UInt64 = 0
        defer { workers.wake(wakened) }
        for packet in request.packets {
            do throws(InjectError) {
                wakened |= 1 << UInt64(try inject(packet))
                taken += 1
            } catch {
                return .error(
                    ControlError(
                        error.code, "packets[\(taken)]: \(error)", binding: error.bindingID ?? "", taken: taken))
            }
        }
        return .injected(.with { $0.taken = UInt32(taken) })
    }

    /// - Returns: the worker that sends it.
    private func inject(_ packet: ControlInjectedPacket) throws(InjectError) -> Int {
        let result = packet.packet.withUnsafeBytes { bytes in
            Result { () throws(InjectError) in
                switch packet.to {
                case .side(.home): return try inject(bytes, to: .home)
                case .side(.access): return try inject(bytes, to: .access)
                case .tunnelOf(let id):
                    let worker = table.worker(of: id)
                    try table.inject(bytes, intoTunnelOf: id, by: workers.all[worker].injections)
                    return worker
                case .side, nil: throw .noDestination
                }
            }
        }
        return try result.get()
    }

    private func inject(_ bytes: UnsafeRawBufferPointer, to side: Side) throws(InjectError) -> Int {
        let worker = Steering.queue(ofPacket: bytes, of: workers.all.count)
        try workers.all[worker].injections.put(bytes, to: side, limit: configuration.largestPacket(to: side))
        return worker
    }
}

extension DaemonConfiguration {
    /// The longest packet that a side's device takes, in bytes.
    func largestPacket(to side: Side) -> Int {
        // One device for both has the home side's.
        side == .home || singleDevice ? homeMTU : accessMTU
    }
}

extension InjectError {
    var code: ControlError.Code {
        switch self {
        case .malformed, .notIPv4, .trailingBytes, .tooBig, .notCarried, .noDestination: .badPacket
        case .noBinding: .notBound
        case .full: .limit
        }
    }

    var bindingID: String? {
        switch self {
        case .noBinding(let id), .notCarried(let id): id
        case .malformed, .notIPv4, .trailingBytes, .tooBig, .noDestination, .full: nil
        }
    }
}
