// Messages of nodes and queries to them, byte by byte as scapy makes them (Tests/Vectors/listeners.py).

import TestSupport
import Testing
import Wire

@testable import MobileIP

struct ListenerVectors: Decodable {
    struct Record: Decodable, Sendable {
        let group: String
        let statement: String
    }

    struct Message: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: Hex
        let version: UInt8
        let records: [Record]

        var testDescription: String { name }
    }

    struct Refused: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: Hex
        let outcome: String

        var testDescription: String { name }
    }

    struct Query: Decodable, Sendable {
        let group: String?
        let source: String
        let maximumResponse: UInt16
        let suppressesProcessing: Bool
        let robustness: UInt8
        let queryInterval: UInt64
        let bytes: Hex
    }

    let messages: [Message]
    let refused: [Refused]
    let queries: [Query]

    static let all: ListenerVectors = Vectors.load("listeners")

    /// The bytes of a message.
    static func packet(_ name: String) -> [UInt8] {
        guard let message = all.messages.first(where: { $0.name == name }) else { fatalError("no message \(name)") }
        return message.bytes.bytes
    }
}

@Suite("Messages of multicast listeners")
struct ListenerMessageTests {
    private static func read(_ bytes: [UInt8]) throws(MulticastOutcome) -> ListenerMessage {
        try withExactMemory(of: bytes) { (memory) throws(MulticastOutcome) in try ListenerMessage(packet: memory) }
    }

    @Test(
        "H16 what each message says of which group is read, of both versions", arguments: ListenerVectors.all.messages)
    func reads(_ vector: ListenerVectors.Message) throws {
        let message = try Self.read(vector.bytes.bytes)
        #expect(message.version == vector.version)
        #expect(message.records.map(\.group.description) == vector.records.map(\.group))
        #expect(message.records.map { "\($0.statement)" } == vector.records.map(\.statement))
    }

    @Test("H16 what is no message to follow is refused for its reason", arguments: ListenerVectors.all.refused)
    func refuses(_ vector: ListenerVectors.Refused) {
        let error = #expect(throws: MulticastOutcome.self) { try Self.read(vector.bytes.bytes) }
        #expect(error.map { "\($0)" } == vector.outcome)
    }

    @Test("H16 a message that is cut off anywhere is refused", arguments: ListenerVectors.all.messages)
    func cut(_ vector: ListenerVectors.Message) {
        for length in 0..<vector.bytes.bytes.count {
            #expect(throws: MulticastOutcome.self) { try Self.read(Array(vector.bytes.bytes.prefix(length))) }
        }
    }

    @Test("H16 queries about a group and about all have scapy's bytes", arguments: ListenerVectors.all.queries)
    func queries(_ vector: ListenerVectors.Query) {
        let query = ListenerQuery(
            group: vector.group.flatMap { IPv6Address($0) }, source: IPv6Address(vector.source)!,
            maximumResponse: vector.maximumResponse, suppressesProcessing: vector.suppressesProcessing,
            robustness: vector.robustness, queryInterval: vector.queryInterval)
        #expect(Hex(query.packet) == vector.bytes)
    }
}
