// The way to mooringd: one connection for requests, and one on which it hands over registrations that came to the care-of
// address, once the tunnel in UDP has that port diverted to it. Where either ends, both are given up, and the inbox told.

import Bindings
import ControlProtocol
import MobileIP
import Wire

/// A connection to mooringd.
final class ForwarderLink: Sendable {
    /// Names this node's binding there.
    static let bindingID = "mooring-mn"
    /// Whose it is.
    static let owner = "mooring-mn"

    private let requests: ControlClient
    private let punts: ControlClient
    private let watching: Task<Void, Never>

    init(to path: String, inbox: Inbox) async throws(ControlClientError) {
        let name = "mooring-mn \(mooringVersion)"
        requests = try await ControlClient.connect(to: path, as: name, owner: Self.owner)
        do throws(ControlClientError) {
            punts = try await ControlClient.connect(to: path, as: name, owner: Self.owner)
            let events = try await punts.events(bindings: false, security: false, punts: true)
            watching = Task {
                do {
                    for try await event in events {
                        if case .punt(let punt) = event.body, let datagram = Inbox.Datagram(punt) {
                            inbox.put(datagram)
                        }
                    }
                } catch {}
                inbox.put { $0.isForwarderLost = true }
            }
        } catch {
            await requests.close()
            throw error
        }
    }

    func close() async {
        watching.cancel()
        await requests.close()
        await punts.close()
    }

    /// Puts the node's binding in place of any before.
    func put(_ binding: Binding) async throws(ControlClientError) { _ = try await requests.put([binding]) }

    /// Removes the node's binding.
    func removeBinding() async throws(ControlClientError) { _ = try await requests.remove([Self.bindingID]) }

    /// Sends a packet into the tunnel.
    func inject(_ packet: [UInt8]) async throws(ControlClientError) {
        var injected = ControlInjectedPacket()
        injected.packet = .init(packet)
        injected.tunnelOf = Self.bindingID
        var inject = ControlInject()
        inject.packets = [injected]
        _ = try await requests.request(.inject(inject))
    }
}

extension Inbox.Datagram {
    /// The UDP datagram of a registration that mooringd handed over; nil for anything else.
    init?(_ punt: ControlPuntEvent) {
        guard punt.reason == .mobileIp else { return nil }
        let datagram = punt.packet.withUnsafeBytes { bytes -> Self? in
            guard let packet = try? IPv4View(bytes), packet.protocol == IPProtocol.udp,
                let datagram = try? UDPView(packet.payload)
            else { return nil }
            return Self(payload: Array(datagram.payload), source: packet.source, port: datagram.sourcePort)
        }
        guard let datagram else { return nil }
        self = datagram
    }
}

extension Binding {
    /// The node's end of its tunnel.
    /// - Parameters:
    ///   - remaining: seconds until the registration ends; nil for never.
    init(_ tunnel: MobileNode.Tunnel, remaining: UInt32?, tunnelMTU: UInt16?) {
        self.init(id: ForwarderLink.bindingID, careOfAddress: tunnel.homeAgent)
        role = .mobileNode
        homeAddress = tunnel.homeAddress
        lifetime = remaining
        self.tunnelMTU = tunnelMTU
        let own = tunnel.prefixes.filter { !$0.prefix.address.isLinkLocal }
        let hasLinkLocal = own.count < tunnel.prefixes.count
        guard tunnel.isCoLocated else {
            // The tunnel to the care-of address, and IPv4, are the foreign agent's: what is left is IPv6 in IPv4 from the
            // home address (RFC 5454, 3.3.2), which is IPv4 as any other to the agent.
            endpoint = tunnel.homeAddress
            if !own.isEmpty { prefixes.append(BoundPrefix(.everything)) }
            if hasLinkLocal { prefixes.append(BoundPrefix(.linkLocal)) }
            return
        }
        endpoint = tunnel.careOfAddress
        encapsulation = tunnel.udp == nil ? Encapsulation(tunnel.encapsulation) : .udp
        if tunnel.udp != nil {
            udpPort = tunnel.udp?.local
            udpEncapsulation = UDPEncapsulation(tunnel.encapsulation)
        }
        if tunnel.encapsulation == .gre { gre = GREOptions(key: tunnel.greKeys?.outgoing) }
        if let first = own.first {
            // One tunnel for all that lies behind the home agent: by way of the home address where one prefix needs it.
            let isCareOf = first.tunnel == .careOf && own.allSatisfy { $0.tunnel == .careOf }
            prefixes.append(BoundPrefix(.everything, tunnel: isCareOf ? .careOf : .homeAddress))
        }
        if hasLinkLocal { prefixes.append(BoundPrefix(.linkLocal, tunnel: .homeAddress)) }
        networks = [IPv4Prefix(address: .unspecified, length: 0)].compactMap(\.self)
    }
}

extension IPv6Prefix {
    /// All that lies behind the home agent.
    fileprivate static var everything: IPv6Prefix { IPv6Prefix(containing: .unspecified, length: 0) }
}

extension Encapsulation {
    fileprivate init(_ encapsulation: MobileNodeConfiguration.Encapsulation) {
        switch encapsulation {
        case .ipInIP: self = .ipInIP
        case .gre: self = .gre
        case .minimal: self = .minimal
        }
    }
}

extension UDPEncapsulation {
    fileprivate init(_ encapsulation: MobileNodeConfiguration.Encapsulation) {
        switch encapsulation {
        case .ipInIP: self = .ipInIP
        case .gre: self = .gre
        case .minimal: self = .minimal
        }
    }
}
