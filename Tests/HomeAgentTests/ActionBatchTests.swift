// What is left of many events' actions when they are carried out together.

import Testing
import Wire

@testable import HomeAgent
@testable import MobileIP

@Suite("Batches of actions") struct ActionBatchTests {
    private static let address = IPv4Address("198.51.100.7")!
    private static let other = IPv4Address("198.51.100.8")!
    private static let binding = MobilityBinding(
        homeAddress: address,
        tunnel: MobilityTunnel(endpoint: IPv4Address("192.0.2.1")!, careOfAddress: IPv4Address("203.0.113.9")!),
        prefixes: [], networks: [], lifetime: 600)

    private static func batch(_ actions: [HomeAgentAction]) -> ActionBatch {
        var batch = ActionBatch(epoch: 1, at: SampleRegistrations.now)
        for action in actions { batch.add(action) }
        return batch
    }

    private static func datagram(_ payload: [UInt8]) -> OutgoingDatagram {
        OutgoingDatagram(
            payload: payload, source: IPv4Address("192.0.2.1")!, destination: IPv4Address("203.0.113.9")!,
            destinationPort: 434)
    }

    @Test("of a record, a binding and a route, what was asked for last")
    func last() {
        var moved = Self.binding
        moved.tunnel.careOfAddress = IPv4Address("203.0.113.10")!
        var record = SampleRegistrations.simple
        record.binding = nil
        let batch = Self.batch([
            .store(SampleRegistrations.simple), .putBinding(Self.binding), .addRoute(.address(Self.address)),
            .removeBinding(homeAddress: Self.other), .removeRoute(.address(Self.other)),
            .forget(.homeAddress(Self.other)),
            .store(record), .putBinding(moved), .removeRoute(.address(Self.address)), .addRoute(.address(Self.other)),
        ])
        #expect(batch.records[record.identity] == .some(record))
        #expect(batch.records[.homeAddress(Self.other)] == .some(nil))
        #expect(batch.bindingsToPut == [moved])
        #expect(batch.homeAddressesToRemove == [Self.other])
        #expect(batch.routesToRemove == [.address(Self.address)])
        #expect(batch.routesToAdd == [.address(Self.other)])
    }

    @Test("datagrams keep their order, and none is left out")
    func order() {
        let datagrams = (0..<5).map { Self.datagram([$0]) } + [Self.datagram([0])]
        #expect(Self.batch(datagrams.map { .send($0) }).datagrams == datagrams)
    }

    @Test("replies that tell of a node's binding are taken away by its home address, and nothing else is")
    func withdrawn() {
        let reply: [UInt8] = [3, 0, 0, 60, 198, 51, 100, 7] + [UInt8](repeating: 0, count: 12)
        var another = reply
        another[7] = 8
        var revocation = reply
        revocation[0] = 7
        var denial = reply
        denial[1] = 133
        var deregistration = reply
        deregistration[3] = 0
        var withoutSimultaneous = reply
        withoutSimultaneous[1] = 1
        let others = [another, revocation, denial, deregistration, [3, 0]].map { Self.datagram($0) }
        var batch = Self.batch(
            ([Self.datagram(reply)] + others + [Self.datagram(withoutSimultaneous)]).map { .send($0) })
        #expect(batch.withdrawReplies(for: Self.address) == [reply, withoutSimultaneous].map { Self.datagram($0) })
        #expect(batch.datagrams == others)
    }

    @Test("what is to hold again is what the forwarder has, before all of the batch")
    func formers() throws {
        let registration = try #require(SampleRegistrations.simple.binding)
        let before = FormerRegistration(registration, expiry: 1)
        let between = FormerRegistration(registration, expiry: 2)
        func former(_ actions: [HomeAgentAction]) -> FormerRegistration? {
            Self.batch(actions).formers[Self.address]
        }
        #expect(former([.putBinding(Self.binding)]) == nil)
        #expect(former([.putBinding(Self.binding, former: before)]) == before)
        #expect(
            former([.putBinding(Self.binding, former: before), .putBinding(Self.binding, former: between)]) == before)
        #expect(former([.putBinding(Self.binding), .putBinding(Self.binding, former: between)]) == nil)
        #expect(
            former([
                .putBinding(Self.binding, former: before), .removeBinding(homeAddress: Self.address),
                .putBinding(Self.binding),
            ]) == nil)
    }

    @Test("counts and exceptions alone are no work")
    func empty() {
        #expect(Self.batch([.count(.nodeRefused)]).isEmpty)
        #expect(!Self.batch([.send(Self.datagram([]))]).isEmpty)
    }
}
