// What happened, on standard output: a line of words, or with --json a JSON object a line.

import Foundation
import MobileIP
import Wire

/// Writes events.
struct EventOutput {
    let isJSON: Bool
    /// Security exceptions that are written in a second; others are counted alone.
    private static let exceptionsPerSecond = 10
    private var second: UInt64 = 0
    private var writtenInSecond = 0

    init(isJSON: Bool) { self.isJSON = isJSON }

    /// - Parameter words: the event for people; with JSON the fields say it.
    func write(_ event: String, _ words: String, _ fields: [String: any Sendable] = [:]) {
        var line = words
        if isJSON {
            let object = fields.merging(["event": event]) { own, _ in own }
            guard
                let data = try? JSONSerialization.data(
                    withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
            else { return }
            line = String(decoding: data, as: UTF8.self)
        }
        FileHandle.standardOutput.write(Data("\(line)\n".utf8))
    }

    func write(_ visitor: Visitor) {
        write(
            "visitor",
            "visitor \(visitor.homeAddress) at \(visitor.linkLayerAddress), home agent \(visitor.homeAgent), "
                + "\(visitor.lifetime.seconds) s" + (visitor.usesReverseTunnel ? ", reverse tunnel" : ""),
            [
                "homeAddress": "\(visitor.homeAddress)", "linkLayerAddress": "\(visitor.linkLayerAddress)",
                "homeAgent": "\(visitor.homeAgent)", "careOfAddress": "\(visitor.careOfAddress)",
                "lifetime": Int(visitor.lifetime.seconds), "reverseTunnel": visitor.usesReverseTunnel,
            ])
    }

    mutating func write(_ exception: ForeignAgentSecurityException, at now: Moment) {
        if now.nanoseconds / 1_000_000_000 != second {
            (second, writtenInSecond) = (now.nanoseconds / 1_000_000_000, 0)
        }
        guard writtenInSecond < Self.exceptionsPerSecond else { return }
        writtenInSecond += 1
        write(
            "security-exception",
            "security exception: authentication of \(exception.party) for \(exception.homeAddress), from "
                + "\(exception.source): \(exception.error.explanation)",
            [
                "party": "\(exception.party)", "homeAddress": "\(exception.homeAddress)",
                "source": "\(exception.source)", "reason": exception.error.name,
            ])
    }
}

extension ForeignAgentOutcome {
    /// The counter's name.
    var name: String {
        switch self {
        case .requestRelayed: "request-relayed"
        case .replyRelayed(let code): "reply-relayed-\(code.rawValue)"
        case .denied(let code): "denied-\(code.rawValue)"
        case .malformed(let error): error.name
        case .discarded(let discard): discard.name
        case .visitorEnded(.expired): "visitor-expired"
        case .visitorEnded(.deregistered): "visitor-deregistered"
        case .visitorEnded(.coLocated): "visitor-co-located"
        case .advertised: "advertised"
        }
    }
}
