// The configuration file and the flags over it.

import ArgumentParser
import ControlProtocol
import Forwarding
import Foundation
import PacketIO
import RouteNetlink
import Testing
import Wire

@testable import mooringd

@Suite struct DaemonConfigurationTests {
    private func withFile<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("mooringd-\(UUID().uuidString).json")
        try Data(text.utf8).write(to: url)
        defer { try? FileManager.default.removeItem(at: url) }
        return try body(url.path)
    }

    private func resolve(_ arguments: [String]) throws -> DaemonConfiguration {
        try MooringDaemonCommand.parse(arguments).resolve()
    }

    @Test("Every key of the file is taken over")
    func everyKey() throws {
        let text = """
            { "endpoints": ["192.0.2.1", "192.0.2.2"], "sharedEndpoint": true, "homeDevice": "h0", "accessDevice": "a0",
              "divert": ["gre", "udp"], "homeAddresses": ["2001:db8::1/64", "198.51.100.1/24"],
              "homeRoutes": ["2001:db8:1::/48", "198.51.100.0/24"], "homeMTU": 1400, "accessMTU": 1480,
              "tunnelMTU": 1300, "outerTimeToLive": 9, "errorsPerSecond": 7, "io": "plain", "workers": 3,
              "setup": false, "forwarding": false, "socket": "/tmp/x.sock", "socketGroup": "daemon",
              "allowUsers": ["daemon", "7"], "allowGroups": ["8"], "checkpoint": "/tmp/x.checkpoint",
              "checkpointInterval": 5, "maxBindings": 10, "maxPrefixes": 20, "maxMembers": 30,
              "logLevel": "debug" }
            """
        let settings = try withFile(text) { try resolve(["--config", $0]) }
        #expect(settings.endpoints == [IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")])
        #expect(settings.sharedEndpoint)
        #expect(settings.homeDevice == "h0" && settings.accessDevice == "a0")
        #expect(settings.divert == [.gre, .udp])
        #expect(settings.homeAddresses.map(\.description) == ["2001:db8::1/64", "198.51.100.1/24"])
        #expect(settings.homeRoutes.map(\.description) == ["2001:db8:1::/48", "198.51.100.0/24"])
        #expect(settings.homeMTU == 1400 && settings.accessMTU == 1480 && settings.tunnelMTU == 1300)
        #expect(settings.outerTimeToLive == 9 && settings.errorsPerSecond == 7)
        #expect(settings.io == .systemCalls && !settings.setup && !settings.forwarding)
        #expect(settings.socket == "/tmp/x.sock" && settings.socketGroup == "daemon")
        #expect(settings.allowUsers == ["daemon", "7"] && settings.allowGroups == ["8"])
        #expect(settings.workers == .exactly(3) && settings.workerCount == 3)
        #expect(settings.maxBindings == 10 && settings.maxPrefixes == 20 && settings.logLevel == .debug)
        #expect(settings.checkpoint == "/tmp/x.checkpoint" && settings.checkpointInterval == 5)
        #expect(BindingTable.Configuration(settings).memberLimit == 30)
    }

    @Test("A flag goes over the file's key, and what neither names keeps its default")
    func precedence() throws {
        let settings = try withFile(#"{ "tunnelMTU": 1300, "homeDevice": "h0" }"#) {
            try resolve(["--config", $0, "--tunnel-mtu", "1400"])
        }
        #expect(settings.tunnelMTU == 1400)
        #expect(settings.homeDevice == "h0")
        #expect(settings.accessDevice == "mooring-access")
    }

    @Test(
        "What is wrong in the file is named with its place",
        arguments: [
            (#"{ "tunnelMtu": 1300 }"#, "tunnelMtu"),
            (#"{ "endpoints": ["192.0.2.1", "192.0.2.256"] }"#, "endpoints[1]"),
            (#"{ "tunnelMTU": 1279 }"#, "tunnelMTU"),
            (#"{ "homeRoutes": ["2001:db8::1/32"] }"#, "homeRoutes[0]"),
            (#"{ "homeRoutes": ["::/0", "198.51.100.1/24"] }"#, "homeRoutes[1]"),
            (#"{ "homeAddresses": ["198.51.100.1/33"] }"#, "homeAddresses[0]"),
            (#"{ "homeAddresses": ["224.0.0.1/32"] }"#, "224.0.0.1"),
            (#"{ "divert": ["gre", "ipip"] }"#, "divert[1]"),
            (#"{ "io": "fast" }"#, "io"),
            (#"{ "setup": 1 }"#, "setup"),
            (#"{ "workers": 0 }"#, "workers"), (#"{ "workers": 17 }"#, "workers"), (#"{ "workers": "two" }"#, "auto"),
            (#"{ "processors": "1-" }"#, "processors"), (#"{ "processors": "8191" }"#, "8191"),
            (#"{ "processors": "0", "workers": 2 }"#, "2 workers"),
            (#"{ "maxBindings": 0 }"#, "maxBindings"), (#"{ "maxMembers": 0 }"#, "maxMembers"),
            (#"{ "tunnelMTU": 1480, "accessMTU": 1499 }"#, "1499"),
            (#"[]"#, "object"),
            (#"{ "endpoints": ["#, "line 1"),
        ])
    func mistakes(_ text: String, _ expected: String) throws {
        let error = try #require(throws: ConfigurationError.self) {
            try withFile(text) { try resolve(["--config", $0]) }
        }
        #expect(error.description.contains(expected))
    }

    @Test("Home addresses of either family, and the first of IPv6 that is not link-local sends ICMPv6 errors")
    func homeAddresses() throws {
        let settings = try resolve(
            ["198.51.100.7", "fe80::1/64", "2001:db8::1/64", "2001:db8::2/64"].flatMap { ["--home-address", $0] }
                + ["--home-route", "198.51.100.0/24", "--divert", "gre", "--divert", "udp"])
        #expect(
            settings.homeAddresses.map(\.description)
                == ["198.51.100.7/32", "fe80::1/64", "2001:db8::1/64", "2001:db8::2/64"])
        #expect(settings.homeRoutes.map(\.description) == ["198.51.100.0/24"])
        #expect(ForwarderSettings(settings).errorSource == IPv6Address("2001:db8::1"))
        let description = SetupDescription(settings)
        #expect(description.diverted == [.gre, .udp])
        #expect(description.homeAddresses == settings.homeAddresses && description.homeRoutes == settings.homeRoutes)
        #expect(try SetupDescription(resolve([])).diverted == TunnelProtocol.allCases)
    }

    @Test("Flags out of their range are refused")
    func flagRanges() {
        for arguments in [
            ["--tunnel-mtu", "1481"], ["--outer-ttl", "0"], ["--home-mtu", "1279"], ["--max-bindings", "0"],
            ["--max-members", "0"],
            ["--endpoint", "192.0.2"], ["--home-route", "2001:db8::1/32"], ["--io", "fast"],
            ["--home-route", "198.51.100.1/24"], ["--home-address", "198.51.100.1/33"], ["--divert", "41"],
        ] {
            #expect(throws: (any Error).self, "\(arguments)") { try MooringDaemonCommand.parse(arguments) }
        }
    }

    @Test("Without an endpoint, the binding file's is taken")
    func endpointOfBindings() throws {
        let settings = try withFile(#"{ "endpoint": "192.0.2.1", "bindings": [] }"#) {
            try resolve(["--bindings", $0])
        }
        #expect(settings.endpoints == [IPv4Address("192.0.2.1")])
        let overridden = try withFile(#"{ "endpoint": "192.0.2.1", "bindings": [] }"#) {
            try resolve(["--bindings", $0, "--endpoint", "192.0.2.9"])
        }
        #expect(overridden.endpoints == [IPv4Address("192.0.2.9")])
    }

    @Test("A side's largest packet is its device's MTU, and of one device for both the home side's")
    func largestPacket() throws {
        let mtus = ["--home-mtu", "1400", "--access-mtu", "1480"]
        let settings = try resolve(mtus)
        #expect(settings.largestPacket(to: .home) == 1400)
        #expect(settings.largestPacket(to: .access) == 1480)
        let single = try resolve(mtus + ["--home-device", "x", "--access-device", "x"])
        #expect(single.largestPacket(to: .access) == 1400)
    }

    @Test("The socket's file is that of the group that may use it, or everybody's where a file can't name all")
    func socketFile() throws {
        func file(_ arguments: [String]) throws -> [UInt32?] {
            let configuration = try ControlServer.Configuration(resolve(arguments))
            return [configuration.mode, configuration.group]
        }
        #expect(try file([]) == [0o660, nil])
        #expect(try file(["--socket-group", "7"]) == [0o660, 7])
        #expect(try file(["--allow-group", "7"]) == [0o660, 7])
        #expect(try file(["--socket-group", "7", "--allow-group", "7"]) == [0o660, 7])
        #expect(try file(["--socket-group", "7", "--allow-group", "8"]) == [0o666, 7])
        #expect(try file(["--allow-group", "7", "--allow-group", "8"]) == [0o666, nil])
        #expect(try file(["--allow-user", "1"]) == [0o666, nil])
        #expect(try file(["--allow-user", "1", "--allow-group", "7"]) == [0o666, nil])
    }

    @Test("A reload names what needs a restart, and only that")
    func restart() throws {
        let before = try resolve([])
        var after = before
        after.tunnelMTU = 1400
        after.logLevel = .debug
        after.bindings = "x.json"
        #expect(after.settingsThatNeedRestart(comparedTo: before).isEmpty)
        after.homeDevice = "h0"
        after.workers = .exactly(2)
        after.processors = ProcessorList("0-1")
        after.maxBindings = 1
        after.maxMembers = 1
        #expect(
            after.settingsThatNeedRestart(comparedTo: before)
                == ["homeDevice", "workers", "processors", "maxBindings", "maxMembers"])
    }

    @Test(
        "A list of processors is as the kernel writes it",
        arguments: [
            ("0", [0]), ("2-5,8", [2, 3, 4, 5, 8]), ("8,2-3", [8, 2, 3]), ("7-7", [7]), ("", nil), ("1,", nil),
            ("3-1", nil), ("1-2-3", nil), ("-1", nil), ("0,0", nil), ("1-3,2", nil), ("8192", nil), ("a", nil),
            ("0-99999999999999999999", nil),
        ] as [(String, [Int]?)])
    func processors(_ text: String, _ expected: [Int]?) {
        #expect(ProcessorList(text)?.numbers == expected)
    }

    @Test("The number of workers is one that is named, or that of the processors")
    func workers() throws {
        #expect(try resolve(["--endpoint", "192.0.2.1"]).workerCount == 1)
        #expect(try resolve(["--endpoint", "192.0.2.1", "--workers", "16"]).workerCount == 16)
        let automatic = try withFile(#"{ "workers": "auto" }"#) { try resolve(["--config", $0]) }
        #expect(automatic.workers == .automatic)
        #expect(automatic.workerCount == min(16, ProcessInfo.processInfo.activeProcessorCount))
    }
}
