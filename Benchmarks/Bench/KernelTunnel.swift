// The kernel forwards: plainly, or through a tunnel that a program on its devices' hooks makes.

import Foundation
import Wire

struct KernelTunnel: TunnelSetup {
    /// What makes a tunnel of it.
    let program: KernelProgram?
    let hasNode: Bool

    func start(in network: Network) throws -> StartedTunnel {
        guard let program else {
            try network.forwardToNode()
            if hasNode { try network.forwardFromNode() }
            return StartedTunnel(arrival: ("agent", 6))
        }
        try network.forwardToNode(mtu: KernelProgram.mtu)
        let ways = [
            (Network.nodePrefix, Network.careOfAddress), (Network.sinkPrefix, Network.sinkAddress),
        ].map { prefix, careOf in
            KernelProgram.Way(
                prefix: IPv6Prefix(prefix)!, near: IPv4Address(Network.endpoint)!, far: IPv4Address(careOf)!)
        }
        try program.attach(to: "node", in: network, role: "agent", ways: ways)
        if hasNode { try program.startNode(in: network) }
        return StartedTunnel()
    }
}
