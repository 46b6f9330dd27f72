// What a daemon and its successor must agree on: what the host was set up by, what the descriptors are that pass from one
// to the other, and who may use the socket, whose file stays. All else is the successor's own.

import Glibc

extension DaemonConfiguration {
    /// Settings that are the same before and after, by their names, as text.
    var settingsOfSuccession: [String: String] {
        [
            "endpoints": list(endpoints), "sharedEndpoint": "\(sharedEndpoint)", "divert": list(divert),
            "homeDevice": homeDevice, "accessDevice": accessDevice, "homeAddresses": list(homeAddresses),
            "homeRoutes": list(homeRoutes), "homeMTU": "\(homeMTU)", "accessMTU": "\(accessMTU)",
            "accessOffload": accessOffload.rawValue, "workers": "\(workerCount)", "setup": "\(setup)",
            "forwarding": "\(forwarding)", "socketGroup": socketGroup ?? "", "allowUsers": list(allowUsers),
            "allowGroups": list(allowGroups),
            "checkpoint": checkpoint ?? "", "networkNamespace": Self.networkNamespace,
        ]
    }

    private func list(_ values: [some Any]) -> String { values.map { "\($0)" }.joined(separator: ",") }

    /// As in "net:[4026531840]".
    private static var networkNamespace: String {
        var text = [CChar](repeating: 0, count: 64)
        let length = readlink("/proc/self/ns/net", &text, text.count - 1)
        return length > 0 ? String(decoding: text[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self) : ""
    }

    /// These settings, one a line.
    var successionText: String {
        settingsOfSuccession.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: "\n")
    }

    /// Names of settings that are not as a successor has them.
    /// - Parameter text: the successor's `successionText`.
    func settingsThatForbidSuccession(by text: String) -> [String] {
        var others: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let sign = line.firstIndex(of: "=") else { continue }
            others[String(line[..<sign])] = String(line[line.index(after: sign)...])
        }
        let own = settingsOfSuccession
        return Set(own.keys).union(others.keys).filter { own[$0] != others[$0] }.sorted()
    }
}
