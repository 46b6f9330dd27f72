// RFC 5944, 1.8 and 3.3 to 3.5, RFC 3543, 3.3 and 3.4, and their extensions. The bytes come from
// Tests/Vectors/mobileip.py.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Messages of Mobile IPv4")
struct MessageTests {
    private static let request = RegistrationRequest(
        flags: [.decapsulationByMobileNode, .reverseTunneling], lifetime: RegistrationLifetime(seconds: 600),
        homeAddress: IPv4Address(rawValue: 0xC633_6407), homeAgent: IPv4Address(rawValue: 0xC000_0201),
        careOfAddress: IPv4Address(rawValue: 0xCB00_7109), identification: 0x0123_4567_89AB_CDEF)

    private static func prefixRequest(_ number: Int) -> MobileIPExtension {
        .ipv6PrefixRequest(
            IPv6PrefixRequest(
                prefix: IPv6HomePrefix(length: 64, address: IPv6Address(high: UInt64(number) << 16, low: 0))))
    }

    @Test("F1 F2 F3 F5 every field and extension is read", arguments: MobileIPVectors.all.messages)
    func read(_ vector: MobileIPVectors.Message) throws {
        let datagram = try MobileIPDatagram.parse(vector.bytes.bytes)
        #expect(areEqual(datagram.message, try vector.value), "\(datagram.message)")
        let skipped = datagram.skipped.countByType.map { ("\($0)", $1) }
        #expect(Dictionary(uniqueKeysWithValues: skipped) == vector.skipped)
        #expect(datagram.skipped.count == vector.skipped.values.reduce(0, +))
        #expect(datagram.authentications.map(\.value.kind.rawValue) == vector.authentications.map(\.type))
        #expect(datagram.authentications.map(\.index) == vector.authentications.map(\.index))
        #expect(datagram.authentications.map(\.coveredLength) == vector.authentications.map(\.covered))
        if case .registrationRequest(let received) = datagram {
            #expect(received.hasReservedBits == vector.reserved)
            #expect(received.bytes == vector.bytes.bytes)
        }
    }

    @Test(
        "F1 F2 F3 every field is written, reserved bits and bits past a prefix as zero",
        arguments: MobileIPVectors.all.messages)
    func write(_ vector: MobileIPVectors.Message) throws {
        let value = try vector.value
        let bytes = try value.write()
        #expect(hexadecimal(bytes) == hexadecimal(vector.written.bytes))
        #expect(value.length == bytes.count)
        #expect(areEqual(try MobileIPDatagram.parse(bytes).message, value))
        let received = try MobileIPDatagram.parse(vector.bytes.bytes).message
        #expect(hexadecimal(try received.write()) == hexadecimal(vector.written.bytes))
    }

    @Test("a message that is cut off is refused, or is the shorter message where an extension ends")
    func truncated() throws {
        for vector in MobileIPVectors.all.messages {
            // What is cut off of a dynamic home agent extension is skipped by its second byte, as the file of that
            // says.
            if vector.extensions.contains(where: { $0.kind == "dynamicHomeAgent" }) { continue }
            let fixedLength = vector.ends[0]
            for length in 0..<vector.bytes.bytes.count {
                let reason = refusal(of: Array(vector.bytes.bytes[..<length]))
                let expected: MobileIPError? =
                    length == 0
                    ? .messageEmpty
                    : length < fixedLength
                        ? .messageTruncated
                        : vector.ends.contains(length) ? nil : .extensionTruncated
                #expect(reason == expected, "\(vector.name), \(length) bytes")
            }
        }
    }

    @Test("malformed messages are refused for what is wrong", arguments: MobileIPVectors.all.malformed)
    func malformed(_ vector: MobileIPVectors.Malformed) {
        #expect(refusal(of: vector.bytes.bytes)?.name == vector.reason)
    }

    @Test("a message of another type is refused by a type's own reader")
    func otherType() throws {
        for vector in MobileIPVectors.all.messages where vector.type != 3 {
            #expect(throws: MobileIPError.messageTypeUnknown) { try RegistrationReply.parse(vector.bytes.bytes) }
        }
        #expect(throws: MobileIPError.messageEmpty) { try RegistrationReply.parse([]) }
    }

