import Bindings
import Foundation
import MobileIP
import TestSupport
import Testing
import Wire

@testable import MobileNode

@Suite("mooring-mn's configuration file")
struct NodeSettingsTests {
    /// What comes of a file whose key is `key` in the same directory.
    private func read(
        _ text: String, key: String = "000102030405060708090a0b0c0d0e0f", keyMode: mode_t = 0o600
    ) async throws -> Result<NodeSettings, StrictJSON.Failure> {
        try await TemporaryDirectory.with { directory in
            let (path, keyPath) = ("\(directory)/mooring-mn.toml", "\(directory)/key")
            try Data(key.utf8).write(to: URL(fileURLWithPath: keyPath))
            #expect(chmod(keyPath, keyMode) == 0)
            try Data(text.replacing("KEY", with: keyPath).utf8).write(to: URL(fileURLWithPath: path))
            return Result { () throws(StrictJSON.Failure) in try NodeSettings(contentsOf: path) }.mapError { failure in
                StrictJSON.Failure(failure.place.replacing(directory, with: ""), failure.problem)
            }
        }
    }

    static let minimal = """
        homeAddress = "198.51.100.7"
        homeAgents = ["192.0.2.1"]
        [securityAssociation]
        securityParameterIndex = 256
        keyFile = "KEY"
        """

    @Test("needs a home address, a home agent and a security association")
    func minimal() async throws {
        let settings = try await read(Self.minimal).get()
        #expect(settings.node.homeAddress == IPv4Address("198.51.100.7"))
        #expect(settings.node.homeAgents == [IPv4Address("192.0.2.1")!])
        let key = Array(UInt8(0)..<16)
        #expect(settings.node.securityAssociation == (try SecurityAssociation(securityParameterIndex: 256, key: key)))
        #expect(settings.homeDevice == "mooring-home" && settings.table == 435)
    }

    @Test("may say all that there is")
    func everything() async throws {
        let settings = try await read(
            """
            identifier = "mn@example.net"
            homeAddress = "198.51.100.7"
            homeAgents = ["192.0.2.1", "192.0.2.2"]
            opensLinkLocal = true
            prefixTunnel = "home-address"
            encapsulations = ["gre", "ip-in-ip"]
            reverseTunneling = "preferred"
            greKey = 0xffffffff
            mobileNetworks = ["10.1.0.0/16"]
            lifetime = 65535
            renewalMargin = 5
            udpTunneling = "off"
            keepaliveInterval = 30
            acceptsRevocation = false
            port = 4340
            interfaces = ["wlan0", "eth0"]
            homeDevice = "tun7"
            forwarder = "/tmp/d.sock"
            socket = "/tmp/n.sock"
            table = 77
            tunnelMTU = 1400
            logLevel = "debug"
            [securityAssociation]
            securityParameterIndex = 0x100
            keyFile = "KEY"
            algorithm = "hmac-sha-256"
            replayProtection = "nonces"
            [foreignSecurityAssociation]
            securityParameterIndex = 257
            keyFile = "KEY"
            tolerance = 3
            [[prefixes]]
            prefix = "2001:db8:1::/64"
            [[prefixes]]
            prefix = "2001:db8:2::/64"
            address = "2001:db8:2::77"
            """
        ).get()
        let node = settings.node
        #expect(node.identifier == NetworkAccessIdentifier("mn@example.net"))
        #expect(node.prefixes.map(\.address) == [IPv6Address("2001:db8:1::1")!, IPv6Address("2001:db8:2::77")!])
        #expect(node.encapsulations == [.gre, .ipInIP] && node.greKey == .max && node.prefixTunnel == .homeAddress)
        #expect(node.reverseTunneling == .preferred && node.udpTunneling == .off && node.opensLinkLocal)
        #expect(node.lifetime.isInfinite && node.renewalMargin == .seconds(5) && node.keepaliveInterval == .seconds(30))
        #expect(node.mobileNetworks == [IPv4Prefix("10.1.0.0/16")!] && !node.acceptsRevocation && node.port == 4340)
        #expect(node.securityAssociation.algorithm == .hmacSHA256)
        #expect(node.securityAssociation.replayProtection == .nonces)
        #expect(node.foreignSecurityAssociation?.replayProtection == .timestamps(tolerance: .seconds(3)))
        #expect(settings.interfaces == ["wlan0", "eth0"] && settings.homeDevice == "tun7" && settings.table == 77)
        #expect(settings.forwarder == "/tmp/d.sock" && settings.socket == "/tmp/n.sock")
        #expect(settings.tunnelMTU == 1400 && settings.logLevel == .debug)
    }

