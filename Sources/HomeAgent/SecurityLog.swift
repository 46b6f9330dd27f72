// Security exceptions, some a second, so that who sends them can't fill the disk. How many were left out, the next one
// that is logged says.

import Logging
import MobileIP

/// Logs security exceptions (RFC 5944, 3.8.2.1).
struct SecurityLog {
    /// In any second.
    static let limit = 10

    private let logger: Logger
    private var second: UInt64 = 0
    private var logged = 0
    private var omitted = 0

    init(_ logger: Logger) { self.logger = logger }

    /// - Parameter now: in nanoseconds.
    /// - Returns: whether it was logged.
    mutating func log(_ exception: SecurityException, at now: UInt64) -> Bool {
        let second = now / 1_000_000_000
        if second != self.second { (self.second, logged) = (second, 0) }
        guard logged < Self.limit else {
            omitted += 1
            return false
        }
        logger.warning(
            "security exception",
            metadata: [
                "reason": "\(exception.reason.name)", "node": "\(exception.node?.description ?? "unknown")",
                "homeAddress": "\(exception.homeAddress)", "source": "\(exception.source):\(exception.sourcePort)",
                "spi": "\(exception.securityParameterIndex.map { "\($0)" } ?? "none")", "suppressed": "\(omitted)",
            ])
        logged += 1
        omitted = 0
        return true
    }
}

extension SecurityException.Reason {
    /// As counters are named.
    fileprivate var name: String {
        switch self {
        case .mobileHome(let error): "mobile-home-\(error.name)"
        case .foreignHome(let error): "foreign-home-\(error.name)"
        case .foreignHomeUnexpected: "foreign-home-unexpected"
        case .identification: "identification"
        }
    }
}