    @Test("a message is read out of memory as out of an array")
    func span() throws {
        let bytes = MobileIPVectors.message("a prefix request and the tunneling mode").bytes.bytes
        #expect(try RegistrationRequest.parse(bytes.span.bytes) == RegistrationRequest.parse(bytes))
        let long = [UInt8](repeating: 1, count: 65508)
        #expect(throws: MobileIPError.messageTooLong) { try RegistrationRequest.parse(long.span.bytes) }
        #expect(throws: MobileIPError.messageTooLong) { try RegistrationRequest.parse(long) }
    }

    @Test("R1 a request has as many prefix requests as a datagram has room for")
    func manyPrefixes() throws {
        var request = Self.request
        request.extensions = (0..<3274).map { Self.prefixRequest($0) }
        let bytes = try request.write()
        #expect(bytes.count == 24 + 3274 * 20)
        #expect(try RegistrationRequest.parse(bytes).message == request)
        request.extensions.append(Self.prefixRequest(3274))
        #expect(throws: MobileIPError.messageTooLong) { try request.write() }
    }

    @Test("more extensions than are kept are refused, and skipped ones are not kept")
    func manyExtensions() throws {
        var request = Self.request
        let fixedPart = try request.write()
        request.extensions = Array(repeating: .encapsulatingDeliveryStyle, count: 4096)
        var bytes = try request.write()
        #expect(try RegistrationRequest.parse(bytes).message == request)
        bytes += [130, 0]
        #expect(refusal(of: bytes) == .tooManyExtensions)
        request.extensions.append(.encapsulatingDeliveryStyle)
        #expect(throws: MobileIPError.tooManyExtensions) { try request.write() }
        let skipped = try RegistrationRequest.parse(fixedPart + Array(repeating: [200, 0], count: 30000).joined())
        #expect(skipped.skipped.countByType == [200: 30000])
    }

    @Test("R3 extensions behind the mobile-home authentication are told from those that it covers")
    func order() throws {
        let bytes = MobileIPVectors.message("an extension behind the authentication").bytes.bytes
        let received = try RegistrationRequest.parse(bytes)
        #expect(received.extensions(before: .mobileHome) == received.message.extensions[..<1])
        #expect(received.extensions(behind: .mobileHome) == received.message.extensions[2...])
        #expect(received.extensions(before: .foreignHome).isEmpty && received.extensions(behind: .foreignHome).isEmpty)

        let relayed = try RegistrationRequest.parse(MobileIPVectors.message("relayed by a foreign agent").bytes.bytes)
        #expect(relayed.extensions(before: .mobileHome) == relayed.message.extensions[..<1])
        #expect(relayed.extensions(behind: .mobileHome) == relayed.message.extensions[2...3])
        #expect(relayed.extensions(before: .foreignHome) == relayed.message.extensions[..<4])
        #expect(relayed.extensions(behind: .foreignHome).isEmpty)

        let bare = try RegistrationRequest.parse(MobileIPVectors.message("a request without extensions").bytes.bytes)
        #expect(bare.extensions(before: .mobileHome).isEmpty && bare.extensions(behind: .mobileHome).isEmpty)
    }

    @Test("F1 length 255 with a link-local address asks for link-local traffic; other lengths above 128 mean nothing")
    func homePrefix() throws {
        let address = try #require(IPv6Address("fe80::1"))
        let linkLocal = IPv6HomePrefix(linkLocal: address)
        #expect(linkLocal.length == 255 && linkLocal.linkLocalAddress == address && linkLocal.prefix == nil)
        #expect(linkLocal.description == "fe80::1/255")
        let prefix = try #require(IPv6Prefix("2001:db8::/32"))
        #expect(IPv6HomePrefix(prefix).prefix == prefix && IPv6HomePrefix(prefix).linkLocalAddress == nil)
        let global = try #require(IPv6Address("2001:db8::1"))
        for length in UInt8.min...UInt8.max {
            let value = IPv6HomePrefix(length: length, address: global)
            #expect((value.prefix == nil) == (length > 128))
            #expect(value.linkLocalAddress == nil)
            #expect(value.isMeaningless == (length > 128))
            let local = IPv6HomePrefix(length: length, address: address)
            #expect(local.isMeaningless == (129...254).contains(length))
        }
    }

