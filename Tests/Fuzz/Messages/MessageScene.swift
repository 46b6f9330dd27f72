// A mobile node, a foreign agent and a home agent that send one another messages, with somebody between them who changes
// these, repeats them, loses them, brings others, and shares all keys; and a multicast router with its listeners. Time
// goes on, the node moves, and operators do what they can.

import MobileIP
import TestSupport
import Wire

final class MessageScene {
    /// A message on its way.
    private struct Flight {
        enum Destination { case homeAgent, visitedLink, careOfAddress, mobileNode }
        var to: Destination
        var bytes: [UInt8]
        var source: IPv4Address
        var port: UInt16 = 434
    }

    private static let flightLimit = 16
    private static let link = LinkLayerAddress([2, 0, 0, 0, 0, 7])

    var forge: MessageForge
    /// Of all messages that readers were given.
    private(set) var messages: UInt64 = 0
    private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    private(set) var readers = ReaderCheck()
    let homeAgent: HomeAgentSide
    let foreignAgent: ForeignAgentSide
    let mobileNode: MobileNodeSide
    let listeners: ListenerSide

    private var flights: [Flight] = []
    private var advertisement: [UInt8]?
    private var builder = PacketBuilder()
    private var nanoseconds: UInt64 = 5_000_000_000
    private let epoch: NetworkTime

    init(seed: UInt64, _ seeds: MessageSeeds) throws(Finding) {
        var random = SeededGenerator(seed: seed)
        let association = Parties.association(256, 0x10, random.below(2) == 0 ? .timestamps() : .nonces)
        // Sometimes shortly before the seconds of the time of day wrap.
        epoch = NetworkTime(rawValue: random.below(8) == 0 ? 0xFFFF_FF00 << 32 : 4_000_000_000 << 32)
        forge = MessageForge(seed: random.next(), seeds, association)
        homeAgent = HomeAgentSide(association, seed: random.next())
        foreignAgent = ForeignAgentSide(seed: random.next())
        mobileNode = MobileNodeSide(&forge)
        listeners = try ListenerSide(seed: random.next())
        for _ in 0..<2 { try listeners.handle(.linkPut(ListenerSide.link(&forge)), nanoseconds) }
    }

    private var timeOfDay: NetworkTime {
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return epoch.advanced(byUnits: Int64(seconds << 32 | (rest << 32) / 1_000_000_000))
    }
    private var moment: Moment { Moment(timeOfDay: timeOfDay, nanoseconds: nanoseconds) }

    // MARK: Steps

    /// Something that happens.
    func step() throws(Finding) {
        switch forge.random.below(32) {
        case 0...17:
            guard !flights.isEmpty else { return try tellNode(anyNodeEvent()) }
            let index = forge.random.below(flights.count)
            var flight = flights[index]
            if !forge.chance(8) { flights.remove(at: index) }
            flight.bytes = forge.change(flight.bytes, timeOfDay)
            try deliver(flight)
        case 18:
            try deliver(
                Flight(
                    to: .homeAgent, bytes: forge.revocable(timeOfDay),
                    source: forge.chance(8) ? Parties.careOf : Parties.foreignAgent))
        case 19:
            try deliver(
                Flight(
                    to: .visitedLink, bytes: forge.visit(timeOfDay), source: forge.pick(Parties.homes + [.unspecified]))
            )
        case 20...22:
            let to = forge.pick([Flight.Destination.homeAgent, .homeAgent, .visitedLink, .careOfAddress, .mobileNode])
            try deliver(
                Flight(
                    to: to, bytes: forge.datagram(timeOfDay), source: forge.pick(Parties.addresses),
                    port: forge.pick([434, 434, 434, 5000, 5000, 0])))
        case 23, 24: try discover()
        case 25, 26: try listen()
        case 27, 28: try tellNode(anyNodeEvent())
        case 29: try operate()
        default:
            let longest = forge.chance(16) ? 2_000_000_000_000 : 3_000_000_000
            nanoseconds += UInt64(forge.random.below(2000)) * UInt64(longest / 2000)
        }
        try runDeadlines()
        if forge.chance(32) { try homeAgent.check(moment) }
    }

