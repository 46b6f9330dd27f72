// How the service follows the host's network: which address of it is the care-of address, and on which interfaces agents
// are listened to.

import Glibc
import Logging
import MobileIP
import RouteNetlink
import ServiceProcess
import Wire

extension NodeService {
    func watchNetwork() throws(NodeServiceError) {
        do throws(RouteError) {
            let monitor = SharedMonitor(try RouteMonitor())
            startThread(named: "mooring-mn-net") { [inbox] in
                while true {
                    // Where changes can't be heard of for a while, they are looked for.
                    if (try? monitor.value.waitForChange()) == nil { sleep(1) }
                    inbox.put { $0.isNetworkChanged = true }
                }
            }
        } catch {
            throw NodeServiceError(description: "\(error)", isForwarderUnreachable: false)
        }
    }

    func lookAtNetwork() async {
        let host: HostNetwork
        do throws(RouteError) {
            host = try network.look()
        } catch {
            logger.warning("the host's addresses can't be read", metadata: ["reason": "\(error)"])
            return retryLater()
        }
        await follow(host)
        await listen(host)
        attempt("keep the way by the foreign agent") { network throws(RouteError) in try network.keepAgentRoute() }
        var restored = 0
        attempt("set up \(settings.homeDevice)") { network throws(RouteError) in restored = try network.keepDevice() }
        if restored > 0 {
            logger.notice(
                "the home device was down; its addresses and routes are put back",
                metadata: ["device": "\(settings.homeDevice)", "count": "\(restored)"])
        }
    }

    private func follow(_ host: HostNetwork) async {
        let found = CareOfAddressChoice.best(
            of: host, to: node.status.homeAgent, interfaces: settings.interfaces, excluding: [settings.homeDevice])
        guard found != choice else { return }
        let before = choice
        choice = found
        if let found {
            logger.info(
                "care-of address", metadata: ["address": "\(found.address)", "interface": "\(found.interface)"])
            await tell(.careOfAddressAvailable(found.address, interface: found.interface))
        } else if let before {
            logger.info("no care-of address")
            await tell(.careOfAddressGone(before.address))
        }
    }

    /// Where there is no address either, agents are what the node waits for.
    private func listen(_ host: HostNetwork) async {
        guard settings.node.foreignAgents != .off else { return }
        let change = discovery.follow(host, interfaces: settings.interfaces)
        for problem in change.problems { complain("\(problem)") }
        for interface in change.gone { await tell(.interfaceGone(interface)) }
        for interface in change.new { await tell(.interfaceAvailable(interface)) }
    }
}

/// A monitor that a thread keeps.
private final class SharedMonitor: Sendable {
    let value: RouteMonitor
    init(_ value: consuming RouteMonitor) { self.value = value }
}
