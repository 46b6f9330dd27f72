// Requests that were relayed and wait for a reply (RFC 5944, 3.7.1 and 3.7.3.1). There are few, so that they are looked
// through in their order, which is that of their arrival.

import Wire

/// A request on its way.
struct PendingRequest {
    /// As it came.
    let datagram: VisitingDatagram
    /// Its fixed part.
    let request: RegistrationRequest
    /// By its Mobile Node NAI extension.
    let accessIdentifier: NetworkAccessIdentifier?
    /// Shared with the node; signs what it is answered.
    let association: SecurityAssociation?
    /// When it is given up.
    var deadline: UInt64 = .max
    /// Whether then its lifetime has passed, and not the time that a reply may take.
    var isOutlived = false

    /// Whether the node decapsulates itself.
    var isCoLocated: Bool { request.flags.contains(.decapsulationByMobileNode) }

    /// Whether the reply is to this request. A home address of zero in the request is known by its identifier (RFC 2794, 3);
    /// a reply without one is matched all the same, and the node is told that it is missing.
    fileprivate func matches(
        _ reply: RegistrationReply, _ replyIdentifier: NetworkAccessIdentifier?, from source: IPv4Address
    ) -> Bool {
        guard Identification.low(request.identification) == Identification.low(reply.identification),
            request.homeAgent == source,
            request.homeAddress == reply.homeAddress || request.homeAddress == .unspecified
        else { return false }
        return accessIdentifier == nil || replyIdentifier == nil || accessIdentifier == replyIdentifier
    }
}

/// All requests that wait.
struct PendingRequests {
    private var requests: [PendingRequest] = []

    var count: Int { requests.count }

    /// When the first is given up.
    var earliest: UInt64? { requests.lazy.map(\.deadline).min() }

    /// Makes room within a node's own bound, where its oldest gives way, or the same request, which is sent again.
    mutating func makeRoom(for request: PendingRequest, ofNode limit: Int) {
        requests.removeAll {
            $0.datagram.source.linkLayerAddress == request.datagram.source.linkLayerAddress
                && $0.request.identification == request.request.identification
                && $0.request.homeAgent == request.request.homeAgent
                && $0.request.homeAddress == request.request.homeAddress
                && $0.accessIdentifier == request.accessIdentifier
        }
        let isOfNode = { (other: PendingRequest) in
            other.datagram.source.linkLayerAddress == request.datagram.source.linkLayerAddress
        }
        while requests.lazy.filter(isOfNode).count >= limit, let oldest = requests.firstIndex(where: isOfNode) {
            requests.remove(at: oldest)
        }
    }

    mutating func add(_ request: PendingRequest) { requests.append(request) }

    /// Takes out the request that a reply is to. Among several the one whose identifier the reply has comes first.
    mutating func take(
        _ reply: RegistrationReply, _ identifier: NetworkAccessIdentifier?, from source: IPv4Address
    ) -> PendingRequest? {
        let matching = requests.indices.filter { requests[$0].matches(reply, identifier, from: source) }
        let place = matching.first { requests[$0].accessIdentifier == identifier } ?? matching.first
        return place.map { requests.remove(at: $0) }
    }

    /// Takes out the request that an ICMP error quotes, or the oldest to that home agent where it quotes too little.
    mutating func take(_ error: UnreachableHomeAgent) -> PendingRequest? {
        let quoted =
            error.quote.count >= RegistrationRequest.fixedLength
            ? error.quote.prefix(RegistrationRequest.fixedLength) : nil
        let place = requests.firstIndex {
            $0.request.homeAgent == error.homeAgent && (quoted.map($0.datagram.payload.starts(with:)) ?? true)
        }
        return place.map { requests.remove(at: $0) }
    }

    /// Takes out one that is given up.
    mutating func takeDue(at now: UInt64) -> PendingRequest? {
        requests.firstIndex { $0.deadline <= now }.map { requests.remove(at: $0) }
    }
}
