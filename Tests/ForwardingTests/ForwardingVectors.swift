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
        let reason: String
        let side: String
        let name: String
        let `in`: Hex

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
    var given: Given { side == "home" ? .home(self.in.bytes) : .access(self.in.bytes) }
}

extension DropReason {
    init?(named name: String) {
        guard let reason = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = reason
    }
}
