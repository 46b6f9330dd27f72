import ArgumentParser
import ControlProtocol
import Glibc

/// What every command takes.
struct ClientOptions: ParsableArguments {
    @Option(
        name: .customLong("socket"),
        help: ArgumentHelp(
            "mooringd's socket.",
            discussion: "Without it, that of the environment variable MOORING_SOCKET, else \(Self.defaultSocket).",
            valueName: "path"))
    var socket: String?

    @Flag(help: "Print JSON.")
    var json = false

    static let defaultSocket = "/run/mooring/mooringd.sock"

    var socketPath: String {
        socket ?? getenv("MOORING_SOCKET").map { String(cString: $0) } ?? Self.defaultSocket
    }

    func connect(owner: String = "") async throws -> ControlClient {
        try await ControlClient.connect(to: socketPath, as: "mooring \(mooringVersion)", owner: owner)
    }
}

/// Whose bindings are put.
struct OwnerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Whose the bindings are from now on; without it, the owner's that all have in common who name none.",
            valueName: "name"))
    var owner = ""

    func validate() throws {
        guard ControlOrigin.isOwner(owner) else {
            throw ValidationError(
                "--owner is at most 64 letters, digits, dots, underscores and hyphens, the first a letter or digit")
        }
    }
}
