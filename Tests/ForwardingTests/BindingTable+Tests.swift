// Bindings in few words, and everything that a table can tell, to compare.

import Bindings
import Forwarding
import Wire

extension Binding {
    /// A binding of the given prefixes, at an address of its own for each `node`.
    init(_ id: String, at node: UInt32 = 1, _ prefixes: [String], endpoint: String? = nil, lifetime: UInt32? = nil) {
        self.init(
            id: id, careOfAddress: IPv4Address(rawValue: 0xCB00_7100 + node),
            prefixes: prefixes.map { BoundPrefix(IPv6Prefix($0)!) })
        self.endpoint = endpoint.map { IPv4Address($0)! }
        self.lifetime = lifetime
    }
}

extension BindingTable {
    /// A table with an endpoint.
    static func make(
        bindingLimit: Int = 100, prefixLimit: Int = 100, endpoint: String? = "192.0.2.1", workers: Int = 1
    ) throws -> BindingTable {
        var configuration = Configuration()
        configuration.bindingLimit = bindingLimit
        configuration.prefixLimit = prefixLimit
        configuration.workers = workers
        configuration.endpoint = endpoint.map { IPv4Address($0)! }
        return try BindingTable(configuration)
    }

    /// All of it, to see that nothing has changed.
    func dump(now: UInt64 = 0) -> [String] {
        let ids = ids(after: "", limit: .max)
        var lines = ids.map { id in
            let state = state(of: id, now: now)!
            let holders = state.binding.prefixes.map { holder(of: $0.prefix.address) ?? "nobody" }
            return "\(state.binding), revision \(state.revision), \(state.traffic), held by \(holders)"
        }
        let endpoints = namedEndpoints.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        lines.append("\(count) bindings, \(prefixCount) prefixes, endpoints \(endpoints), \(configuration)")
        return lines
    }

    /// Who holds an address.
    func holder(_ address: String) -> String? { holder(of: IPv6Address(address)!) }
}

/// The error that `body` throws; nil where it throws none.
func error(_ body: () throws(BindingTableError) -> Void) -> BindingTableError? {
    do {
        try body()
        return nil
    } catch {
        return error
    }
}
