// The multicast router as tables of times, events and actions. Packets are scapy's.

import TestSupport
import Testing
import Wire

@testable import MobileIP

@Suite("Multicast router")
struct MulticastRouterTests {
    private static let node = IPv4Address("198.51.100.7")!
    private static let group = IPv6Address("ff3e::1234")!
    private static let membership = MulticastMembership(group, of: node)
    private static let second: UInt64 = 1_000_000_000

    /// Messages that nodes send, by what they are called in the vectors.
    private enum Said {
        static let joins = "change to exclude, without sources"
        static let joinsAnother = "change to exclude, of ff15::1"
        static let leaves = "change to include, without sources"
        static let listens = "mode is exclude, without sources"
        static let blocks = "block old sources"
        static let reports1 = "version 1, report"
        static let done1 = "version 1, done"
    }

    /// A router and its clock, in seconds since it was begun.
    private struct Scene: ~Copyable {
        var router: MulticastRouter

        init(_ change: (inout MulticastConfiguration) -> Void = { _ in }) {
            var configuration = MulticastConfiguration()
            change(&configuration)
            router = MulticastRouter(configuration, random: SeededGenerator(seed: 1))
            _ = router.handle(.resynchronizationBegan, at: 0)
            _ = router.handle(.resynchronizationEnded, at: 0)
        }

        mutating func link(
            _ node: IPv4Address = node, at seconds: Double = 0, _ policy: MulticastPolicy = MulticastPolicy()
        ) -> [String] {
            take(
                .linkPut(
                    MulticastLink(homeAddress: node, endpoint: IPv4Address("192.0.2.1")!, policy: policy)), at: seconds)
        }

        mutating func hear(_ name: String, from node: IPv4Address = node, at seconds: Double) -> [String] {
            take(.received(packet: ListenerVectors.packet(name), from: node), at: seconds)
        }

        /// What is done, in words; queries with what is asked for.
        mutating func take(_ event: MulticastEvent, at seconds: Double) -> [String] {
            router.handle(event, at: UInt64(seconds * 1e9)).map { action in
                switch action {
                case .join(let membership): "join \(membership.group)"
                case .leave(let membership): "leave \(membership.group)"
                case .count(let outcome): "\(outcome)"
                case .send(let packet, _):
                    ListenerVectors.all.queries.firstIndex { $0.bytes.bytes == packet }.map { "query \($0)" }
                        ?? "query \(hexadecimal(packet))"
                }
            }
        }

        /// All that is done by itself until then, with its times in seconds.
        mutating func wait(until seconds: Double) -> [String] {
            var all: [String] = []
            while let deadline = router.nextDeadline, deadline <= UInt64(seconds * 1e9) {
                let time = Double(deadline) / 1e9
                all += take(.deadline, at: time).map { "\(time): \($0)" }
            }
            return all
        }
    }

    // Of the vectors' queries.
    private static let general = "query 0"
    private static let ofGroup = "query 1"