    @Test("lengths of mobile networks that no prefix has are kept, and are none")
    func networkPrefix() throws {
        let prefix = try #require(IPv4Prefix("198.51.100.0/24"))
        #expect(MobileNetworkPrefix(prefix).prefix == prefix)
        let address = IPv4Address(rawValue: .max)
        for length in UInt8.min...UInt8.max {
            #expect((MobileNetworkPrefix(length: length, address: address).prefix == nil) == (length > 32))
        }
    }

    @Test("F4 prefix reply codes up to 7 accept, those from 8 on reject; four have a meaning")
    func prefixReplyCodes() {
        for number in UInt8.min...UInt8.max {
            let code = IPv6PrefixReplyCode(rawValue: number)
            #expect(code.isAccepted == (number < 8))
            #expect(code.explanation.hasPrefix(number < 8 ? "Accepted" : "Rejected"))
            #expect(code.explanation.contains("not known") == ![0, 1, 8, 9].contains(number), "\(number)")
        }
        #expect(IPv6PrefixReplyCode.acceptedHomeAddress.rawValue == 0)
        #expect(IPv6PrefixReplyCode.acceptedCareOfAddress.rawValue == 1)
        #expect(IPv6PrefixReplyCode.reasonUnspecified.rawValue == 8)
        #expect(IPv6PrefixReplyCode.administrativelyProhibited.rawValue == 9)
    }

    @Test("names are written for people without what could deceive them")
    func identifiers() throws {
        #expect(NetworkAccessIdentifier("node@example.net")?.description == "node@example.net")
        #expect(NetworkAccessIdentifier(bytes: [0x61, 0x0A, 0x5C, 0x7F, 0xC3])?.description == #"a\x0a\x5c\x7f\xc3"#)
        #expect(NetworkAccessIdentifier("") == nil)
        #expect(NetworkAccessIdentifier(bytes: [UInt8](repeating: 97, count: 254)) != nil)
        #expect(NetworkAccessIdentifier(bytes: [UInt8](repeating: 97, count: 255)) == nil)
        #expect(Challenge(bytes: []) == nil && Challenge(bytes: [UInt8](repeating: 0, count: 256)) == nil)
    }

    @Test("a lifetime of 0xFFFF is for ever")
    func lifetimes() {
        #expect(RegistrationLifetime.infinite.isInfinite && RegistrationLifetime.infinite.duration == nil)
        #expect(RegistrationLifetime(seconds: 0xFFFE).duration == .seconds(0xFFFE))
        #expect(RegistrationLifetime.zero.isZero && RegistrationLifetime.zero < .infinite)
        #expect("\(RegistrationLifetime(seconds: 7)), \(RegistrationLifetime.infinite)" == "7 s, for ever")
        var request = Self.request
        #expect(!request.isDeregistration && !request.isDeregistrationOfAll)
        request.lifetime = .zero
        #expect(request.isDeregistration && !request.isDeregistrationOfAll)
        request.careOfAddress = request.homeAddress
        #expect(request.isDeregistrationOfAll)
    }

    @Test("every reason has a name of its own and a sentence")
    func reasons() {
        #expect(Set(MobileIPError.allCases.map(\.name)).count == MobileIPError.allCases.count)
        #expect(Set(MobileIPError.allCases.map(\.explanation)).count == MobileIPError.allCases.count)
        #expect(MobileIPError.extensionUnrecognized.name == "extension-unrecognized")
        #expect(Set(AuthenticationError.allCases.map(\.explanation)).count == AuthenticationError.allCases.count)
        #expect(AuthenticationError.authenticatorMismatch.name == "authenticator-mismatch")
    }
}