    static let faults: [(String, String)] = [
        (minimal.replacing("homeAddress", with: "homeadress"), "homeadress"),
        (minimal.replacing("198.51.100.7", with: "198.51.100"), "homeAddress"),
        (minimal.replacing("192.0.2.1", with: "224.0.0.1"), "homeAgents[0]"),
        (minimal.replacing("256", with: "255"), "securityAssociation"),
        (minimal.replacing("256", with: "-1"), "securityAssociation.securityParameterIndex"),
        (minimal + "\nkey = \"00\"", "securityAssociation.key"),
        (minimal + "\nreplayProtection = \"none\"", "securityAssociation.replayProtection"),
        (minimal + "\n[[prefixes]]\nprefix = \"2001:db8::1/64\"", "prefixes[0].prefix"),
        (minimal + "\n[[prefixes]]\nprefix = \"fe80::/64\"", "prefixes[0]"),
        ("lifetime = 4\n" + minimal, "lifetime"), ("lifetime = \"long\"\n" + minimal, "lifetime"),
        ("table = 254\n" + minimal, "table"), ("interfaces = [\"a b\"]\n" + minimal, "interfaces[0]"),
        ("tunnelMTU = 1500\n" + minimal, "tunnelMTU"), ("port = 0\n" + minimal, "port"),
        (
            "renewalMargin = 301\n" + minimal,
            "renewalMargin: 301 is more than half of the lifetime of 600 seconds: take 300 at the most"
        ),
        ("lifetime = 9\nrenewalMargin = 5\n" + minimal, "renewalMargin: 5 is more than half of the lifetime of 9"),
        (minimal.replacing("192.0.2.1", with: "127.0.0.1"), "homeAgents[0]"),
        (minimal.replacing("192.0.2.1", with: "198.51.100.7"), "homeAgents[0]: 198.51.100.7 is the home address"),
        ("mobileNetworks = [\"0.0.0.0/0\"]\n" + minimal, "mobileNetworks[0]: 0.0.0.0/0 is all of IPv4"),
        ("mobileNetworks = [\"10.0.0.0/8\", \"127.0.0.0/8\"]\n" + minimal, "mobileNetworks[1]: 127.0.0.0/8 is no"),
        ("mobileNetworks = [\"192.0.2.0/24\"]\n" + minimal, "mobileNetworks[0]: 192.0.2.0/24 has the home agent's"),
        ("mobileNetworks = [\"198.51.100.7/32\"]\n" + minimal, "mobileNetworks[0]: 198.51.100.7/32 is the home"),
        ("interfaces = []\n" + minimal, "interfaces: is empty"),
        ("homeDevice = \"sixteen-bytes-xx\"\n" + minimal, "homeDevice: is no device name"),
        ("socket = \"\"\n" + minimal, "socket: is no path"), ("forwarder = \"\"\n" + minimal, "forwarder: is no path"),
        ("socket = \"a\\u0000b\"\n" + minimal, "socket: is no path"),
        ("socket = \"/\(String(repeating: "s", count: 107))\"\n" + minimal, "has 108 bytes"),
        ("forwarder = \"/\(String(repeating: "s", count: 107))\"\n" + minimal, "forwarder: /sss"),
        (minimal + "\n[[prefixes]]\nprefix = \"::ffff:1.2.3.4/128\"", "prefixes[0]: ::ffff:1.2.3.4/128 is no prefix"),
        ("", "lacks"), ("homeAddress = ", "line 1, column"),
    ]

    @Test("is refused with the place of what is wrong", arguments: faults)
    func fault(text: String, place: String) async throws {
        guard case .failure(let failure) = try await read(text) else {
            Issue.record("was taken")
            return
        }
        #expect("\(failure)".contains(place), "\(failure)")
        #expect(failure.place.hasPrefix("/mooring-mn.toml"))
    }

    @Test("takes the longest path that a socket can have")
    func socketPath() async throws {
        let path = "/" + String(repeating: "s", count: 106)
        #expect(try await read("socket = \"\(path)\"\n" + Self.minimal).get().socket == path)
    }

    @Test("renews half of the lifetime before its end at the most, and what is shorter by default too")
    func renewal() async throws {
        #expect(try await read("renewalMargin = 300\n" + Self.minimal).get().node.renewalMargin == .seconds(300))
        let ever = "lifetime = 65535\nrenewalMargin = 32767\n"
        #expect(try await read(ever + Self.minimal).get().node.renewalMargin == .seconds(32_767))
        #expect(try await read("lifetime = 5\n" + Self.minimal).get().node.lifetime.seconds == 5)
    }

    @Test("takes a key only from a file that others can't read, and says which")
    func keyFile() async throws {
        guard case .failure(let failure) = try await read(Self.minimal, keyMode: 0o644) else {
            Issue.record("was taken")
            return
        }
        #expect(failure.place == "/key" && failure.problem.contains("chmod 600"))
        guard case .failure(let short) = try await read(Self.minimal, key: "00ff") else {
            Issue.record("was taken")
            return
        }
        #expect(short.problem.contains("too short"))
    }
}
