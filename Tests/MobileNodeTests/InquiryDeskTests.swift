// What `mooring-mn status` and `mooring-mn prefixes` get from a running mooring-mn: the program asks a listener in this
// process.

import Foundation
import TestSupport
import Testing
import Wire

@testable import MobileIP
@testable import MobileNode

@Suite("Questions to a mobile node") struct InquiryDeskTests {
    private static func configuration() throws -> MobileNodeConfiguration {
        var configuration = MobileNodeConfiguration(
            homeAddress: IPv4Address("198.51.100.7")!, homeAgents: [IPv4Address("192.0.2.1")!],
            securityAssociation: try SecurityAssociation(securityParameterIndex: 256, key: Array(0..<16)))
        configuration.prefixes = [.init(IPv6Prefix("2001:db8:1::/64")!)]
        return configuration
    }

    /// Runs the program beside a listener.
    private static func run(
        _ arguments: [String], asking desk: InquiryDesk
    ) async throws -> Program {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/mn.sock"
            let listener = try LocalListener(path: path) { desk.answer($0) }
            defer { listener.end() }
            return try await Program.run([Repository.path(of: "mooring-mn")] + arguments + ["--socket", path])
        }
    }

    @Test("prefixes that are delegated are taken, all of them each time")
    func taken() async throws {
        let inbox = Inbox()
        let desk = InquiryDesk(try Self.configuration(), inbox: inbox)
        let program = try await Self.run(["prefixes", "2001:db8:77::/56", "2001:db8:1::/64"], asking: desk)
        #expect(program.status == 0 && program.errorOutput == "")
        #expect(inbox.take().delegatedPrefixes?.map(\.description) == ["2001:db8:77::/56", "2001:db8:1::/64"])
        #expect(try await Self.run(["prefixes"], asking: desk).status == 0)
        #expect(inbox.take().delegatedPrefixes == [])
    }

    @Test(
        "what can't be registered is refused with its reason, and nothing is taken",
        arguments: [
            (["2001:db8:77::/56", "::/0"], "::/0 is all of IPv6"),
            (["fe80::/10"], "fe80::/10 is no prefix of global unicast addresses: it has link-local addresses"),
            (["fe80::/64"], "fe80::/64 is no prefix of global unicast addresses"),
            (["ff00::/8"], "ff00::/8 is no prefix of global unicast addresses: it has multicast groups"),
            (["8000::/1"], "8000::/1 is no prefix of global unicast addresses"),
            (["::ffff:1.2.3.4/128"], "is no prefix of global unicast addresses: it has IPv4-mapped addresses"),
            (["2001:db8:1:0:8000::/65"], "2001:db8:1:0:8000::/65 overlaps 2001:db8:1::/64, which is configured"),
            (["2001:db8::/32"], "2001:db8::/32 overlaps 2001:db8:1::/64, which is configured"),
            (["d000::/60", "d000::/64"], "d000::/64 overlaps d000::/60"),
            (["d000:0:0:9::/64", "d000:0:0:1::/64", "d000::/60"], "d000:0:0:1::/64 overlaps d000::/60"),
            (["::1/128"], "::1/128 is no prefix of global unicast addresses: it has the unspecified address"),
            (
                (1...1024).map { "2001:db8:\(String($0 + 16, radix: 16))::/64" },
                "1025 prefixes with those of the configuration, where 1024 can be registered"
            ),
        ])
    func refused(_ prefixes: [String], _ words: String) async throws {
        let inbox = Inbox()
        let desk = InquiryDesk(try Self.configuration(), inbox: inbox)
        let program = try await Self.run(["prefixes"] + prefixes, asking: desk)
        #expect(program.status == 2)
        #expect(program.errorOutput.contains(words), "\(program.errorOutput)")
        #expect(inbox.take().delegatedPrefixes == nil)
    }

    @Test("what is asked for as JSON fails as JSON, as mooring's errors are")
    func jsonErrors() async throws {
        let path = "/nonexistent/mn.sock"
        for (arguments, status, words) in [
            (["status", "--json", "--socket", path], 3, "no mooring-mn answers at /nonexistent/mn.sock"),
            (["status", "--json", "--bogus"], 2, "--bogus"),
        ] {
            let program = try await Program.run([Repository.path(of: "mooring-mn")] + arguments)
            #expect(program.status == Int32(status) && program.output == "")
            struct Report: Decodable {
                let error: String
                let status: Int
            }
            let report = try JSONDecoder().decode(Report.self, from: Data(program.errorOutput.utf8))
            #expect(report.status == status && report.error.contains(words), "\(program.errorOutput)")
            #expect(program.errorOutput.filter { $0 == "\n" }.count == 1)
        }
        let plain = try await Program.run([Repository.path(of: "mooring-mn"), "status", "--socket", path])
        #expect(plain.errorOutput.hasPrefix("mooring-mn: no mooring-mn answers"), "\(plain.errorOutput)")
    }

    @Test("as many as can be registered are taken, and more than fit a question are refused")
    func bounds() async throws {
        let inbox = Inbox()
        let desk = InquiryDesk(try Self.configuration(), inbox: inbox)
        let all = (1...1023).map { "2001:db8:\(String($0 + 16, radix: 16))::/64" }
        #expect(try await Self.run(["prefixes"] + all, asking: desk).status == 0)
        #expect(inbox.take().delegatedPrefixes?.count == 1023)
        let many = Array(repeating: "2001:db8:1111:2222:3333:4444:5555:6666/128", count: 2000)
        let program = try await Self.run(["prefixes"] + many, asking: desk)
        #expect(program.status == 2 && program.errorOutput.contains("65535 bytes"), "\(program.errorOutput)")
    }

    @Test("questions that are none, and prefixes that are none, get an error")
    func malformed() throws {
        let desk = InquiryDesk(try Self.configuration(), inbox: Inbox())
        #expect(
            String(decoding: desk.answer("prefixes \"x\\"), as: UTF8.self) == #"{"error":"\"x\\ is no IPv6 prefix"}"#)
        #expect(String(decoding: desk.answer("what"), as: UTF8.self).contains("neither status nor prefixes"))
    }

    @Test("the state, since when and for which reason it lasts are shown, and where the tunnel still leads")
    func status() async throws {
        let tunnel = MobileNode.Tunnel(
            careOfAddress: IPv4Address("203.0.113.200")!, isCoLocated: false, homeAgent: IPv4Address("192.0.2.1")!,
            homeAddress: IPv4Address("198.51.100.7")!, encapsulation: .ipInIP, greKeys: nil, udp: nil, isReverse: true,
            prefixes: [], mobileNetworks: [], expiry: nil)
        let status = MobileNodeStatus(
            phase: .unattached, phaseSince: .seconds(40), hindrance: .agentLost(IPv4Address("10.1.0.1")!),
            hindranceSince: .seconds(30), homeAddress: tunnel.homeAddress, homeAgent: tunnel.homeAgent,
            careOfAddress: nil, interface: nil, tunnel: tunnel, lifetime: nil, prefixes: [], supportsIPv6: nil,
            lastCode: nil, keepaliveInterval: nil)
        let desk = InquiryDesk(try Self.configuration(), inbox: Inbox())
        desk.show(
            StatusReport(
                status, discarded: [:], droppedDatagrams: 0, isForwarderConnected: true, expiry: nil, agents: [],
                start: .now - .seconds(3640), discovery: [:]))
        let text = try await Self.run(["status"], asking: desk)
        #expect(text.status == 1)
        let lines = text.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        #expect(lines.first == "state unattached")
        #expect(lines.contains { $0.hasPrefix("since 36") && $0.hasSuffix("s ago") }, "\(text.output)")
        #expect(
            lines.contains { $0.hasPrefix("reason the agent 10.1.0.1 is not heard any more, 36") }, "\(text.output)")
        #expect(lines.contains("tunnel ip-in-ip, still to 203.0.113.200"))
        let json = try await Self.run(["status", "--json"], asking: desk)
        let report = try StatusReport(json: Array(json.output.utf8))
        #expect(report.state == "unattached" && report.reason == "the agent 10.1.0.1 is not heard any more")
        #expect(try #require(report.stateAge) >= 3600 && (try #require(report.reasonAge)) >= 3610)
        #expect(report.tunnelEnd == "203.0.113.200")
    }
}
