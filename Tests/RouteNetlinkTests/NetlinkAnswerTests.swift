// The parser against answers as they should be, and as they should not. The good ones are a Linux 6.18 kernel's, taken
// down by a Python script with a bare netlink socket in a namespace with one TUN device, `ip` having made what they
// tell of.

import CLinuxNet
import Testing
import Wire

@testable import RouteNetlink

@Suite("Netlink answers")
struct NetlinkAnswerTests {
    /// `ip route add 192.0.2.1/32 dev moor0 table 434 proto 54`, moor0 being number 2.
    static let route = bytes(
        """
        3400000018002200010000007708000002200000fc36fd011000000008000f00b2010000
        08000100c00002010800040002000000
        """)
    /// `ip -6 addr add 2001:db8:1::1/64 dev moor0 nodad`.
    static let address = bytes(
        """
        480000001400220001000000770800000a408200020000001400010020010db800010000000000000000000114000600
        ffffffffffffffff848f0500848f05000800080082000000
        """)
    /// The first half of `ip rule` in a namespace with `ip rule add pref 0 ipproto 41 lookup 434 protocol 54` and
    /// `ip rule add pref 9 fwmark 3 iif lo lookup 100000`.
    static let rules = bytes(
        """
        3400000020000200010000007708000002000000ff0000010000000008000f00ff00000008000e00ffffffff05001500
        020000003c00000020000200010000007708000002000000fc0000010000000008000f00b201000008000e00ffffffff
        050015003600000005001600290000005400000020000200010000007708000002000000fc0000010000000008000f00
        a086010008000e00ffffffff0500150000000000070003006c6f0000080006000900000008000a000300000008001000
        ffffffff
        """)
    /// A route through a gateway that can't be reached, with NETLINK_CAP_ACK and without.
    static let cappedError = bytes(
        """
        4400000002000003010000006a0b00009bffffff2c000000180005060100000000000000200001004e657874686f7020
        68617320696e76616c6964206761746577617900
        """)
    static let fullError = bytes(
        """
        6000000002000002010000006a0b00009bffffff2c00000018000506010000000000000002200000fe36000100000000
        08000100c000020908000500cb007105200001004e657874686f702068617320696e76616c6964206761746577617900
        """)

    static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.compactMap(\.hexDigitValue).map(UInt8.init)
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    static func only(_ bytes: [UInt8]) throws -> NetlinkMessage {
        let messages = try NetlinkMessage.parse(bytes[...])
        return try #require(messages.count == 1 ? messages.first : nil)
    }

    /// Reads whatever the bytes hold, as a dump or an acknowledgement would.
    static func read(_ bytes: ArraySlice<UInt8>) throws(RouteError) {
        for message in try NetlinkMessage.parse(bytes) {
            _ = try Link(message)
            _ = try InterfaceAddress(message)
            _ = try Route(message)
            _ = try RoutingRule(message)
            if [NLMSG_ERROR, NLMSG_DONE].contains(Int32(message.type)) { _ = try message.outcome() }
        }
    }