    @Test("H16 a new link is asked at once, again after a quarter of the interval, and then at each interval")
    func generalQueries() {
        var scene = Scene()
        #expect(scene.link() == [])
        let times = [0, 31.25, 156.25, 281.25]
        #expect(
            scene.wait(until: 300)
                == times.flatMap { ["\($0): \(Self.general)", "\($0): listenerGeneralQuery"] })
        #expect(scene.take(.linkRemoved(Self.node, isBound: false), at: 300) == [])
        #expect(scene.router.nextDeadline == nil)
    }

    @Test("H15 H16 who says that it listens is a member for as long as it says so, and 260 seconds longer")
    func listens() {
        var scene = Scene()
        _ = scene.link()
        #expect(scene.hear(Said.joins, at: 1) == ["listenerReport", "join ff3e::1234", "listenerJoined"])
        #expect(scene.hear(Said.listens, at: 100) == ["listenerReport"])
        #expect(
            scene.wait(until: 359).allSatisfy { $0.hasSuffix(Self.general) || $0.hasSuffix("listenerGeneralQuery") })
        #expect(scene.wait(until: 360) == ["360.0: listenerExpired", "360.0: leave ff3e::1234"])
        #expect(scene.router.membershipCount == 0)
    }

    @Test("H15 H16 who says that it has left is asked twice, a second apart, and is no member two seconds later")
    func leaves() {
        var scene = Scene()
        _ = scene.link()
        _ = scene.wait(until: 40)
        _ = scene.hear(Said.joins, at: 40)
        #expect(scene.hear(Said.leaves, at: 50) == ["listenerReport", Self.ofGroup, "listenerGroupQuery"])
        // Said again, lest it be lost.
        #expect(scene.hear(Said.leaves, at: 50.5) == ["listenerReport"])
        #expect(
            scene.wait(until: 53) == [
                "51.0: \(Self.ofGroup)", "51.0: listenerGroupQuery", "52.0: listenerLeft", "52.0: leave ff3e::1234",
            ])
        // Nobody is asked for what it is no member of.
        #expect(scene.hear(Said.leaves, at: 54) == ["listenerReport"])
        #expect(scene.hear(Said.blocks, at: 54) == ["listenerReport"])
    }

    @Test("H16 who answers stays a member; the query that remains tells other routers to leave it alone")
    func answers() throws {
        var scene = Scene { $0.queryInterval = 127 }
        _ = scene.link()
        _ = scene.hear(Said.joins, at: 0)
        _ = scene.hear(Said.leaves, at: 40)
        #expect(scene.hear(Said.listens, at: 40.5) == ["listenerReport"])
        let queries = scene.wait(until: 100).filter { $0.hasPrefix("4") }
        try #require(queries.count == 2)
        #expect(queries[1] == "41.0: listenerGroupQuery")
        // The flag S (RFC 3810, 5.1.7), before the robustness.
        #expect(queries[0].hasSuffix("0a7f0000"), "\(queries)")
        #expect(scene.router.groups(of: Self.node, at: 100 * Self.second).map(\.group) == [Self.group])
        // And is asked anew when it leaves anew.
        #expect(scene.hear(Said.leaves, at: 100).count == 3)
        #expect(scene.wait(until: 102.5).suffix(1) == ["102.0: leave ff3e::1234"])
    }

    @Test("H16 sources that are given up may be the last, so it is asked; with a node of version 1 they mean nothing")
    func blocks() {
        var scene = Scene()
        _ = scene.link()
        _ = scene.hear(Said.joins, at: 0)
        #expect(scene.hear(Said.blocks, at: 10) == ["listenerReport", Self.ofGroup, "listenerGroupQuery"])
        _ = scene.wait(until: 20)
        #expect(scene.hear(Said.reports1, at: 20) == ["listenerReport", "join ff3e::1234", "listenerJoined"])
        #expect(scene.router.groups(of: Self.node, at: 21 * Self.second).map(\.version) == [1])
        #expect(scene.hear(Said.blocks, at: 30) == ["listenerReport"])
        // Version 2 again when nobody of version 1 has been heard for 260 seconds (RFC 3810, 9.13).
        _ = scene.hear(Said.listens, at: 270)
        #expect(scene.hear(Said.blocks, at: 279) == ["listenerReport"])
        #expect(scene.router.groups(of: Self.node, at: 281 * Self.second).map(\.version) == [2])
        #expect(scene.hear(Said.blocks, at: 281) == ["listenerReport", Self.ofGroup, "listenerGroupQuery"])
    }

    @Test("H16 a done of version 1 is a leave, and queries about the group are those of version 2")
    func version1() {
        var scene = Scene()
        _ = scene.link()
        _ = scene.hear(Said.reports1, at: 0)
        #expect(scene.hear(Said.done1, at: 10) == ["listenerDone", Self.ofGroup, "listenerGroupQuery"])
        #expect(scene.wait(until: 12).suffix(1) == ["12.0: leave ff3e::1234"])
    }

    @Test("H15 a node has no more groups than its policy and the limits allow, and none of the link's own")
    func bounds() {
        var policy = MulticastPolicy()
        policy.groups = [IPv6Prefix("ff15::/16")!]
        var scene = Scene { $0.memberships = 3 }
        _ = scene.link(at: 0, policy)
        #expect(scene.hear(Said.joins, at: 1) == ["listenerReport", "listenerGroupRefused"])
        policy.groups = MulticastPolicy.all
        policy.maximumGroups = 1
        #expect(scene.link(at: 2, policy) == [])
        #expect(scene.hear(Said.joins, at: 3).contains("join ff3e::1234"))
        let (second, third) = (IPv4Address("198.51.100.8")!, IPv4Address("198.51.100.9")!)
        _ = scene.link(second)
        _ = scene.link(third)
        #expect(scene.hear(Said.joins, from: second, at: 4).contains("join ff3e::1234"))
        // One more, and then no more of anybody.
        #expect(scene.hear(Said.joinsAnother, from: second, at: 5).contains("join ff15::1"))
        #expect(scene.hear(Said.joins, from: third, at: 6) == ["listenerReport", "listenerLimit"])
        #expect(scene.hear(Said.joinsAnother, at: 6) == ["listenerReport", "listenerNodeLimit"])
        for narrow in ["ff02::16", "ff01::1"] {
            #expect(scene.hear("change to exclude, of \(narrow)", from: second, at: 7) == ["listenerReport"])
        }
        // A policy that changes takes along what it does not have.
        policy.groups = [IPv6Prefix("ff15::/16")!]
        #expect(scene.link(at: 8, policy) == ["listenerGroupRefused", "leave ff3e::1234"])
        #expect(scene.router.membershipCount == 2)
    }

    @Test("H15 a binding that goes takes its memberships along; one that is bound still has them ended")
    func links() {
        var scene = Scene()
        _ = scene.link()
        _ = scene.hear(Said.joins, at: 1)
        #expect(scene.take(.linkRemoved(Self.node, isBound: false), at: 2) == [])
        #expect(scene.router.membershipCount == 0)
        #expect(scene.hear(Said.joins, at: 3) == ["listenerNotOnLink"])
        _ = scene.link(at: 4)
        _ = scene.hear(Said.joins, at: 5)
        #expect(scene.take(.linkRemoved(Self.node, isBound: true), at: 6) == ["leave ff3e::1234"])
        #expect(scene.router.nextDeadline == nil)
        // What the forwarder does not take is not kept, and may be tried again.
        _ = scene.link(at: 7)
        _ = scene.hear(Said.joins, at: 8)
        #expect(scene.take(.refused(Self.membership), at: 9) == ["listenerMembershipRefused"])
        #expect(scene.take(.refused(Self.membership), at: 9) == [])
        #expect(scene.hear(Said.joins, at: 10).contains("join ff3e::1234"))
    }

    @Test("H15 while the forwarder is away nothing ends; when it is there again, what it lacks is joined")
    func forwarderReturns() {
        var scene = Scene()
        _ = scene.link()
        let gone = IPv4Address("198.51.100.8")!
        _ = scene.link(gone)
        _ = scene.hear(Said.joins, at: 1)
        _ = scene.hear(Said.joins, from: gone, at: 1)
        #expect(scene.take(.suspended, at: 2) == [])
        #expect(scene.router.nextDeadline == nil)
        #expect(scene.take(.deadline, at: 9000) == [])
        #expect(scene.take(.resynchronizationBegan, at: 9000) == [])
        #expect(scene.link(at: 9000) == [])
        #expect(scene.take(.resynchronizationEnded, at: 9000) == ["join ff3e::1234"])
        // The other was not named again.
        #expect(scene.router.membershipCount == 1)
        // It is believed for another 260 seconds, and asked within a quarter of the interval.
        let actions = scene.wait(until: 9260)
        #expect(actions.first.map { $0.hasSuffix(Self.general) } == true)
        #expect(scene.router.nextDeadline.map { $0 > 9000 * Self.second } == true)
        #expect(actions.suffix(1) == ["9260.0: leave ff3e::1234"])
    }

    @Test("H15 a router that was started anew takes over what the forwarder has, and ends what nobody reports")
    func routerReturns() {
        var router = MulticastRouter(MulticastConfiguration(), random: SeededGenerator(seed: 2))
        #expect(router.nextDeadline == nil)
        _ = router.handle(.resynchronizationBegan, at: 0)
        var policy = MulticastPolicy()
        policy.groups = [IPv6Prefix("ff3e::/16")!]
        let link = MulticastLink(homeAddress: Self.node, endpoint: IPv4Address("192.0.2.1")!, policy: policy)
        #expect(router.handle(.linkPut(link), at: 0) == [])
        let (stray, stale) = (
            MulticastMembership(Self.group, of: IPv4Address("198.51.100.99")!),
            MulticastMembership(IPv6Address("ff15::1")!, of: Self.node)
        )
        // A stranger's is left alone; what the policy does not have ends.
        #expect(
            router.handle(.found([Self.membership, stray, stale]), at: 0)
                == [.count(.listenerGroupRefused), .leave(stale)])
        #expect(router.handle(.resynchronizationEnded, at: 0) == [])
        let asked = router.nextDeadline
        #expect(asked.map { $0 < 31_250_000_000 } == true)
        var actions: [MulticastAction] = []
        while let deadline = router.nextDeadline, deadline <= 260 * Self.second {
            actions += router.handle(.deadline, at: deadline)
        }
        #expect(actions.suffix(2) == [.count(.listenerExpired), .leave(Self.membership)])
    }

    @Test("what many links are due for comes in parts, and each is asked once")
    func parts() {
        var scene = Scene()
        for number in 0..<600 { _ = scene.link(IPv4Address(rawValue: 0xC633_0000 + UInt32(number))) }
        var counts: [Int] = []
        while scene.router.nextDeadline == 0 { counts.append(scene.take(.deadline, at: 0).count / 2) }
        #expect(counts == [256, 256, 88])
    }
}
