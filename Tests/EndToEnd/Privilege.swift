// Whether network namespaces can be made here, and how: as root, as the root of a user namespace (`unshare -rn`), or as
// anyone where user namespaces are allowed. Tried once.

import Foundation
import TestSupport

enum Privilege {
    /// Whether a user namespace of their own makes the topologies possible.
    static let needsUserNamespace = succeeds(["unshare", "--net", "true"]) == false

    /// Whether a process may give up its groups: in a user namespace that an ordinary user made, none may.
    static let mayChangeGroups =
        !needsUserNamespace
        && (try? String(contentsOfFile: "/proc/self/setgroups", encoding: .utf8))?.contains("deny") != true

    /// Why the tests can't run; nil where they can.
    private static let obstacle: String? = {
        for tool in ["unshare", "nsenter", "ip", "ping", "iperf3", "tcpdump", "tshark", "python3", "ss"]
        where !succeeds(["sh", "-c", "command -v \(tool)"]) {
            return "\(tool) is not installed; Scripts/setup installs it"
        }
        if needsUserNamespace, !succeeds(["unshare", "--map-root-user", "--net", "true"]) {
            return "network namespaces can't be made here: run the tests as root, or allow user namespaces"
        }
        if !succeeds(["sh", "-c", ": <>/dev/net/tun"]) {
            return "/dev/net/tun can't be opened: load the module tun, run the tests as root, or allow it to this user"
        }
        for path in ["mooringd", "mooring", "mooring-fa"].map(Repository.path)
        where !FileManager.default.isExecutableFile(atPath: path) {
            return "\(path) is not built: set MOORING_BIN_DIR to where it is"
        }
        return nil
    }()

    static let isSufficient = obstacle == nil

    /// For the list of skipped tests.
    static let description = obstacle ?? "namespaces can be made"

    private static func succeeds(_ command: [String]) -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.environment = ChildProcess.environment
        (process.standardInput, process.standardOutput, process.standardError) = (
            FileHandle.nullDevice, FileHandle.nullDevice, FileHandle.nullDevice
        )
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