    @Test("A route is read as ip made it")
    func readsRoute() throws {
        let route = try #require(try Route(Self.only(Self.route)))
        let endpoint = try #require(IPv4Address("192.0.2.1"))
        #expect(
            route
                == Route(
                    to: .host(endpoint), link: 2, table: RouteTable(rawValue: 434), origin: RouteOrigin(rawValue: 54)))
    }

    @Test("An address is read as ip made it")
    func readsAddress() throws {
        let address = try #require(try InterfaceAddress(Self.only(Self.address)))
        #expect(address.description == "2001:db8:1::1/64")
        #expect(address.link == 2)
        #expect(address.skipsDuplicateDetection)
        #expect(!address.isTentative)
    }

    @Test("Rules are read as ip made them, and what this code does not know counts as a condition")
    func readsRules() throws {
        let rules = try NetlinkMessage.parse(Self.rules[...]).map { try #require(try RoutingRule($0)) }
        #expect(
            rules.map(\.description) == [
                "pref 0 lookup local", "pref 0 ipproto 41 lookup 434", "pref 9 iif lo lookup 100000",
            ])
        #expect(rules.map(\.hasOtherConditions) == [false, false, true])
        #expect(rules.map(\.origin.rawValue) == [2, 54, 0])
        #expect(rules.map(\.isUnconditional) == [true, false, false])
    }

    @Test("The kernel's words are found, whether or not it repeats the request", arguments: [cappedError, fullError])
    func readsWords(error: [UInt8]) throws {
        let outcome = try Self.only(error).outcome()
        #expect(outcome.number == 101)  // ENETUNREACH
        #expect(outcome.text == "Nexthop has invalid gateway")
        let failure = RouteError(number: outcome.number, doing: "add the route", kernelText: outcome.text)
        #expect(failure.reason == .refused(101))
        #expect(failure.description == "can't add the route: Network is unreachable (Nexthop has invalid gateway)")
    }

    @Test("An answer cut anywhere is refused", arguments: [route, address, rules, cappedError, fullError])
    func refusesCutAnswers(answer: [UInt8]) throws {
        let ends = try NetlinkMessage.parse(answer[...]).reduce(into: [0]) { ends, message in
            ends.append((ends.last ?? 0) + 16 + message.body.count)
        }
        for length in 0..<answer.count where !ends.contains(length) {
            #expect(throws: RouteError.self, "cut at \(length)") { try Self.read(answer[..<length]) }
        }
    }

    @Test(
        "An answer with any one byte changed is read or refused, never read beyond its end",
        arguments: [route, address, rules, cappedError, fullError])
    func survivesChangedBytes(answer: [UInt8]) {
        var refused = 0
        for index in answer.indices {
            for value in [0, 1, 3, 4, 0x7F, 0x80, 0xFF, answer[index] &+ 1, answer[index] &- 1] as [UInt8] {
                var changed = answer
                changed[index] = value
                do { try Self.read(changed[...]) } catch { refused += 1 }
            }
        }
        #expect(refused > 0)
    }

    @Test(
        "Wrong lengths are refused",
        arguments: [
            (route, 0, [15, 0, 0, 0]), (route, 0, [53, 0, 0, 0]), (route, 0, [0xFF, 0xFF, 0xFF, 0xFF]),
            (route, 28, [3, 0]), (route, 28, [0, 0]), (route, 28, [0xFF, 0xFF]),  // an attribute of 3, 0, 65535 bytes
            (route, 36, [7, 0]),  // an address of 3 bytes
            (route, 36, [9, 0]),  // of 5, which also moves the next attribute
            (route, 44, [6, 0]),  // a device number of 2 bytes
            (route, 17, [33]),  // a prefix of 33 bits
            (route, 17, [24]),  // a prefix with a host bit set
            (address, 17, [129]), (address, 24, [8, 0]),
            (rules, 28, [12, 0]),
            (cappedError, 16, [1, 0, 0, 0]),  // a positive error
            (cappedError, 16, [0, 0, 0, 0x80]),  // whose negation is no number
            (fullError, 20, [0xFF, 0xFF, 0xFF, 0xFF]), (fullError, 20, [15, 0, 0, 0]),
        ] as [([UInt8], Int, [UInt8])])
    func refusesWrongLengths(answer: [UInt8], offset: Int, replacement: [UInt8]) {
        var changed = answer
        changed.replaceSubrange(offset..<offset + replacement.count, with: replacement)
        #expect {
            try Self.read(changed[...])
        } throws: {
            ($0 as? RouteError)?.reason == .malformedAnswer
        }
    }

    @Test("Control characters and endless text from the kernel do not reach a terminal")
    func tamesText() throws {
        var attribute: [UInt8] = [0, 0, 1, 0] + [0x1B, 0x5B, 0x32, 0x4A, 0x0A] + [UInt8](repeating: 0x61, count: 5000)
        attribute[0] = UInt8(attribute.count & 0xFF)
        attribute[1] = UInt8(attribute.count >> 8)
        let text = try #require(try NetlinkAttributes(attribute[...]).text(1))
        #expect(text.hasPrefix("?[2J?aaa"))
        #expect(text.utf8.count == NetlinkAttributes.maximumText)
    }

    @Test("Lacking privilege is named with its remedy", arguments: [1, 13] as [Int32])
    func explainsPrivilege(number: Int32) {
        let error = RouteError(number: number, doing: "add the route 192.0.2.1/32")
        #expect(error.reason == .notPermitted)
        #expect(error.description.hasPrefix("can't add the route 192.0.2.1/32: "))
        #expect(error.description.contains("CAP_NET_ADMIN"))
    }
}
