// What many events ask for, put together: of each record, binding and route only what is asked for last. It is carried
// out in the order that each event's actions have (HomeAgentAction): records, routes that go, bindings, routes that
// come, datagrams. So a reply is sent when all that it rests on is done, and so is the rest of the batch.

import MobileIP
import Wire

/// Work of some events.
struct ActionBatch {
    /// Records to store, or with nil to forget.
    private(set) var records: [NodeIdentity: StoredRegistration?] = [:]
    /// Bindings to put, or with nil to remove, by home address.
    private(set) var bindings: [IPv4Address: MobilityBinding?] = [:]
    /// What the forwarder has of the home addresses that bindings are put for, where it is to hold if they are refused.
    private(set) var formers: [IPv4Address: FormerRegistration] = [:]
    /// Whether a route is to be there.
    private(set) var routes: [HomeRoute: Bool] = [:]
    /// In the order in which they were asked for.
    var datagrams: [OutgoingDatagram] = []
    private(set) var outcomes: [HomeAgentOutcome] = []
    private(set) var exceptions: [SecurityException] = []
    /// Which connection to the forwarder the bindings are for.
    let epoch: UInt64
    /// When the events were handled, for records.
    let moment: Moment
    /// Called when all of it is done.
    var completions: [() -> Void] = []

    init(epoch: UInt64, at moment: Moment) {
        self.epoch = epoch
        self.moment = moment
    }

    /// Whether nothing is to be carried out.
    var isEmpty: Bool {
        records.isEmpty && bindings.isEmpty && routes.isEmpty && datagrams.isEmpty && completions.isEmpty
    }

    /// Adds an action, behind those of the same batch.
    mutating func add(_ action: HomeAgentAction) {
        switch action {
        case .store(let record): records[record.identity] = .some(record)
        case .forget(let identity): records[identity] = .some(nil)
        case .putBinding(let binding, let former):
            // Of several the first one's: those behind it are not known to the forwarder.
            if case .some(.some) = bindings[binding.homeAddress] {} else { formers[binding.homeAddress] = former }
            bindings[binding.homeAddress] = .some(binding)
        case .removeBinding(let homeAddress): bindings[homeAddress] = .some(nil)
        case .addRoute(let route): routes[route] = true
        case .removeRoute(let route): routes[route] = false
        case .send(let datagram): datagrams.append(datagram)
        case .count(let outcome): outcomes.append(outcome)
        case .log(let exception): exceptions.append(exception)
        }
    }

    /// Routes that are to go, and those that are to come.
    var routesToRemove: [HomeRoute] { routes.filter { !$0.value }.map(\.key) }
    var routesToAdd: [HomeRoute] { routes.filter(\.value).map(\.key) }

    /// Bindings that are to be there, and home addresses of those that are to go.
    var bindingsToPut: [MobilityBinding] { bindings.values.compactMap { $0 } }
    var homeAddressesToRemove: [IPv4Address] { bindings.compactMap { $0.value == nil ? $0.key : nil } }

    /// Takes the replies away that tell of a binding: what they say is not true.
    mutating func withdrawReplies(for homeAddress: IPv4Address) -> [OutgoingDatagram] {
        let told = datagrams.filter { RegistrationReply.bindingToldOf(in: $0.payload) == homeAddress }
        if !told.isEmpty { datagrams.removeAll { RegistrationReply.bindingToldOf(in: $0.payload) == homeAddress } }
        return told
    }
}

extension RegistrationReply {
    /// The home address of the binding that a reply grants (RFC 5944, 3.4); nil where it grants none, or is no reply.
    static func bindingToldOf(in payload: [UInt8]) -> IPv4Address? {
        guard payload.count >= 8, payload[0] == MobileIPMessageType.registrationReply.rawValue,
            ReplyCode(rawValue: payload[1]).isAccepted, payload[2] | payload[3] != 0
        else { return nil }
        return IPv4Address(rawValue: payload[4..<8].reduce(0) { $0 << 8 | UInt32($1) })
    }
}
