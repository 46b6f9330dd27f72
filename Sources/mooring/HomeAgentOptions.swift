import ArgumentParser
import Glibc
import OperatorProtocol

/// What commands to mooring-ha take.
struct HomeAgentOptions: ParsableArguments {
    @Option(
        name: .customLong("home-agent-socket"),
        help: ArgumentHelp(
            "mooring-ha's socket.",
            discussion: "Without it, that of the environment variable MOORING_HA_SOCKET, else \(Self.defaultSocket).",
            valueName: "path"))
    var socket: String?

    @Flag(help: "Print JSON.")
    var json = false

    static let defaultSocket = "/run/mooring/mooring-ha.sock"

    func connect() throws(OperatorClientError) -> OperatorClient {
        try OperatorClient(
            path: socket ?? getenv("MOORING_HA_SOCKET").map { String(cString: $0) } ?? Self.defaultSocket)
    }

    /// Asks one question.
    func ask(_ request: OperatorRequest) throws(OperatorClientError) -> OperatorReply {
        var client = try connect()
        return try client.ask(request)
    }

    /// Asks for all pages of a list.
    func list<Entry>(
        _ request: OperatorRequest.Kind, _ entries: KeyPath<OperatorReply, [Entry]?>, _ take: (Entry) -> Void
    ) throws(OperatorClientError) {
        var client = try connect()
        var position: Int? = 0
        while let start = position {
            let reply = try client.ask(OperatorRequest(request, position: start))
            for entry in reply[keyPath: entries] ?? [] { take(entry) }
            position = reply.next
        }
    }
}

extension ExitStatus {
    init(_ error: OperatorClientError) {
        switch error {
        case .unreachable: self = .unreachable
        case .refused(_, let kind): self = kind == .unusable ? .unusable : .no
        }
    }
}
