// The shape of Tests/Vectors/forwarding.json, whose packets scapy encoded, and the bindings that they are for.

import Bindings
import Forwarding
import TestSupport
import Testing
import Wire

struct ForwardingVectors: Decodable {
    struct BindingVector: Decodable, Sendable {
        let id: String
        let careOfAddress: String
        let prefix: String
        let dscp: String
        let ecn: String
        let tunnelMTU: UInt16?
        let endpoint: String?

        var binding: Binding {
            var binding = Binding(
                id: id, careOfAddress: IPv4Address(careOfAddress)!, prefixes: [BoundPrefix(IPv6Prefix(prefix)!)])
            binding.dscp = DSCPModel(rawValue: dscp)!
            binding.ecn = ECNMode(rawValue: ecn)!
            binding.tunnelMTU = tunnelMTU
            binding.endpoint = endpoint.map { IPv4Address($0)! }
            return binding
        }
    }

    struct Encapsulation: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let `in`: Hex
        let out: Hex
        let identification: UInt16

        var testDescription: String { name }
    }

    struct TimeToLive: Decodable, Sendable {
        let timeToLive: UInt8
        let `in`: Hex
        let out: Hex
    }

    /// A packet, and what becomes of it.
    struct Pair: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let `in`: Hex
        let out: Hex

        var testDescription: String { name }
    }

    struct Congestion: Decodable, Sendable, CustomTestStringConvertible {
        let binding: String
        let inner: UInt8
        let outer: UInt8
        let `in`: Hex
        let out: Hex?

        var testDescription: String { "\(binding), inner \(inner), outer \(outer)" }
    }

    struct Answered: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let `in`: Hex
        let out: Hex
        let isTooBig: Bool

        var testDescription: String { name }
    }

    struct Unanswered: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let `in`: Hex
        let reason: String

        var testDescription: String { name }
    }

    struct Drop: Decodable, Sendable, CustomTestStringConvertible {
        /// A packet that comes before it.
        struct Earlier: Decodable, Sendable {
            let `in`: Hex
            /// Why it is dropped; nil where it is absorbed.
            let reason: String?
        }

        let reason: String
        let side: String
        let name: String
        let `in`: Hex
        /// From the same side.
        let before: [Earlier]

        var testDescription: String { "\(reason), \(side): \(name)" }
    }

    let endpoint: String
    let otherEndpoint: String
    let errorSource: String
    let bindings: [BindingVector]
    let encapsulation: [Encapsulation]
    let outerHeaders: [String: [Hex]]
    let timesToLive: [TimeToLive]
    let decapsulation: [Pair]
    let congestion: [Congestion]
    let errors: [Answered]
    let unanswered: [Unanswered]
    let echoes: [Pair]
    let drops: [Drop]

    static let all: ForwardingVectors = Vectors.load("forwarding")

    /// Every packet in them, by the side that it comes from.
    var packets: [Given] {
        encapsulation.map { .home($0.in.bytes) } + errors.map { .home($0.in.bytes) }
            + unanswered.map { .home($0.in.bytes) } + decapsulation.map { .access($0.in.bytes) }
            + congestion.map { .access($0.in.bytes) } + echoes.map { .access($0.in.bytes) } + drops.map(\.given)
    }

    func binding(_ id: String) -> Binding { bindings.first { $0.id == id }!.binding }
}

extension ForwardingVectors.Drop {
    var given: Given { given(self.in) }

    /// The packet, and those before it.
    var all: [Given] { before.map { given($0.in) } + [given] }

    /// How many packets are dropped for each reason, with those before it.
    var reasons: [DropReason: UInt64] {
        let names = before.compactMap(\.reason) + [reason]
        return Dictionary(grouping: names.compactMap { DropReason(named: $0) }) { $0 }.mapValues { UInt64($0.count) }
    }

    /// How many packets before it are absorbed.
    var absorbed: UInt64 { UInt64(before.count { $0.reason == nil }) }

    private func given(_ packet: Hex) -> Given { side == "home" ? .home(packet.bytes) : .access(packet.bytes) }
}

extension DropReason {
    init?(named name: String) {
        guard let reason = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = reason
    }
}
