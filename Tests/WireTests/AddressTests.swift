// Addresses and prefixes: what is read and printed equals what Python's `ipaddress` reads and prints, and the examples
// of RFC 5952 come out as that RFC says.

import TestSupport
import Testing
import Wire

private struct AddressVectors: Decodable {
    struct IPv6Text: Decodable {
        let text: String
        let bytes: Hex
        let shortest: String
    }
    struct IPv4Text: Decodable {
        let text: String
        let number: UInt32
    }
    struct IPv6PrefixText: Decodable {
        let text: String
        let bytes: Hex
        let length: UInt8
        let shortest: String
    }
    struct IPv4PrefixText: Decodable {
        let text: String
        let number: UInt32
        let length: UInt8
    }

    let ipv6: [IPv6Text]
    let ipv6Invalid: [String]
    let ipv4: [IPv4Text]
    let ipv4Invalid: [String]
    let ipv6Prefixes: [IPv6PrefixText]
    let ipv6PrefixesInvalid: [String]
    let ipv4Prefixes: [IPv4PrefixText]
    let ipv4PrefixesInvalid: [String]

    static let all: AddressVectors = Vectors.load("addresses")
}

@Suite("Addresses")
struct AddressTests {
    @Test("every spelling of an IPv6 address is read, and printed in its one shortest form")
    func ipv6() {
        for vector in AddressVectors.all.ipv6 {
            let address = IPv6Address(vector.text)
            #expect(address == IPv6Address(bytes: vector.bytes.bytes), "\(vector.text)")
            #expect(address?.description == vector.shortest, "\(vector.text)")
        }
    }

