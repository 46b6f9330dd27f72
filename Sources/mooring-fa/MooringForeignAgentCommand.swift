// The command line of mooring-fa.

import ArgumentParser
import Foundation
import MobileIP
import PacketIO
import Release
import Wire

@main
struct MooringForeignAgentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mooring-fa",
        abstract: "A foreign agent: lets mobile nodes of a link register, and ends their tunnels.",
        discussion: """
            Runs in the foreground and writes what happens to standard output. SIGTERM ends it, and what it has set up.

            Examples:
              Visitors on eth1, tunnels end at an address of eth0:
                mooring-fa --visited eth1 --care-of 203.0.113.9
              For short visits, and what is shared with home agents and nodes:
                mooring-fa --visited eth1 --care-of 203.0.113.9 --lifetime 300 --interval 10 \\
                  --associations /etc/mooring/mooring-fa.keys
              Nodes must register here, and send through the tunnel; events for a program:
                mooring-fa --visited eth1 --care-of 203.0.113.9 --registration-required --require-reverse-tunnel --json

            Exit status: 0 it was ended by a signal; 2 it can't start or go on.
            """,
        version: versionText(of: "mooring-fa"))

    @Option(help: "Device of the visited link.") var visited: String
    @Option(help: "Care-of address, of any interface of this host. May be given more than once.")
    var careOf: [IPv4Address] = []
    @Option(help: "The agent's address on the visited link. (default: the device's first)") var address: IPv4Address?
    @Option(help: "The longest registration, in seconds; 65535 is for ever.") var lifetime: UInt16 = 1800
    @Option(help: "The longest between two advertisements, 4 to 1800 seconds.") var interval = 600
    @Flag(help: "Advertise only to who asks.") var solicitedOnly = false
    @Flag(help: "Advertise that nodes with an own care-of address must register here too.")
    var registrationRequired = false
    @Flag(inversion: .prefixedNo, help: "Offer a reverse tunnel.") var reverseTunnel = true
    @Flag(help: "Deny who does not ask for a reverse tunnel.") var requireReverseTunnel = false
    @Option(help: "File of keys that are shared with home agents and nodes.") var associations: String?
    @Option(help: "Visitors at the most, 1 to 65536.") var maxVisitors = 256
    @Option(help: "TUN device, which is made.") var device = "mooring-fa"
    @Option(help: "Routing table of reverse tunnels; the next number is that of visitors.") var table: UInt32 = 4340
    @Flag(help: "Write a JSON object a line.") var json = false

    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            let code = exitCode(for: error)
            let isOwn = code == .failure
            let text = isOwn ? "mooring-fa: \(error)" : fullMessage(for: error)
            // Help and version are errors to the parser too.
            let output: FileHandle = code.isSuccess ? .standardOutput : .standardError
            if !text.isEmpty { output.write(Data("\(text)\n".utf8)) }
            Foundation.exit(code.isSuccess ? 0 : 2)
        }
    }

    func validate() throws {
        guard !careOf.isEmpty else { throw ValidationError("--care-of says where tunnels end") }
        guard careOf.count <= AgentAdvertisement.maximumCareOfAddresses, Set(careOf).count == careOf.count else {
            throw ValidationError("--care-of: \(AgentAdvertisement.maximumCareOfAddresses) different ones at the most")
        }
        for address in careOf + (address.map { [$0] } ?? []) where !address.isUnicastSource {
            throw ValidationError("\(address) is no host's address")
        }
        guard lifetime > 0 else { throw ValidationError("--lifetime is 1 to 65535 seconds") }
        guard (4...1800).contains(interval) else { throw ValidationError("--interval is 4 to 1800 seconds") }
        guard (1...65536).contains(maxVisitors) else { throw ValidationError("--max-visitors is 1 to 65536") }
        // 253 to 255 are the kernel's own.
        guard table > 0, table < .max, table < 252 || table > 255 else {
            throw ValidationError("--table: neither it nor the next may be 0 or 253 to 255")
        }
        if requireReverseTunnel, !reverseTunnel {
            throw ValidationError("--require-reverse-tunnel contradicts --no-reverse-tunnel")
        }
    }

    func run() throws {
        var flags: AgentAdvertisement.Flags = [.foreignAgent]
        if reverseTunnel { flags.insert(.reverseTunneling) }
        if registrationRequired { flags.insert(.registrationRequired) }
        let settings = ForeignAgentSettings(
            visited: visited, address: address, careOfAddresses: careOf, device: device, table: table, flags: flags,
            requiresReverseTunnel: requireReverseTunnel, lifetime: RegistrationLifetime(seconds: lifetime),
            advertisementInterval: solicitedOnly ? nil : interval, maximumVisitors: maxVisitors,
            associations: try associations.map(AssociationFile.init(contentsOf:)) ?? AssociationFile())
        var program = try ForeignAgentProgram(settings, output: EventOutput(isJSON: json))
        try program.run()
    }
}

extension IPv4Address: ExpressibleByArgument {
    /// An address from the command line.
    public init?(argument: String) { self.init(argument) }
}
