// Keepalives of a tunnel in UDP (RFC 3519, 4.9 and 4.10). One is sent each interval after the registration or the last
// answer. Where several in a row are not answered, a NAT has forgotten the tunnel: the node registers anew, so that the
// home agent learns the new address and port, and asks half an interval apart from then on, but not below ten seconds.

import Wire

extension MobileNode {
    /// Keepalives of the tunnel that there is.
    struct Keepalive: Hashable, Sendable {
        var interval: Duration
        /// When the next is to be sent, or the last one taken as lost.
        var nextAt: Duration
        /// Of the last one that was sent.
        var sequence: UInt16
        /// Sent in a row.
        var unanswered = 0

        /// Sent in a row before the mapping is taken as lost.
        static let transmissions = 4
        /// Until one is sent again.
        static let answerTime: Duration = .seconds(2)
    }

    /// - Parameter extensions: those of the reply; nil where there is no tunnel in UDP.
    mutating func startKeepalive(_ extensions: ArraySlice<MobileIPExtension>?, sentAt: Duration, at now: Moment) {
        guard let reply = extensions?.lazy.compactMap(\.udpTunnelReply).first else {
            keepalive = nil
            return
        }
        let told = reply.keepaliveInterval == 0 ? configuration.keepaliveInterval : .seconds(reply.keepaliveInterval)
        let interval = max(
            min(told, learnedKeepaliveInterval ?? told), MobileNodeConfiguration.minimumKeepaliveInterval)
        // RFC 3519, 4.4: through an agent, the home agent learns the tunnel's end from the first keepalive.
        let isUrgent = agentInUse != nil
        keepalive = Keepalive(
            interval: interval, nextAt: isUrgent ? now.elapsed : sentAt + interval,
            sequence: keepalive?.sequence ?? 0)
    }

    mutating func runKeepalive(at now: Moment) {
        guard var keepalive, keepalive.nextAt <= now.elapsed, registration != nil else { return }
        if keepalive.unanswered == Keepalive.transmissions {
            let shorter = max(keepalive.interval / 2, MobileNodeConfiguration.minimumKeepaliveInterval)
            learnedKeepaliveInterval = shorter
            actions.append(.log(.mappingLost(nextInterval: shorter)))
            keepalive.unanswered = 0
            keepalive.interval = shorter
            keepalive.nextAt = now.elapsed + shorter
            if pending == nil { requestUpdate(at: now) }
        } else {
            keepalive.sequence &+= 1
            keepalive.unanswered += 1
            keepalive.nextAt = now.elapsed + Keepalive.answerTime
            actions.append(.sendKeepalive(sequence: keepalive.sequence))
        }
        self.keepalive = keepalive
    }

    mutating func keepaliveAnswered(_ sequence: UInt16, at now: Moment) {
        guard let keepalive, keepalive.unanswered > 0, keepalive.sequence &- sequence < UInt16(keepalive.unanswered)
        else { return }
        self.keepalive?.unanswered = 0
        self.keepalive?.nextAt = now.elapsed + keepalive.interval
    }
}