    private func account(_ bytes: [UInt8]) {
        messages += 1
        CrashReport.take(bytes)
        digest = (digest ^ UInt64(bytes.count)) &* 0x100_0000_01B3
        for byte in bytes.prefix(48) { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }

    private func deliver(_ flight: Flight) throws(Finding) {
        account(flight.bytes)
        try readers.read(flight.bytes)
        switch flight.to {
        case .homeAgent:
            try tellHomeAgent(
                .datagram(
                    ReceivedDatagram(
                        payload: flight.bytes, source: flight.source, sourcePort: flight.port,
                        destination: forge.chance(32) ? forge.pick(Parties.addresses) : Parties.homeAgent,
                        side: forge.chance(16) ? .home : .access)))
        case .visitedLink:
            try tellForeignAgent(
                .request(
                    VisitingDatagram(
                        payload: flight.bytes,
                        source: VisitingSource(
                            address: flight.source,
                            linkLayerAddress: LinkLayerAddress([2, 0, 0, 0, 0, forge.pick([7, 7, 8])])),
                        sourcePort: flight.port, destination: Parties.visited, timeToLive: forge.chance(16) ? 254 : 255)
                ))
        case .careOfAddress:
            try tellForeignAgent(.reply(HomeAgentDatagram(payload: flight.bytes, source: flight.source)))
        case .mobileNode:
            try tellNode(.datagramReceived(flight.bytes, from: flight.source, port: flight.port))
        }
    }

    private func send(_ flight: Flight) {
        if flights.count == Self.flightLimit { flights.removeFirst() }
        flights.append(flight)
    }

    // MARK: Parties

    private func tellHomeAgent(_ event: HomeAgentEvent) throws(Finding) {
        for datagram in try homeAgent.handle(event, moment) {
            let to: Flight.Destination = datagram.destination == Parties.foreignAgent ? .careOfAddress : .mobileNode
            send(Flight(to: to, bytes: datagram.payload, source: datagram.source))
        }
    }

    private func tellForeignAgent(_ event: ForeignAgentEvent) throws(Finding) {
        for action in try foreignAgent.handle(event, moment) {
            switch action {
            case .relay(let bytes, let source, _): send(Flight(to: .homeAgent, bytes: bytes, source: source))
            case .answer(let reply): send(Flight(to: .mobileNode, bytes: reply.payload, source: reply.source))
            case .advertise(let bytes, _): advertisement = bytes
            default: break
            }
        }
    }

    private func tellNode(_ event: MobileNode.Event) throws(Finding) {
        let now = MobileNode.Moment(
            elapsed: .nanoseconds(Int64(nanoseconds)), timeOfDay: timeOfDay,
            random: UInt32(truncatingIfNeeded: forge.random.next()))
        for datagram in try mobileNode.handle(event, now) {
            let to: Flight.Destination = datagram.destination == Parties.visited ? .visitedLink : .homeAgent
            // Where it leaves its address open the host has one.
            let source = to == .homeAgent && datagram.source == .unspecified ? Parties.careOf : datagram.source
            send(Flight(to: to, bytes: datagram.payload, source: source, port: datagram.sourcePort))
        }
        try mobileNode.renewIfFinished(&forge)
    }

    private func anyNodeEvent() -> MobileNode.Event {
        let address = forge.pick([Parties.careOf, Parties.careOf, Parties.otherCareOf, Parties.home])
        switch forge.random.below(16) {
        case 0...3: return .careOfAddressAvailable(address, interface: "wlan0")
        case 4, 5: return .careOfAddressGone(address)
        case 6, 7: return .interfaceAvailable("wlan0")
        case 8: return .interfaceGone("wlan0")
        case 9, 10: return .keepaliveAnswered(sequence: UInt16(forge.random.below(20)))
        case 11...14:
            return .delegatedPrefixesChanged(
                (0..<forge.random.below(4)).map {
                    IPv6Prefix(containing: IPv6Address(high: 0x2001_0DB8_0001_0040 + UInt64($0), low: 0), length: 64)
                })
        default: return forge.chance(8) ? .stopped : .deadlineReached
        }
    }

    private func discover() throws(Finding) {
        let bytes = forge.discovery(forge.chance(4) ? nil : advertisement)
        account(bytes)
        if let heard = try readers.readAdvertisement(bytes) {
            let number = forge.random.below(12)
            let address =
                number == 0 ? Parties.visited : IPv4Address(rawValue: Parties.visited.rawValue + UInt32(number))
            try tellNode(
                .advertisementHeard(
                    heard,
                    from: .init(
                        address: forge.chance(2) ? Parties.visited : address,
                        linkLayerAddress: LinkLayerAddress([2, 0, 0, 0, 0, UInt8(number)]), interface: "wlan0")))
        } else if (try? AgentSolicitation.parse(bytes)) != nil {
            try tellForeignAgent(
                .solicitation(VisitingSource(address: forge.pick(Parties.addresses), linkLayerAddress: Self.link)))
        }
    }

    private func listen() throws(Finding) {
        switch forge.random.below(16) {
        case 0: try listeners.handle(.linkPut(ListenerSide.link(&forge)), nanoseconds)
        case 1: try listeners.handle(.linkRemoved(Parties.home, isBound: forge.chance(2)), nanoseconds)
        case 2: try listeners.refuse(&forge, nanoseconds)
        default:
            let packet = forge.listener(&builder)
            account(packet)
            try listeners.handle(
                .received(packet: packet, from: forge.pick([Parties.home, Parties.otherHome, Parties.careOf])),
                nanoseconds)
        }
    }

    /// What operators do, and what becomes of programs.
    private func operate() throws(Finding) {
        let identity: NodeIdentity = forge.chance(2) ? .homeAddress(Parties.home) : .accessIdentifier(Parties.name)
        let prefix = IPv6Prefix("2001:db8:1:40::/64")!
        switch forge.random.below(10) {
        case 0: try tellHomeAgent(.revoked(identity))
        case 1, 2: try tellHomeAgent(.delegated(prefix, to: identity))
        case 3: try tellHomeAgent(.delegationEnded(prefix, to: identity))
        case 4: try tellHomeAgent(.dataplaneLost)
        case 5, 6: try tellHomeAgent(.dataplaneReturned)
        case 7: try homeAgent.restart(moment, seed: forge.random.next())
        default:
            try tellForeignAgent(
                .unreachable(
                    UnreachableHomeAgent(
                        homeAgent: Parties.homeAgent, code: forge.pick([0, 1, 2, 3, 13]),
                        quote: forge.chance(2) ? [] : flights.last?.bytes ?? [])))
        }
    }

    // MARK: Deadlines

    /// Has all that is due done; what stays due would have the programs turn round and round.
    private func runDeadlines() throws(Finding) {
        let now = nanoseconds
        try until("the home agent's deadline stays") { () throws(Finding) in
            guard let due = homeAgent.nextDeadline, due <= now else { return true }
            try tellHomeAgent(.deadline)
            return false
        }
        try until("the foreign agent's deadline stays") { () throws(Finding) in
            guard let due = foreignAgent.nextDeadline, due <= now else { return true }
            try tellForeignAgent(.deadline)
            return false
        }
        try until("the mobile node's deadline stays") { () throws(Finding) in
            guard let due = mobileNode.deadline, due <= .nanoseconds(Int64(now)) else { return true }
            try tellNode(.deadlineReached)
            return false
        }
        try until("the multicast router's deadline stays") { () throws(Finding) in
            guard let due = listeners.nextDeadline, due <= now else { return true }
            try listeners.handle(.deadline, now)
            return false
        }
    }

    private func until(_ wrong: String, _ step: () throws(Finding) -> Bool) throws(Finding) {
        for _ in 0..<1000 { if try step() { return } }
        throw Finding(wrong)
    }
}
