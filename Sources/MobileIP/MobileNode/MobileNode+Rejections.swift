// What a mobile node does where a registration is rejected (RFC 5944, 3.6.2.3): it tries to put right what the reply
// finds wrong, and where that can't be, it waits longer each time. The first repair of an attempt goes out at once, those
// after it a second apart (3.6).

import Wire

extension MobileNode {
    /// Takes a reply that rejects.
    /// - Parameter extensions: those that the home agent has authenticated.
    mutating func reject(_ reply: RegistrationReply, _ extensions: ArraySlice<MobileIPExtension>, at now: Moment) {
        guard let rejected = pending?.request else { return }
        lastCode = reply.code
        pending = nil
        if !rejected.isDeregistration { hinder(.rejected(reply.code), at: now) }
        let reaction = reply.code.reaction
        let isRepaired = repairs < Self.maximumRepairs && repair(reaction, reply, extensions, at: now)
        actions.append(.log(.rejected(reply.code, isRepaired ? reaction : .wait)))
        if isRepaired {
            repairs += 1
            guard reaction != .askOtherForeignAgent else { return }
            let earliest = lastRequestAt.map { max($0 + Timing.betweenRequests, now.elapsed) } ?? now.elapsed
            nextRequest = repairs == 1 ? now.elapsed : earliest
        } else if rejected.isDeregistration {
            actions.append(.log(.notDeregistered(.rejected(reply.code))))
            deregistered(at: now)
        } else {
            waitForNextRequest(at: now)
        }
    }

    /// Asks the same again later, each time later.
    mutating func waitForNextRequest(at now: Moment) {
        (repairs, homeAgentChanges, redirections, isWaiting) = (0, 0, [], true)
        if registration == nil {
            // What was assigned may be what is refused.
            (assignedHomeAddress, supportsIPv6) = (nil, nil)
        }
        nextRequest = now.elapsed + wait
        wait = min(wait * 2, Timing.longestWait)
    }

    /// Changes what the next request asks for, or whom.
    /// - Returns: whether there was something to change.
    private mutating func repair(
        _ reaction: ReplyReaction, _ reply: RegistrationReply, _ extensions: ArraySlice<MobileIPExtension>,
        at now: Moment
    ) -> Bool {
        switch reaction {
        case .accept, .wait: return false
        case .resynchronize: return true
        case .askToldHomeAgent:
            guard reply.homeAgent.isUnicastSource, reply.homeAgent != homeAgent else { return false }
            move(to: reply.homeAgent)
            return true
        case .followRedirection: return followRedirection(extensions)
        case .leaveOutReverseTunneling: return leaveOutReverseTunneling()
        case .askForReverseTunneling: return change(\.reverseTunneling, to: true)
        case .askForOtherEncapsulation:
            guard wishes.encapsulation + 1 < configuration.encapsulations.count else { return false }
            wishes.encapsulation += 1
            return true
        case .shortenLifetime:
            // A lifetime that means nothing is not followed: a foreign agent's code may be anyone's.
            guard reply.lifetime >= MobileNodeConfiguration.minimumLifetime, reply.lifetime < wishes.lifetime else {
                return false
            }
            return change(\.lifetime, to: reply.lifetime)
        case .answerChallenge:
            return configuration.foreignSecurityAssociation != nil && reply.extensions.contains { $0.isChallenge }
        case .nameHomeAgent: return assignsHomeAgent && homeAgent != nil && change(\.namesHomeAgent, to: true)
        case .leaveOutMobileNetworks: return !requestedNetworks.isEmpty && change(\.leavesOutNetworks, to: true)
        case .leaveOutRefusedMobileNetworks: return leaveOutRefusedNetworks(extensions)
        case .askOtherHomeAgent: return turnToNextHomeAgent()
        case .askOtherForeignAgent: return turnToOtherForeignAgent(at: now)
        }
    }

    private mutating func change<Value: Equatable>(_ wish: WritableKeyPath<Wishes, Value>, to value: Value) -> Bool {
        guard wishes[keyPath: wish] != value else { return false }
        wishes[keyPath: wish] = value
        return true
    }

    /// A tunnel in UDP needs the T bit too (RFC 3519, 3.1.5).
    private mutating func leaveOutReverseTunneling() -> Bool {
        guard configuration.reverseTunneling != .required, configuration.udpTunneling != .forced else { return false }
        guard wishes.reverseTunneling || wishes.udpTunneling else { return false }
        (wishes.reverseTunneling, wishes.udpTunneling) = (false, false)
        return true
    }

    /// RFC 4433, 4.2: not to one that redirected before.
    private mutating func followRedirection(_ extensions: ArraySlice<MobileIPExtension>) -> Bool {
        for case .dynamicHomeAgent(let told) in extensions where told.role == .redirected {
            guard told.address.isUnicastSource, told.address != homeAgent, !redirections.contains(told.address),
                redirections.count < Self.maximumRedirections
            else { return false }
            if let homeAgent { redirections.append(homeAgent) }
            move(to: told.address)
            return true
        }
        return false
    }

    private mutating func leaveOutRefusedNetworks(_ extensions: ArraySlice<MobileIPExtension>) -> Bool {
        let asked = requestedNetworks
        for case .mobileNetworkAcknowledgment(let acknowledgment) in extensions
        where acknowledgment.code != .success && asked.contains(acknowledgment.prefix) {
            wishes.refusedNetworks.insert(acknowledgment.prefix)
        }
        if requestedNetworks.count < asked.count { return true }
        return !asked.isEmpty && change(\.leavesOutNetworks, to: true)
    }

    /// Asks that home agent from now on. It may know of this node what the one before knew (RFC 5944, 3.6.2.3).
    mutating func move(to homeAgent: IPv4Address) {
        let before = self.homeAgent
        toldHomeAgent = homeAgent
        if replayStates[homeAgent] == nil, let before { replayStates[homeAgent] = replayStates[before] }
        supportsIPv6 = nil
        forgetReplayStates()
    }

    /// Turns to the next configured home agent.
    /// - Returns: whether there is one that was not turned to since the last wait.
    mutating func turnToNextHomeAgent() -> Bool {
        let count = configuration.homeAgents.count
        guard count > 1, homeAgentChanges + 1 < count else {
            homeAgentChanges = 0
            return false
        }
        homeAgentChanges += 1
        homeAgentIndex = (homeAgentIndex + 1) % count
        (toldHomeAgent, supportsIPv6) = (nil, nil)
        if registration == nil { assignedHomeAddress = nil }
        forgetReplayStates()
        actions.append(.log(.homeAgentChanged(configuration.homeAgents[homeAgentIndex])))
        return true
    }

    /// Keeps those of configured home agents, and of the one that is asked.
    private mutating func forgetReplayStates() {
        guard replayStates.count > configuration.homeAgents.count + Self.maximumRedirections else { return }
        replayStates = replayStates.filter { configuration.homeAgents.contains($0.key) || $0.key == homeAgent }
    }

    private mutating func turnToOtherForeignAgent(at now: Moment) -> Bool {
        guard let agent = agentInUse else { return false }
        let before = attachment
        leaveAgent(agent, at: now)
        return attachment != before
    }
}

extension MobileIPExtension {
    var isChallenge: Bool { if case .challenge = self { true } else { false } }
}
