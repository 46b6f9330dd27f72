// Hands packets that the forwarder puts aside for the control plane to those who watch for them, some in a turn of the
// event loop: a flood of them lets requests, lifetimes and other events have their turn in between.

import ControlProtocol
import Forwarding
import NIOCore
import Wire

/// Hands on packets for the control plane; for the event loop's thread.
final class PuntDelivery {
    /// Packets that are handed on before others have their turn.
    static let packetsPerTurn = 64

    /// Of the packets that were taken, those that nobody got.
    private(set) var lost: UInt64 = 0

    private let eventLoop: any EventLoop
    private let take: (Int) -> (packets: [PuntedPacket], more: Bool)
    private let deliver: (PuntedPacket) -> Bool
    private var isTurnScheduled = false

    /// - Parameters:
    ///   - take: some of the packets that wait, and whether there are more.
    ///   - deliver: hands one on; false where nobody gets it.
    init(
        on eventLoop: any EventLoop, take: @escaping (Int) -> (packets: [PuntedPacket], more: Bool),
        deliver: @escaping (PuntedPacket) -> Bool
    ) {
        self.eventLoop = eventLoop
        self.take = take
        self.deliver = deliver
    }

    /// Hands on what waits, now and in as many turns as it takes.
    func run() {
        // Who is told twice that packets wait must not come twice in each turn from then on.
        guard !isTurnScheduled else { return }
        let (packets, more) = take(Self.packetsPerTurn)
        for packet in packets where !deliver(packet) { lost += 1 }
        guard more else { return }
        isTurnScheduled = true
        eventLoop.assumeIsolated().execute { [self] in
            isTurnScheduled = false
            run()
        }
    }
}

extension ControlPuntEvent {
    /// A packet for those who watch.
    /// - Parameter binding: the id of the binding with its home address.
    init(_ packet: PuntedPacket, binding: String?) {
        self.init()
        reason =
            switch packet.reason {
            case .mobileIP: .mobileIp
            case .multicastListener: .multicastListener
            }
        outerSource = packet.outerSource.rawValue
        if let homeAddress = packet.homeAddress { self.homeAddress = homeAddress.rawValue }
        self.binding = binding ?? ""
        self.packet = .init(packet.bytes)
    }
}
