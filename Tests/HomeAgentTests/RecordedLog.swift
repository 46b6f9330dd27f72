import Logging
import Synchronization

/// What was logged, in its order.
final class RecordedLog: Sendable {
    struct Entry: Sendable {
        let level: Logger.Level
        /// The message, and its metadata by their names.
        let text: String
    }

    private let recorded = Mutex<[Entry]>([])

    /// Of this level and above.
    func entries(from level: Logger.Level) -> [String] {
        recorded.withLock { $0.filter { $0.level >= level }.map(\.text) }
    }

    var logger: Logger { Logger(label: "test") { [self] _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: RecordedLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let details = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
            log.recorded.withLock { $0.append(Entry(level: event.level, text: "\(event.message)\(details.joined())")) }
        }
    }
}
