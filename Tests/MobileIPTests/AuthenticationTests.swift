// RFC 5944, 3.5.1 and 5.1. Authenticators are those of RFC 2202 and RFC 4231 and of Python's hmac, by way of
// Tests/Vectors/mobileip.py.

import Crypto
import TestSupport
import Testing

@testable import MobileIP

@Suite("Authentication of Mobile IPv4")
struct AuthenticationTests {
    private static let key = [UInt8](0x10..<0x20)

    private static func association(
        _ algorithm: AuthenticationAlgorithm = .hmacMD5, key: [UInt8] = key, index: UInt32 = 256
    ) throws -> SecurityAssociation {
        try SecurityAssociation(securityParameterIndex: index, algorithm: algorithm, key: key)
    }

    private static func received(_ bytes: [UInt8]) throws -> ReceivedMessage<RegistrationRequest> {
        try RegistrationRequest.parse(bytes)
    }

    @Test("S2 authenticators are those that RFC 2202, RFC 4231 and Python give")
    func authenticators() throws {
        for vector in MobileIPVectors.all.authenticators {
            let algorithm = try #require(AuthenticationAlgorithm(rawValue: vector.algorithm))
            let (key, data) = (SymmetricKey(data: vector.key.bytes), vector.data.bytes)
            #expect(algorithm.authenticator(of: data[...], key: key) == vector.authenticator.bytes)
            #expect(algorithm.verifies(vector.authenticator.bytes, of: data[...], key: key))
            #expect(vector.authenticator.bytes.count == algorithm.authenticatorLength)
            #expect(!algorithm.verifies(Array(vector.authenticator.bytes.dropLast()), of: data[...], key: key))
            #expect(!algorithm.verifies([], of: data[...], key: key))
        }
    }

    @Test("S2 R3 messages are signed as Python signs them, and verified", arguments: MobileIPVectors.all.signed)
    func sign(_ vector: MobileIPVectors.Signed) throws {
        let kind = try #require(AuthenticationExtension.Kind(rawValue: vector.type))
        let association = try Self.association(
            try #require(AuthenticationAlgorithm(rawValue: vector.algorithm)), key: vector.key.bytes, index: vector.spi)
        let added = try vector.added.map { try $0.value }
        #expect(try association.sign(vector.before.bytes, adding: added, as: kind) == vector.bytes.bytes)
        let datagram = try MobileIPDatagram.parse(vector.bytes.bytes)
        try datagram.verify(kind, with: association)
    }

    @Test("a message is written and signed in one step")
    func signMessage() throws {
        let message = try Self.received(MobileIPVectors.message("a request without extensions").bytes.bytes).message
        let association = try Self.association()
        #expect(try association.sign(message, as: .mobileHome) == association.sign(message.write(), as: .mobileHome))
    }

    @Test(
        "S2 R3 a change of any bit that is covered, or of the authenticator, is found",
        arguments: MobileIPVectors.all.signed)
    func changed(_ vector: MobileIPVectors.Signed) throws {
        let kind = try #require(AuthenticationExtension.Kind(rawValue: vector.type))
        let association = try Self.association(
            try #require(AuthenticationAlgorithm(rawValue: vector.algorithm)), key: vector.key.bytes, index: vector.spi)
        for at in vector.bytes.bytes.indices {
            for bit in 0..<8 {
                var bytes = vector.bytes.bytes
                bytes[at] ^= 1 << UInt8(bit)
                guard let datagram = try? MobileIPDatagram.parse(bytes) else { continue }
                #expect(throws: AuthenticationError.self, "byte \(at), bit \(bit)") {
                    try datagram.verify(kind, with: association)
                }
            }
        }
    }

    @Test("what is behind an authentication does not matter to it")
    func behind() throws {
        let association = try Self.association()
        let signed = try #require(MobileIPVectors.all.signed.first { $0.name == "a request by hmac-md5" }).bytes.bytes
        try association.verify(Self.received(signed + [0, 200, 1, 7, 152, 2, 3, 0]), .mobileHome)
    }

    @Test("S2 each fault of an authentication has its reason")
    func faults() throws {
        let association = try Self.association()
        let plain = MobileIPVectors.message("a prefix request and the tunneling mode").bytes.bytes.dropLast(22)
        let signed = try association.sign(Array(plain), as: .mobileHome)
        func reason(_ bytes: [UInt8], _ association: SecurityAssociation = association) throws -> AuthenticationError? {
            let received = try Self.received(bytes)
            do {
                try association.verify(received, .mobileHome)
                return nil
            } catch {
                return error
            }
        }
        #expect(try reason(signed) == nil)
        #expect(try reason(Array(plain)) == .authenticationMissing)
        #expect(try reason(association.sign(Array(plain), as: .foreignHome)) == .authenticationMissing)
        #expect(try reason(association.sign(signed, as: .mobileHome)) == .authenticationRepeated)
        #expect(try reason(signed, Self.association(index: 257)) == .securityParameterIndexUnknown)
        #expect(try reason(signed, Self.association(.hmacSHA256)) == .authenticatorLength)
        #expect(try reason(signed, Self.association(.keyedMD5)) == .authenticatorMismatch)
        #expect(try reason(signed, Self.association(key: Self.key.reversed())) == .authenticatorMismatch)
    }

    @Test("a message for whose authentication there is no room is refused")
    func noRoom() throws {
        let association = try Self.association()
        #expect(try association.sign([UInt8](repeating: 1, count: 65485), as: .mobileHome).count == 65507)
        #expect(throws: MobileIPError.messageTooLong) {
            try association.sign([UInt8](repeating: 1, count: 65486), as: .mobileHome)
        }
        #expect(throws: MobileIPError.messageTooLong) {
            try association.sign(
                [UInt8](repeating: 1, count: 65484), adding: [.encapsulatingDeliveryStyle], as: .mobileHome)
        }
    }

    @Test("reserved indices and short keys are refused, with what to do")
    func refused() throws {
        #expect(throws: SecurityAssociationError.reservedSecurityParameterIndex(255)) {
            try Self.association(index: 255)
        }
        #expect(throws: SecurityAssociationError.shortKey(bytes: 15)) {
            try Self.association(key: Array(Self.key[1...]))
        }
        #expect("\(SecurityAssociationError.reservedSecurityParameterIndex(255))".contains("256"))
        #expect("\(SecurityAssociationError.shortKey(bytes: 15))".contains("16 random bytes"))
    }

    @Test("no text of a security association has its key")
    func redacted() throws {
        let association = try Self.association(key: Array("sixteen letters!".utf8))
        #expect(Mirror(reflecting: association).children.isEmpty)
        var dumped = ""
        dump([association], to: &dumped)
        dump(association, to: &dumped)
        for text in ["\(association)", String(reflecting: association), "\([association: [association]])", dumped] {
            #expect(text.contains("256") || text == dumped)
            for secret in ["sixteen", "73697874", "115, 105", "- 115", "SymmetricKey"] {
                #expect(!text.contains(secret), "\(text)")
            }
        }
    }

    @Test("security associations are equal where all is, the key too")
    func equality() throws {
        let association = try Self.association()
        #expect(try association == Self.association())
        #expect(try association != Self.association(key: Self.key.reversed()))
        #expect(try association != Self.association(index: 300))
        #expect(try association != Self.association(.keyedMD5))
        #expect(
            try association
                != SecurityAssociation(securityParameterIndex: 256, key: Self.key, replayProtection: .nonces))
    }
}
