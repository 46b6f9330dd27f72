// Bindings may name endpoints of their own: a mobile node's care-of address changes when it moves. While the daemon sets
// the host up, the endpoints that bindings name are led to the access device as long as a binding names them.

import PacketIO
import Wire

/// The endpoints that are led to the access device, beside those of the configuration.
final class EndpointRoutes {
    private var plan: SetupPlan
    private let configured: Set<IPv4Address>
    private var routed: Set<IPv4Address> = []
    private let log: (String) -> Void

    /// - Parameter plan: applied already.
    init(plan: SetupPlan, log: @escaping (String) -> Void) {
        self.plan = plan
        self.log = log
        configured = Set(plan.description.endpoints)
    }

    /// Routes the endpoints that are named now, and those no more that are not.
    /// - Returns: what could not be done.
    func follow(_ named: Set<IPv4Address>) -> [SetupError] {
        let wanted = named.subtracting(configured)
        var problems: [SetupError] = []
        for endpoint in wanted.subtracting(routed).sorted() {
            do throws(SetupError) {
                try plan.addEndpoint(endpoint, log: log)
                routed.insert(endpoint)
            } catch { problems.append(error) }
        }
        for endpoint in routed.subtracting(wanted).sorted() {
            routed.remove(endpoint)
            do throws(SetupError) { try plan.removeEndpoint(endpoint, log: log) } catch { problems.append(error) }
        }
        return problems
    }

    /// Takes back what would outlive the devices.
    func undo() throws(SetupError) { try plan.undo(log: log) }
}
