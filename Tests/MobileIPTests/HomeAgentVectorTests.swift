// Replies byte by byte: requests that Tests/Vectors/homeagent.py encoded, and what it encoded of the replies.

import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Home agent: bytes")
struct HomeAgentVectorTests {
    struct Vector: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let source: String
        let port: UInt16
        let request: Hex
        let reply: Hex

        var testDescription: String { name }
    }

    @Test(
        "H1 H2 H3 H4 F2 N1 S2 a reply has the bytes that scapy and Python give it",
        arguments: Vectors.load("homeagent", as: [Vector].self))
    func reply(_ vector: Vector) throws {
        let named = ServedNode(
            homeAddress: TestHomeAgent.home, accessIdentifier: TestHomeAgent.name, associations: [TestHomeAgent.nodeKey]
        )
        var node = named
        node.prefixes = TestHomeAgent.node().prefixes
        node.networks = [IPv4Prefix("192.168.1.0/24")!]
        let agent = TestHomeAgent(nodes: [node])
        agent.handle(
            .datagram(
                ReceivedDatagram(
                    payload: vector.request.bytes, source: IPv4Address(vector.source)!, sourcePort: vector.port,
                    destination: TestHomeAgent.address)))
        let sent = try #require(agent.sent.first)
        #expect(sent.payload == vector.reply.bytes)
        #expect(sent.destination.description == vector.source && sent.destinationPort == vector.port)
    }
}
