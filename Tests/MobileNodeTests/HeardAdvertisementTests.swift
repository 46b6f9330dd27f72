import MobileIP
import Testing
import Wire

@testable import MobileNode

@Suite("Advertisements that are heard")
struct HeardAdvertisementTests {
    private static let own: Set<IPv4Address> = [IPv4Address("203.0.113.9")!, IPv4Address("198.51.100.7")!]

    private static func heard(_ change: (inout HeardAdvertisement) -> Void = { _ in }) -> HeardAdvertisement {
        let advertisement = AgentAdvertisement(
            lifetime: 30, sequenceNumber: 7, registrationLifetime: RegistrationLifetime(seconds: 300),
            flags: .foreignAgent, careOfAddresses: [IPv4Address("192.0.2.130")!])
        var heard = HeardAdvertisement(
            message: advertisement.write(),
            location: .init(
                address: IPv4Address("203.0.113.1")!, linkLayerAddress: LinkLayerAddress([2, 0, 0, 0, 0, 1]),
                interface: "eth0"),
            destination: IPv4Address("224.0.0.1")!, timeToLive: 1)
        change(&heard)
        return heard
    }

    @Test("are read where they come from a neighbour to all of the link, or to this host")
    func good() {
        for destination in ["224.0.0.1", "255.255.255.255", "203.0.113.9", "198.51.100.7"] {
            guard
                case .agent(let advertisement) = Self.heard({ $0.destination = IPv4Address(destination)! })
                    .read(own: Self.own)
            else {
                Issue.record("to \(destination)")
                continue
            }
            #expect(advertisement.sequenceNumber == 7)
        }
    }

    @Test("are dropped, each under its reason, where they can't be a neighbour's or are not for this host")
    func dropped() {
        let flaws: [(String, (inout HeardAdvertisement) -> Void)] = [
            ("source-invalid", { $0.location.address = .unspecified }),
            ("source-invalid", { $0.location.address = IPv4Address("224.0.0.1")! }),
            ("source-invalid", { $0.location.address = IPv4Address("127.0.0.1")! }),
            ("source-own", { $0.location.address = IPv4Address("203.0.113.9")! }),
            ("link-layer-source-invalid", { $0.location.linkLayerAddress = LinkLayerAddress([]) }),
            ("link-layer-source-invalid", { $0.location.linkLayerAddress = LinkLayerAddress([3, 0, 0, 0, 0, 1]) }),
            ("link-layer-source-invalid", { $0.location.linkLayerAddress = LinkLayerAddress([0, 0, 0, 0, 0, 0]) }),
            ("time-to-live", { $0.timeToLive = 0 }), ("time-to-live", { $0.timeToLive = 2 }),
            ("time-to-live", { $0.timeToLive = 255 }),
            ("destination-other", { $0.destination = IPv4Address("203.0.113.77")! }),
            ("destination-other", { $0.destination = IPv4Address("224.0.0.2")! }),
            ("icmp-truncated", { $0.message = [9, 0] }), ("icmp-checksum", { $0.message[4] ^= 1 }),
            ("icmp-truncated", { $0.message = [] }),
        ]
        for (name, change) in flaws { #expect(Self.heard(change).read(own: Self.own) == .dropped(name)) }
    }

    @Test("a router that is no agent is none, and no length that it says is believed")
    func lengths() throws {
        let whole = Self.heard().message
        for length in 0..<whole.count {
            let cut = Self.heard { heard in
                heard.message = Array(whole[..<length])
                heard.message.withUnsafeMutableBytes { bytes in
                    guard bytes.count >= 4 else { return }
                    bytes.storeBytes(of: 0, toByteOffset: 2, as: UInt16.self)
                    var sum = InternetChecksum()
                    sum.add(UnsafeRawBufferPointer(bytes))
                    bytes.storeBytes(of: sum.checksum.bigEndian, toByteOffset: 2, as: UInt16.self)
                }
            }
            let expected =
                length < 8 ? "icmp-truncated" : length == 8 ? "not-agent-advertisement" : "extension-truncated"
            #expect(cut.read(own: Self.own) == .dropped(expected), "\(length)")
        }
    }

    @Test("no more are looked at than a bound, at a time and in the long run")
    func rate() {
        var rate = AdvertisementRate()
        let start = ContinuousClock.now
        for (milliseconds, expected) in [(0, 20), (99, 0), (350, 3), (399, 0), (400, 1), (1_000_000, 20)] {
            var admitted = 0
            for _ in 0..<100 where rate.admits(at: start + .milliseconds(milliseconds)) { admitted += 1 }
            #expect(admitted == expected, "after \(milliseconds) ms")
        }
    }

    @Test("the inbox keeps so many, and counts the others")
    func inbox() {
        let inbox = Inbox()
        for _ in 0..<100 { inbox.put(Self.heard()) }
        let content = inbox.take()
        #expect(content.advertisements.count == 64 && content.droppedAdvertisements == [.tooManyWaiting: 36])
        #expect(inbox.take().advertisements.isEmpty)
    }

    @Test("an agent's answer is taken from its link alone, and other datagrams from everywhere else")
    func answers() {
        var discovery = AgentDiscovery(port: 434, inbox: Inbox())
        let (agent, homeAgent) = (IPv4Address("203.0.113.1")!, IPv4Address("192.0.2.1")!)
        func datagram(_ source: IPv4Address, _ isFromLink: Bool) -> Inbox.Datagram {
            Inbox.Datagram(payload: [], source: source, port: 434, isFromLink: isFromLink)
        }
        #expect(discovery.admits(datagram(homeAgent, false)) && !discovery.admits(datagram(homeAgent, true)))
        let request = MobileNode.Datagram(
            payload: [], source: homeAgent, sourcePort: 434, destination: agent, destinationPort: 434,
            interface: "none", linkLayerAddress: LinkLayerAddress([2, 0, 0, 0, 0, 1]))
        let isSent = discovery.send(request, to: LinkLayerAddress([2, 0, 0, 0, 0, 1]))
        #expect(!isSent, "there is no such interface")
        #expect(discovery.admits(datagram(agent, true)) && !discovery.admits(datagram(agent, false)))
        #expect(discovery.admits(datagram(homeAgent, false)) && !discovery.admits(datagram(homeAgent, true)))
        discovery.forgetAsked()
        #expect(!discovery.admits(datagram(agent, true)))
    }
}
