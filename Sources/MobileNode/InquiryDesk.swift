// Answers to those who ask a running mooring-mn; LocalSocket has the questions. It is on the listener's thread, and sees
// nothing of the node but the report that was shown last.

import Foundation
import MobileIP
import Synchronization
import Wire

/// Answers questions.
final class InquiryDesk: Sendable {
    private let configuration: MobileNodeConfiguration
    private let inbox: Inbox
    private let report = Mutex<StatusReport?>(nil)

    /// - Parameter inbox: takes what is told the node.
    init(_ configuration: MobileNodeConfiguration, inbox: Inbox) {
        self.configuration = configuration
        self.inbox = inbox
    }

    /// Shows another report from now on.
    func show(_ report: StatusReport) { self.report.withLock { $0 = report } }

    /// - Returns: a JSON object; one with `error` says why the question can't be answered.
    func answer(_ question: String) -> [UInt8] {
        let words = question.split(separator: " ")
        switch words.first {
        case "status" where words.count == 1: return report.withLock(\.self)?.json() ?? []
        case "prefixes": return take(prefixes: words.dropFirst())
        default: return refuse("neither status nor prefixes is asked")
        }
    }

    /// All or none.
    private func take(prefixes words: ArraySlice<Substring>) -> [UInt8] {
        var prefixes: [IPv6Prefix] = []
        for word in words {
            guard let prefix = IPv6Prefix(String(word)) else { return refuse("\(word) is no IPv6 prefix") }
            prefixes.append(prefix)
        }
        if let obstacle = configuration.obstacle(toDelegated: prefixes) {
            return refuse("none is taken: \(obstacle)")
        }
        inbox.put { $0.delegatedPrefixes = prefixes }
        return Array("{}".utf8)
    }

    private func refuse(_ reason: String) -> [UInt8] {
        guard let data = try? JSONEncoder().encode(["error": reason]) else {
            preconditionFailure("a text can always be encoded")
        }
        return Array(data)
    }
}
