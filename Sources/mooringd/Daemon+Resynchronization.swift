// Requests that concern resynchronisation.

import ControlProtocol
import Forwarding

extension Daemon {
    func beginResynchronization(_ client: ControlOrigin) -> ControlReply.OneOf_Body {
        do throws(ControlError) {
            try resynchronizations.begin(client, table)
            return .resynchronizationBegun(ControlResynchronizationBegun())
        } catch {
            return .error(error)
        }
    }

    func endResynchronization(_ client: ControlOrigin, abandons: Bool) -> ControlAnswer {
        do throws(ControlError) {
            if let counts = try resynchronizations.end(client, abandons: abandons) {
                return .reply(.resynchronized(counts))
            }
            return sweep(of: client)
        } catch {
            return .reply(.error(error))
        }
    }

    private func sweep(of client: ControlOrigin) -> ControlAnswer {
        switch resynchronizations.sweep(of: client, table) {
        case .removed(let removed):
            if !removed.isEmpty { haveGone(removed) }
            return .unfinished { [self] in sweep(of: client) }
        case .done(let counts):
            logger.info(
                "bindings resynchronised",
                metadata: [
                    "by": "\(client.peer)", "owner": "\(client.owner)", "kept": "\(counts.kept)",
                    "replaced": "\(counts.replaced)", "added": "\(counts.added)", "removed": "\(counts.removed)",
                ])
            return .reply(.resynchronized(counts))
        }
    }

    func hasGone(_ client: ControlOrigin) {
        guard resynchronizations.hasGone(client) else { return }
        logger.notice(
            "a resynchronisation ended with its connection; nothing was removed",
            metadata: ["by": "\(client.peer)", "owner": "\(client.owner)"])
    }
}
