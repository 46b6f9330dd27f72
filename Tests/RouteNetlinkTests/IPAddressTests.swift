import Testing
import Wire

@testable import RouteNetlink

@Suite("Addresses and prefixes of either family")
struct IPAddressTests {
    @Test(
        "Prefixes are read and printed",
        arguments: ["0.0.0.0/0", "192.0.2.0/24", "192.0.2.7/32", "::/0", "2001:db8::/32", "2001:db8::1/128"])
    func prefixes(text: String) throws {
        let prefix = try #require(IPPrefix(text))
        #expect(prefix.description == text)
        #expect(prefix.family == (text.contains(":") ? .v6 : .v4))
        #expect(text.hasSuffix("/\(prefix.length)"))
    }

    @Test(
        "No prefix",
        arguments: ["", "/", "192.0.2.0", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/024", "2001:db8::1/32", "::/129"])
    func noPrefix(text: String) {
        #expect(IPPrefix(text) == nil)
    }

    @Test(
        "Addresses of interfaces are read with their lengths, and their networks told",
        arguments: [
            ("192.0.2.7/24", "192.0.2.7/24", "192.0.2.0/24"), ("192.0.2.7", "192.0.2.7/32", "192.0.2.7/32"),
            ("192.0.2.7/32", "192.0.2.7/32", "192.0.2.7/32"), ("192.0.2.7/0", "192.0.2.7/0", "0.0.0.0/0"),
            ("192.0.2.7/31", "192.0.2.7/31", "192.0.2.6/31"),
            ("2001:db8::1/64", "2001:db8::1/64", "2001:db8::/64"),
            ("2001:db8::1", "2001:db8::1/128", "2001:db8::1/128"),
        ])
    func interfaceAddresses(text: String, description: String, network: String) throws {
        let address = try #require(IPInterfaceAddress(text))
        #expect(address.description == description)
        #expect(address.network.description == network)
    }

    @Test(
        "No address of an interface",
        arguments: [
            "", "/", "192.0.2.7/", "192.0.2.7/33", "192.0.2.7/-1", "192.0.2.7/24/24", "192.0.2/24", "2001:db8::1/129",
        ])
    func noInterfaceAddress(text: String) {
        #expect(IPInterfaceAddress(text) == nil)
    }

    @Test("What an interface can bear")
    func bearable() throws {
        let good = ["192.0.2.7", "198.51.100.255", "2001:db8::1", "fe80::1"]
        let bad = ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "ff02::1"]
        for text in good { #expect(try #require(IPInterfaceAddress(text)).address.isInterfaceAddress, "\(text)") }
        for text in bad { #expect(try !#require(IPInterfaceAddress(text)).address.isInterfaceAddress, "\(text)") }
    }
}
