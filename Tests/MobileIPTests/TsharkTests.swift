// What is written here, decoded by tshark, which knows Mobile IPv4 but for a few extensions. Where there is no tshark
// the test says so.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Messages as tshark shows them")
struct TsharkTests {
    private static let home = IPv4Address(rawValue: 0xC633_6407)
    private static let agent = IPv4Address(rawValue: 0xC000_0201)
    private static let careOf = IPv4Address(rawValue: 0xCB00_7109)

    private static let request = RegistrationRequest(
        flags: [.decapsulationByMobileNode, .greEncapsulation, .reverseTunneling], lifetime: .infinite,
        homeAddress: home, homeAgent: agent, careOfAddress: careOf,
        identification: NetworkTime(secondsSince1970: 1_700_000_000, nanoseconds: 250_000_000).rawValue)
    private static let reply = RegistrationReply(
        code: .identificationMismatch, lifetime: RegistrationLifetime(seconds: 1800), homeAddress: home,
        homeAgent: agent, identification: 0)

    /// A message, and what each of these fields must show, in the order of the message.
    private static func cases() throws -> [(bytes: [UInt8], fields: [String: String])] {
        let association = try SecurityAssociation(securityParameterIndex: 0x1234, key: [UInt8](0..<16))
        var request = request
        request.extensions = [
            .mobileNodeNAI(try #require(NetworkAccessIdentifier("node@example.net"))),
            .ipv6PrefixRequest(IPv6PrefixRequest(prefix: IPv6HomePrefix(try #require(IPv6Prefix("2001:db8::/32"))))),
            .ipv6TunnelingMode,
            .mobileNetworkRequest(
                MobileNetworkRequest(prefix: MobileNetworkPrefix(try #require(IPv4Prefix("198.51.100.0/24"))))),
            .udpTunnelRequest(UDPTunnelRequest(force: true, encapsulation: 47)),
        ]
        let signed = try association.sign(request, as: .mobileHome)
        let relayed = try association.sign(
            signed, adding: [.revocationSupport(RevocationSupport(inform: true, timestamp: 77))], as: .foreignHome)
        var reply = reply
        reply.extensions = [
            .udpTunnelReply(UDPTunnelReply(code: .declined, isForced: true, keepaliveInterval: 110)),
            .mobileNetworkAcknowledgment(
                MobileNetworkAcknowledgment(
                    mode: .implicit, code: .unauthorized, prefix: MobileNetworkPrefix(length: 16, address: home))),
        ]
        let revocation = RegistrationRevocation(
            flags: .homeAgent, homeAddress: home, homeDomainAddress: agent, foreignDomainAddress: careOf,
            identifier: 0x0102_0304)
        let acknowledgment = RegistrationRevocationAcknowledgment(
            inform: true, homeAddress: home, identifier: 0x0102_0304)
        return [
            (
                relayed,
                [
                    "mip.type": "1", "mip.flags": "0x2a", "mip.life": "65535", "mip.homeaddr": "198.51.100.7",
                    "mip.haaddr": "192.0.2.1", "mip.coa": "203.0.113.9",
                    "mip.ident": "Nov 14, 2023 22:13:20.250000000 UTC", "mip.nai": "node@example.net",
                    "mip.ext.type": "131,152,152,148,144,32,137,34", "mip.ext.len": "16,18,2,6,6,20,6,20",
                    "mip.ext.mne.subtype": "0", "mip.ext.mne.prefix_length": "24",
                    "mip.ext.mne.prefix": "198.51.100.0", "mip.ext.utrq.f": "1", "mip.ext.utrq.r": "0",
                    "mip.ext.utrq.encaptype": "47", "mip.ext.rev.i": "1", "mip.ext.rev.tstamp": "77",
                    "mip.auth.spi": "0x00001234,0x00001234",
                    "mip.auth.auth": [signed.suffix(16), relayed.suffix(16)].map { hexadecimal($0) }
                        .joined(separator: ","),
                ]
            ),
            (
                try association.sign(reply, as: .mobileHome),
                [
                    "mip.type": "3", "mip.code": "133", "mip.life": "1800", "mip.homeaddr": "198.51.100.7",
                    "mip.haaddr": "192.0.2.1", "mip.ext.type": "44,148,32", "mip.ext.utrp.code": "64",
                    "mip.ext.utrp.f": "1", "mip.ext.utrp.keepalive": "110", "mip.ext.mne.subtype": "2",
                    "mip.ext.mne.code": "2", "mip.ext.mne.prefix_length": "16", "mip.ext.mne.prefix": "198.51.0.0",
                ]
            ),
            (
                try association.sign(revocation, as: .foreignHome),
                [
                    "mip.type": "7", "mip.rev.a": "1", "mip.rev.i": "0", "mip.homeaddr": "198.51.100.7",
                    "mip.rev.hda": "192.0.2.1", "mip.rev.fda": "203.0.113.9", "mip.revid": "16909060",
                    "mip.ext.type": "34",
                ]
            ),
            (
                try association.sign(acknowledgment, as: .mobileHome),
                [
                    "mip.type": "15", "mip.ack.i": "1", "mip.homeaddr": "198.51.100.7", "mip.revid": "16909060",
                    "mip.ext.type": "32",
                ]
            ),
        ]
    }

    @Test("tshark shows of each message the fields that it was written from")
    func fields() async throws {
        guard (try? await Program.run(["tshark", "--version"]))?.status == 0 else {
            try Test.cancel("there is no tshark")
        }
        let cases = try Self.cases()
        let names = Set(cases.flatMap(\.fields.keys)).sorted() + ["_ws.malformed"]
        let shown = try await Program.run(
            ["tshark", "-n", "-r", "-", "-T", "fields", "-E", "occurrence=a", "-E", "separator=|"]
                + names.flatMap { ["-e", $0] }, input: Self.capture(of: cases.map(\.bytes)))
        #expect(shown.status == 0, "\(shown.errorOutput)")
        let rows = shown.output.split(separator: "\n")
        try #require(rows.count == cases.count, "\(shown.output)\(shown.errorOutput)")
        for (row, expected) in zip(rows, cases) {
            let columns = row.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            try #require(columns.count == names.count)
            for (name, column) in zip(names, columns) {
                if let value = expected.fields[name] { #expect(column == value, "\(name)") }
                if name == "_ws.malformed" { #expect(column.isEmpty) }
            }
        }
    }

    /// A capture file of UDP datagrams to port 434 (pcap, link type raw).
    private static func capture(of messages: [[UInt8]]) -> [UInt8] {
        var writer = MessageWriter(capacity: 4096)
        for field in [0xA1B2_C3D4, 0x0002_0004, 0, 0, 65535, 101] as [UInt32] { writer.write(field) }
        for message in messages {
            let length = UInt32(message.count) + 28
            for field in [0, 0, length, length] { writer.write(field) }
            for field in [0x4500_0000 | length, 0, 0x4011_0000, careOf.rawValue, agent.rawValue] { writer.write(field) }
            for field in [0x9C40_01B2, (length - 20) << 16] as [UInt32] { writer.write(field) }
            writer.write(message)
        }
        return writer.bytes
    }
}
