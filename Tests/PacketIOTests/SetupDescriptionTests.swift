import RouteNetlink
import Testing
import Wire

@testable import PacketIO

@Suite("Setup descriptions")
struct SetupDescriptionTests {
    static func description(_ change: (inout SetupDescription) -> Void) -> SetupDescription {
        var description = SetupDescription(homeDevice: "moor0", accessDevice: "moor1")
        change(&description)
        return description
    }

    static func refusal(_ description: SetupDescription) -> String {
        do {
            _ = try SetupPlan(description)
            return ""
        } catch {
            return error.description
        }
    }

    @Test(
        "A device name that could do harm in a path or a command is refused",
        arguments: [
            "", ".", "..", "a/b", "../../kernel", "all", "default", "a b", "a\nb", "tun%d", "eth0:1", "a\u{0}b",
            "naïve",
            "sixteen-bytes-xx",
        ])
    func refusesNames(name: String) {
        #expect(!Self.refusal(Self.description { $0.homeDevice = name }).isEmpty)
        #expect(!Self.refusal(Self.description { $0.accessDevice = name }).isEmpty)
        #expect(!Self.refusal(Self.description { $0.arrivalInterfaces = [name] }).isEmpty)
    }

    @Test("What does not fit is refused with what to do")
    func refusesValues() throws {
        let v6 = try #require(IPInterfaceAddress("ff02::1/64"))
        let v4 = try #require(IPInterfaceAddress("127.0.0.2/8"))
        let endpoint = try #require(IPv4Address("192.0.2.1"))
        let cases: [(String, (inout SetupDescription) -> Void)] = [
            ("IPv6 needs 1280", { $0.homeMTU = 1279 }),
            ("65535 is the most", { $0.homeMTU = 65536 }),
            ("1500 as a rule", { $0.accessMTU = 67 }),
            ("give one for both", { ($0.accessDevice, $0.accessMTU) = ("moor0", 1400) }),
            ("4096 as a rule", { $0.transmitQueueLength = 0 }),
            ("can't be an address", { $0.homeAddresses = [v6] }),
            ("can't be an address", { $0.homeAddresses = [v4] }),
            ("no unicast address", { $0.endpoints = [IPv4Address(rawValue: 0xE000_0001)] }),
            ("described twice", { $0.endpoints = [endpoint, endpoint] }),
            ("1024 is the most", { $0.endpoints = (1...1025).map { IPv4Address(rawValue: 0x0A00_0000 + $0) } }),
            ("ipv6, ipv4, gre, minimal, udp", { ($0.sharesEndpoint, $0.diverted) = (true, []) }),
            ("take 434", { $0.divertTable = .main }),
            ("one of the forwarder's own", { $0.arrivalInterfaces = ["moor1"] }),
        ]
        for (words, change) in cases {
            #expect(Self.refusal(Self.description(change)).contains(words), "\(words)")
        }
        #expect(Self.refusal(Self.description { _ in }) == "")
    }

    @Test(
        "A word of a command is quoted where a shell would read more than a word",
        arguments: [
            ("moor0", "moor0"), ("a$(id)", "'a$(id)'"), ("a'b", "'a'\\''b'"), ("", "''"), ("a;b", "'a;b'"),
            ("*", "'*'"),
        ])
    func quotes(text: String, quoted: String) {
        #expect(shellWord(text) == quoted)
    }
}
