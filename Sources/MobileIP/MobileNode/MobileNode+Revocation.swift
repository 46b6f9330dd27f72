// Revocations of a registration by the home agent (RFC 3543, 4.2.2.3). The node answers, takes its tunnel as gone, and
// asks again later. An answer that was lost is given again.

import Wire

extension MobileNode {
    mutating func receive(
        _ received: ReceivedMessage<RegistrationRevocation>, from source: IPv4Address, port: UInt16, at now: Moment
    ) {
        guard configuration.acceptsRevocation else { return discard(.messageUnexpected, at: now) }
        let revocation = received.message
        do throws(AuthenticationError) {
            try configuration.securityAssociation.verify(received, .mobileHome)
        } catch {
            return discard(.homeAgentAuthentication, "A revocation from \(source): \(error.explanation)", at: now)
        }
        guard revocation.homeAddress == homeAddress, revocation.flags.contains(.homeAgent) else {
            return discard(.bindingNotRevoked, "It came from \(source).", at: now)
        }
        if revocation.identifier == lastRevocation {
            return acknowledge(revocation, to: source, port: port, at: now)
        }
        guard let registration, let timestamp = registration.revocationTimestamp,
            revocation.homeDomainAddress == registration.tunnel.homeAgent,
            revocation.foreignDomainAddress == registration.tunnel.careOfAddress
        else { return discard(.bindingNotRevoked, "It came from \(source).", at: now) }
        // A clock of 32 bits begins anew; which is later is told by the shorter way.
        let isNew = [timestamp, lastRevocation].allSatisfy { earlier in
            earlier.map { Int32(bitPattern: revocation.identifier &- $0) >= 0 } ?? true
        }
        guard isNew else { return discard(.revocationReplayed, "It came from \(source).", at: now) }
        acknowledge(revocation, to: source, port: port, at: now)
        lastRevocation = revocation.identifier
        actions.append(.log(.revoked(homeAgent: registration.tunnel.homeAgent)))
        hinder(.revoked(homeAgent: registration.tunnel.homeAgent), at: now)
        (self.registration, pending, keepalive) = (nil, nil, nil)
        if isStopping { finish() } else { waitForNextRequest(at: now) }
    }

    private mutating func acknowledge(
        _ revocation: RegistrationRevocation, to source: IPv4Address, port: UInt16, at now: Moment
    ) {
        guard case .coLocated(let careOfAddress, let interface) = attachment else { return }
        let acknowledgment = RegistrationRevocationAcknowledgment(
            inform: false, homeAddress: revocation.homeAddress, identifier: revocation.identifier)
        guard let payload = try? configuration.securityAssociation.sign(acknowledgment, as: .mobileHome) else { return }
        actions.append(
            .send(
                Datagram(
                    payload: payload, source: careOfAddress, sourcePort: configuration.port, destination: source,
                    destinationPort: port, interface: interface, linkLayerAddress: nil)))
    }
}
