// DHCPv6 prefix delegation by programs that are not ours, on the two ends of a tunnel's link: Kea is the server at the home
// agent, dhcpcd the client at the node, and what dhcpcd is delegated its script tells mooring-mn. Nothing of the host's
// is read or written: dhcpcd has a mount namespace in which the directories that it writes to are empty.

import Foundation
import TestSupport
import Testing

final class PrefixDelegation: @unchecked Sendable {
    /// From which prefixes of 60 bits are delegated.
    static let pool = "2001:db8:1:d000::/52"
    private static let device = "mooring-home"

    /// What is missing for it; nil where nothing is.
    static let obstacle: String? = {
        for program in ["kea-dhcp6", "dhcpcd"] where path(of: program) == nil {
            return "\(program) is neither in .build/unpacked nor installed; Scripts/setup unpacks it"
        }
        return nil
    }()

    // Used by one test at a time.
    let server: ChildProcess
    let client: ChildProcess

    /// Starts both, the server first.
    /// - Parameter lifetime: for which a prefix is delegated, in seconds.
    static func start(in topology: Topology, lifetime: Int) async throws -> PrefixDelegation {
        let server = try await startServer(in: topology, lifetime: lifetime)
        return PrefixDelegation(server, try startClient(in: topology))
    }

    private init(_ server: ChildProcess, _ client: ChildProcess) { (self.server, self.client) = (server, client) }

    private static func startServer(in topology: Topology, lifetime: Int) async throws -> ChildProcess {
        let range = pool.split(separator: "/")
        let configuration = try write(
            """
            { "Dhcp6": {
                "interfaces-config": { "interfaces": [ "\(device)" ] },
                "lease-database": { "type": "memfile", "persist": false },
                "server-id": { "type": "EN", "persist": false },
                "preferred-lifetime": \(lifetime), "valid-lifetime": \(lifetime),
                "renew-timer": \(lifetime / 2), "rebind-timer": \(lifetime * 3 / 4),
                "subnet6": [ { "id": 1, "subnet": "2001:db8:ffff::/64", "interface": "\(device)",
                    "pd-pools": [ { "prefix": "\(range[0])", "prefix-len": \(range[1]), "delegated-len": 60 } ] } ],
                "loggers": [ { "name": "kea-dhcp6", "severity": "INFO",
                    "output_options": [ { "output": "stdout" } ] } ] } }
            """, to: "kea.json", in: topology)
        let program = try copy("kea-dhcp6", to: topology)
        let directory = topology.directory.path
        let server = try topology.start(
            in: .homeAgent,
            ["env", "KEA_LOCKFILE_DIR=\(directory)", "KEA_PIDFILE_DIR=\(directory)", program, "-c", configuration])
        try await poll(for: "DHCPv6 server; \(server.output)\(server.errorOutput)") {
            guard server.isRunning else { throw EndToEndFailure("Kea: \(server.output)\(server.errorOutput)") }
            return server.output.contains("DHCP6_STARTED")
        }
        return server
    }

    private static func startClient(in topology: Topology) throws -> ChildProcess {
        // As the manual page of mooring-mn has it, but for the socket.
        let script = try write(
            """
            #!/bin/sh
            case $reason in
            BOUND6 | RENEW6 | REBIND6 | REBOOT6)
                set -- $new_dhcp6_ia_pd1_prefix1/$new_dhcp6_ia_pd1_prefix1_length ;;
            EXPIRE6 | RELEASE6 | STOP6) set -- ;;
            *) exit ;;
            esac
            exec \(Repository.path(of: "mooring-mn")) prefixes --socket \(topology.directory.path)/mn.socket "$@"
            """, to: "delegated", in: topology, permissions: 0o755)
        let configuration = try write(
            """
            duid ll
            ipv6only
            noipv6rs
            script \(script)
            interface \(device)
                iaid 1
                ia_pd 1 -

            """, to: "dhcpcd.conf", in: topology)
        return try topology.start(
            in: .node,
            [
                "unshare", "--mount", "sh", "-c",
                "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && exec \"$@\"", "sh",
                try copy("dhcpcd", to: topology), "-B", "-d", "-f", configuration, device,
            ])
    }

    /// The prefix that dhcpcd says it was delegated first.
    func delegated() async throws -> String {
        try await poll(for: "delegated prefix; \(client.errorOutput)\(server.output)") {
            guard client.isRunning else { throw EndToEndFailure("dhcpcd: \(client.errorOutput)") }
            return client.errorOutput.firstMatch(of: #/delegated prefix (\S+)/#).map { String($0.1) }
        }
    }

    private static func write(
        _ text: String, to name: String, in topology: Topology, permissions: Int = 0o644
    ) throws -> String {
        let path = topology.directory.appendingPathComponent(name).path
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: permissions], ofItemAtPath: path)
        return path
    }

    /// Where a program is: unpacked by Scripts/setup, or on the host.
    private static func path(of program: String) -> String? {
        let unpacked = Repository.root.appendingPathComponent(".build/unpacked/usr/sbin").path
        return [unpacked, "/usr/sbin", "/usr/local/sbin", "/usr/bin"].map { "\($0)/\(program)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// A copy of it, at a path for which AppArmor has no profile that would keep it from the files of the test.
    private static func copy(_ program: String, to topology: Topology) throws -> String {
        guard let path = path(of: program) else { throw EndToEndFailure("no \(program)") }
        let copy = topology.directory.appendingPathComponent(program).path
        try FileManager.default.copyItem(atPath: path, toPath: copy)
        return copy
    }
}