    @Test("what is no IPv6 address is refused")
    func ipv6Invalid() {
        for text in AddressVectors.all.ipv6Invalid { #expect(IPv6Address(text) == nil, "\(text.debugDescription)") }
    }

    @Test("a zone identifier is no part of an address")
    func zone() {
        #expect(IPv6Address("fe80::1%eth0") == nil)
    }

    @Test(
        "RFC 5952, sections 4 and 5",
        arguments: [
            ("2001:0db8::0001", "2001:db8::1"), ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:DB8::ABCD", "2001:db8::abcd"),
            ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:db8:aaaa:bbbb:cccc:dddd:0:1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1"),
            ("2001:db8:0:0:aaaa:0:0:1", "2001:db8::aaaa:0:0:1"), ("0:0:0:0:0:ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("::ffff:c000:0201", "::ffff:192.0.2.1"), ("0:0:0:0:0:0:0:0", "::"), ("0:0:0:0:0:0:0:1", "::1"),
        ])
    func rfc5952(_ text: String, _ shortest: String) throws {
        #expect(try #require(IPv6Address(text)).description == shortest)
    }

    @Test("every IPv6 address is read from what it prints")
    func ipv6RoundTrip() {
        var generator = SeededGenerator(seed: RandomTest.seed(for: "IPv6 addresses"))
        for _ in 0..<RandomTest.count(5000) {
            let mask = generator.next()
            // Groups of zero are frequent.
            func half(_ shift: UInt64) -> UInt64 {
                (0..<4).reduce(0) { half, group in
                    let value = generator.next() & 0xFFFF
                    return half << 16 | (mask >> (shift + UInt64(group)) & 1 == 0 ? 0 : value)
                }
            }
            let address = IPv6Address(high: half(0), low: half(4))
            #expect(IPv6Address(address.description) == address)
        }
    }

    @Test("IPv4 addresses are read and printed")
    func ipv4() {
        for vector in AddressVectors.all.ipv4 {
            #expect(IPv4Address(vector.text)?.rawValue == vector.number, "\(vector.text)")
            #expect(IPv4Address(rawValue: vector.number).description == vector.text)
        }
    }

    @Test("what is no IPv4 address is refused")
    func ipv4Invalid() {
        for text in AddressVectors.all.ipv4Invalid { #expect(IPv4Address(text) == nil, "\(text.debugDescription)") }
    }

    @Test("addresses are in the order of their bits")
    func order() throws {
        let texts = ["::", "::1", "::ffff:ffff:ffff:ffff", "0:0:0:1::", "2001:db8::", "ff02::1"]
        let addresses = try texts.map { try #require(IPv6Address($0)) }
        #expect(addresses.shuffled().sorted() == addresses)
        let ipv4 = try ["0.0.0.1", "9.0.0.0", "10.0.0.0", "192.0.2.1", "255.255.255.255"].map {
            try #require(IPv4Address($0))
        }
        #expect(ipv4.shuffled().sorted() == ipv4)
    }

    @Test(
        "T7 no source of a tunnel packet: this network, loopback, multicast, reserved, broadcast",
        arguments: [
            ("0.0.0.0", false), ("0.255.255.255", false), ("1.0.0.0", true), ("126.255.255.255", true),
            ("127.0.0.0", false), ("127.255.255.255", false), ("128.0.0.0", true), ("223.255.255.255", true),
            ("224.0.0.0", false), ("239.255.255.255", false), ("240.0.0.0", false), ("255.255.255.255", false),
        ])
    func unicastSource(_ text: String, _ expected: Bool) throws {
        #expect(try #require(IPv4Address(text)).isUnicastSource == expected)
    }

    @Test(
        "T7 no inner source (RFC 4213, 3.6)",
        arguments: [
            ("::", true), ("::1", true), ("::2", true), ("::192.0.2.1", true), ("::ffff:192.0.2.1", true),
            ("ff00::", true), ("ff02::1", true), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
            ("::fffe:192.0.2.1", false), ("::1:0:0", false), ("0:0:0:1::", false), ("0:0:0:1::ffff:192.0.2.1", false),
            ("2001:db8::1", false), ("fe80::1", false), ("fe00::1", false), ("64:ff9b::192.0.2.1", false),
        ])
    func forbiddenTunnelSource(_ text: String, _ expected: Bool) throws {
        #expect(try #require(IPv6Address(text)).isForbiddenTunnelSource == expected)
    }

    @Test(
        "multicast, link-local and unspecified addresses",
        arguments: [
            ("::", false, false, true), ("::1", false, false, false), ("fe7f:ffff::", false, false, false),
            ("fe80::", false, true, false), ("febf:ffff::1", false, true, false), ("fec0::", false, false, false),
            ("feff::", false, false, false), ("ff00::", true, false, false), ("ff02::1", true, false, false),
        ])
    func kinds(_ text: String, _ multicast: Bool, _ linkLocal: Bool, _ unspecified: Bool) throws {
        let address = try #require(IPv6Address(text))
        #expect(address.isMulticast == multicast)
        #expect(address.isLinkLocal == linkLocal)
        #expect(address.isUnspecified == unspecified)
    }
}

@Suite("Prefixes")
struct PrefixTests {
    @Test("IPv6 prefixes of all lengths are read and printed")
    func ipv6() {
        for vector in AddressVectors.all.ipv6Prefixes {
            let prefix = IPv6Prefix(vector.text)
            #expect(prefix?.address == IPv6Address(bytes: vector.bytes.bytes), "\(vector.text)")
            #expect(prefix?.length == vector.length, "\(vector.text)")
            #expect(prefix?.description == vector.shortest)
        }
    }

    @Test("what is no IPv6 prefix is refused")
    func ipv6Invalid() {
        for text in AddressVectors.all.ipv6PrefixesInvalid + ["::1", "::/064", "2001:db8::/00"] {
            #expect(IPv6Prefix(text) == nil, "\(text.debugDescription)")
        }
    }

    @Test("IPv4 prefixes of all lengths are read and printed")
    func ipv4() {
        for vector in AddressVectors.all.ipv4Prefixes {
            let prefix = IPv4Prefix(vector.text)
            #expect(prefix?.address.rawValue == vector.number, "\(vector.text)")
            #expect(prefix?.length == vector.length)
            #expect(prefix?.description == vector.text)
        }
    }

    @Test("what is no IPv4 prefix is refused")
    func ipv4Invalid() {
        for text in AddressVectors.all.ipv4PrefixesInvalid + ["192.0.2.0", "192.0.2.0/024"] {
            #expect(IPv4Prefix(text) == nil, "\(text.debugDescription)")
        }
    }

    @Test("F1 bits past the length are cleared by the initialiser that says so, and refused by the other")
    func hostBits() {
        let ones = IPv6Address(high: .max, low: .max)
        for length in UInt8(0)...128 {
            let prefix = IPv6Prefix(containing: ones, length: length)
            #expect(bits(of: prefix.address) == (0..<128).map { $0 < Int(length) })
            #expect(IPv6Prefix(address: prefix.address, length: Int(length)) == prefix)
            #expect((IPv6Prefix(address: ones, length: Int(length)) == nil) == (length < 128))
        }
        #expect(IPv6Prefix(address: .unspecified, length: 129) == nil)
        #expect(IPv6Prefix(address: .unspecified, length: -1) == nil)
        #expect(IPv4Prefix(address: .unspecified, length: 33) == nil)
        #expect(IPv4Prefix(address: .unspecified, length: -1) == nil)
    }

    @Test("a prefix contains exactly the addresses that share its first bits")
    func contains() {
        var generator = SeededGenerator(seed: 3)
        for length in UInt8(0)...128 {
            let inside = IPv6Address(high: generator.next(), low: generator.next())
            let prefix = IPv6Prefix(containing: inside, length: length)
            #expect(prefix.contains(inside))
            for bit in 0..<128 {
                let other =
                    bit < 64
                    ? IPv6Address(high: inside.high ^ 1 << UInt64(63 - bit), low: inside.low)
                    : IPv6Address(high: inside.high, low: inside.low ^ 1 << UInt64(127 - bit))
                #expect(prefix.contains(other) == (bit >= length), "bit \(bit) of \(prefix)")
            }
        }
        for length in 0...32 {
            let ones = IPv4Prefix(address: IPv4Address(rawValue: ~(UInt32.max >> UInt32(length))), length: length)
            for bit in 0..<32 {
                let other = IPv4Address(rawValue: UInt32.max ^ 1 << UInt32(31 - bit))
                #expect(ones?.contains(other) == (bit >= length))
            }
        }
    }

    @Test(
        "prefixes overlap where one holds the other",
        arguments: [
            ("::/0", "2001:db8::/32", true), ("2001:db8::/32", "2001:db8:1::/48", true),
            ("2001:db8::/32", "2001:db9::/48", false), ("2001:db8::/64", "2001:db8::/64", true),
            ("2001:db8::/64", "2001:db8:0:1::/64", false), ("2001:db8::1/128", "2001:db8::/127", true),
            ("2001:db8::2/128", "2001:db8::/127", false),
        ])
    func overlap(_ left: String, _ right: String, _ expected: Bool) throws {
        let (left, right) = (try #require(IPv6Prefix(left)), try #require(IPv6Prefix(right)))
        #expect(left.overlaps(right) == expected)
        #expect(right.overlaps(left) == expected)
    }

    @Test("an interface's address keeps its host bits")
    func interfaceAddress() {
        #expect(IPv6InterfaceAddress("2001:db8::1/64")?.description == "2001:db8::1/64")
        #expect(IPv6InterfaceAddress("2001:db8::1")?.length == 128)
        for text in ["2001:db8::1/129", "2001:db8::1/", "/64", "2001:db8::1/64/64", "", "192.0.2.1/24"] {
            #expect(IPv6InterfaceAddress(text) == nil, "\(text)")
        }
    }

    private func bits(of address: IPv6Address) -> [Bool] {
        [address.high, address.low].flatMap { half in (0..<64).map { half >> UInt64(63 - $0) & 1 == 1 } }
    }
}
