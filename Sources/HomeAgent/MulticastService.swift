// The multicast router between the nodes and the forwarder: what nodes say comes as punted packets, queries go into their
// tunnels, and memberships to the forwarder, those of one turn together and one request at a time, so that of two that
// follow each other the second is never overtaken. All of it lives on the home agent's event loop.
//
// Its links are the bindings with IPv6 that the forwarder has: they come when it has taken them, and all are named anew
// when it was away. Memberships of theirs that it has already, since this program was started anew, are taken over.

import ControlProtocol
import MobileIP
import NIOCore
import Wire

/// The multicast router of a running home agent.
final class MulticastService {
    /// Memberships that one request changes.
    private static let changesPerRequest = 512

    private let eventLoop: any EventLoop
    private unowned let dataplane: Dataplane
    private let count: (MulticastOutcome) -> Void
    private let queriesNotSent: (Int) -> Void
    private var router: MulticastRouter
    /// Whether each is to be a membership, as far as the forwarder is not told yet. Those that are to be are no more than
    /// memberships, and those that are not no more than the forwarder has.
    private var changes: [MulticastMembership: Bool] = [:]
    private var packets: [ControlInjectedPacket] = []
    private var isFlushScheduled = false
    private var isChanging = false
    private let timer: DeadlineTimer

    let limit: Int

    init(
        _ configuration: MulticastConfiguration, dataplane: Dataplane, eventLoop: any EventLoop,
        count: @escaping (MulticastOutcome) -> Void, queriesNotSent: @escaping (Int) -> Void
    ) {
        router = MulticastRouter(configuration, random: SystemRandomNumberGenerator())
        limit = configuration.memberships
        self.dataplane = dataplane
        self.eventLoop = eventLoop
        timer = DeadlineTimer(on: eventLoop)
        self.count = count
        self.queriesNotSent = queriesNotSent
    }

    /// Memberships at this moment.
    var membershipCount: Int { router.membershipCount }

    /// Those of a node.
    func groups(of homeAddress: IPv4Address) -> [(group: IPv6Address, remaining: UInt64, version: UInt8)] {
        router.groups(of: homeAddress, at: Moment.now.nanoseconds)
    }

    /// Takes an event, and has done what follows from it.
    func take(_ event: MulticastEvent) {
        for action in router.handle(event, at: Moment.now.nanoseconds) {
            switch action {
            case .join(let membership): changes[membership] = true
            // Of what it was never told nothing is to be ended.
            case .leave(let membership): changes[membership] = changes[membership] == true ? nil : false
            case .send(let packet, let homeAddress):
                packets.append(
                    .with {
                        $0.packet = .init(packet)
                        $0.tunnelOf = MobilityBinding.id(of: homeAddress)
                    })
            case .count(let outcome): count(outcome)
            }
        }
        scheduleDeadline()
        scheduleFlush()
    }

    /// The forwarder has all bindings: what it has of memberships is compared with what is known here.
    func synchronize() {
        let epoch = dataplane.epoch
        dataplane.memberships { [self] found in
            // What is to end already is not taken over again.
            take(.found(found.filter { changes[$0] != false }))
        }.assumeIsolated().whenSuccess { [self] in
            if epoch == dataplane.epoch { take(.resynchronizationEnded) }
        }
    }

    private func scheduleDeadline() {
        timer.set(to: router.nextDeadline) { [self] in take(.deadline) }
    }

    private func scheduleFlush() {
        guard !isFlushScheduled, !changes.isEmpty || !packets.isEmpty else { return }
        isFlushScheduled = true
        eventLoop.assumeIsolated().execute { [self] in
            isFlushScheduled = false
            flush()
        }
    }

    private func flush() {
        if !packets.isEmpty {
            dataplane.send(packets, failed: queriesNotSent)
            packets = []
        }
        // In a resynchronization a refusal would be taken for one of a binding.
        guard !isChanging, !changes.isEmpty, dataplane.isSynchronized else { return }
        let part = changes.prefix(Self.changesPerRequest)
        for (membership, _) in part { changes[membership] = nil }
        isChanging = true
        dataplane.change(joining: part.filter(\.value).map(\.key), leaving: part.filter { !$0.value }.map(\.key))
            .assumeIsolated().whenComplete { [self] result in
                isChanging = false
                // Where the connection has ended all is compared when it is there again.
                if case .success(let refused) = result {
                    for membership in refused { take(.refused(membership)) }
                }
                scheduleFlush()
            }
    }
}
