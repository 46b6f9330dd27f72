// Which links the multicast router has: the bindings with IPv6 that the forwarder has been told of.

import MobileIP
import Wire

extension HomeAgentService {
    /// The forwarder has these bindings, and has not, or no longer, those of the other home addresses.
    func followLinks(put: [MobilityBinding], gone: [IPv4Address]) {
        guard let multicast else { return }
        for homeAddress in gone { multicast.take(.linkRemoved(homeAddress, isBound: false)) }
        let refused = Set(gone)
        for binding in put where !refused.contains(binding.homeAddress) {
            guard let identity = agent.identity(of: binding.homeAddress), let node = nodes[identity] else { continue }
            if binding.prefixes.isEmpty {
                multicast.take(.linkRemoved(binding.homeAddress, isBound: true))
            } else {
                multicast.take(
                    .linkPut(
                        MulticastLink(
                            homeAddress: binding.homeAddress, endpoint: binding.tunnel.endpoint,
                            policy: node.policy.multicast)))
            }
        }
    }

    /// Files say something else of these nodes.
    func followPolicies(of changed: [ServedNode]) {
        guard multicast != nil else { return }
        for node in changed {
            guard let binding = agent.registration(of: node.identity, at: .now)?.binding, !binding.prefixes.isEmpty
            else {
                continue
            }
            multicast?.take(
                .linkPut(
                    MulticastLink(
                        homeAddress: binding.homeAddress, endpoint: binding.tunnel.endpoint,
                        policy: node.policy.multicast)))
        }
    }
}
