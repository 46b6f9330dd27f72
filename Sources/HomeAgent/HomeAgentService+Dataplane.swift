// What the forwarder's end tells the home agent, and asks it.

import ControlProtocol
import MobileIP
import Wire

extension HomeAgentService: DataplaneOwner {
    func dataplaneReturned() { perform(.dataplaneReturned) }

    func dataplaneLost() {
        perform(.dataplaneLost)
        multicast?.take(.suspended)
    }

    func resynchronizationBegins() { multicast?.take(.resynchronizationBegan) }

    func dataplaneSynchronized() { multicast?.synchronize() }

    func bindings(from position: Int, limit: Int) -> (bindings: [MobilityBinding], next: Int?) {
        agent.bindings(from: position, limit: limit, at: .now)
    }

    func named(_ bindings: [MobilityBinding]) {
        followLinks(put: bindings, gone: [])
        guard routes != nil else { return }
        // Of those that are there still, as they are now.
        let adding = bindings.flatMap { named -> [HomeRoute] in
            guard let identity = agent.identity(of: named.homeAddress),
                let binding = agent.registration(of: identity, at: .now)?.binding
            else { return [] }
            let prefixes = Set(binding.prefixes.map(\.prefix))
            return named.routes.filter { route in
                switch route {
                case .address(let address): address == binding.homeAddress
                case .prefix(let prefix): prefixes.contains(prefix)
                case .network(let network): binding.networks.contains(network)
                }
            }
        }
        _ = change(removing: [], adding: adding)
    }

    func refused(_ bindings: [RefusedBinding]) {
        for refused in bindings { refuse(refused, former: nil, replies: []) }
    }

    /// Tells the state machine of a binding that the forwarder did not take.
    /// - Parameters:
    ///   - former: what the forwarder has in its place.
    ///   - replies: those that tell of it, and were not sent.
    func refuse(_ refused: RefusedBinding, former: FormerRegistration?, replies: [OutgoingDatagram]) {
        counters.count(ServiceOutcome.bindingRefused)
        counters.count(ServiceOutcome.replyWithdrawn, replies.count)
        let prefix = refused.error.overlappingPrefix
        logger.error(
            "binding refused by the forwarder",
            metadata: [
                "homeAddress": "\(refused.binding.homeAddress)", "reason": "\(refused.error)",
                "kept": prefix != nil ? "all but the prefix" : former == nil ? "none" : "the former one",
            ])
        let code: ReplyCode = refused.error.code == .limit ? .insufficientResources : .reasonUnspecified
        take(
            .bindingRefused(
                BindingRefusal(refused.binding, former: former, replies: replies, prefix: prefix, code: code)))
    }

    func received(_ punt: ControlPuntEvent) {
        if punt.reason == .multicastListener, punt.hasHomeAddress {
            multicast?.take(
                .received(packet: Array(punt.packet), from: IPv4Address(rawValue: punt.homeAddress)))
        }
        guard punt.reason == .mobileIp, settings.listen == .forwarder else { return }
        do throws(PuntError) {
            let datagram = try punt.packet.withUnsafeBytes { bytes in
                Result { () throws(PuntError) in
                    try ReceivedDatagram(packet: bytes, homeNetworks: settings.homeNetworks)
                }
            }.get()
            receive(datagram)
        } catch {
            counters.count(error)
        }
    }

    func lost(punts: UInt64) { counters.count(ServiceOutcome.puntsLost, Int(clamping: punts)) }
}
