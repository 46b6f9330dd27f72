// A control plane names all its bindings anew, while the node's packets flow.

import Bindings
import ControlProtocol
import Foundation
import TestSupport
import Testing
import Wire

extension EndToEnd {
    @Suite("Resynchronisation", .serialized)
    struct ResynchronizationTests {
        /// Bindings that nothing is sent to.
        private static func others(_ numbers: Range<Int>) -> [Binding] {
            numbers.map { number in
                Binding(
                    id: "other\(number)", careOfAddress: IPv4Address(rawValue: 0xCB00_7200 + UInt32(number)),
                    prefixes: [
                        BoundPrefix(
                            IPv6Prefix(
                                address: IPv6Address(high: 0x2001_0DB8_8000_0000 + UInt64(number), low: 0),
                                length: 64)!)
                    ])
            }
        }

        @Test(
            "what is named stays, with its counters, and no packet is lost; what is not named goes, but not the file's")
        func resynchronizes() async throws {
            try await Topology.run { topology in
                // The node is bound by the file of the daemon, and the control plane names it as the file has it.
                try await topology.startMooringd(
                    .homeAgent,
                    [
                        "--bindings",
                        try topology.writeBindings(of: .homeAgent, careOfAddress: Topology.careOfAddressA),
                    ])
                try await topology.startMooringd(.node)
                try await topology.putNodeBinding()
                try await topology.ping(from: .correspondent, to: Topology.nodeAddress)
                let socket = topology.socket(of: .homeAgent)
                let client = try await ControlClient.connect(to: socket, as: "test", owner: "test")
                let before = try #require(try await client.binding("mn1"))
                #expect(before.owner == "--bindings")
                _ = try await client.load(Self.others(0..<3000)) { _ in }

                let ping = try topology.startPing(from: .correspondent, to: Topology.nodeAddress)
                try await poll(for: "answers") { ping.output.contains("icmp_seq=20 ") }
                for round in 1...20 {
                    let named = Self.others(round * 100..<round * 100 + 3000)
                    let changed = try await client.load(named, replacing: true) { _ in }
                    #expect([changed.added, changed.replaced, changed.kept, changed.removed] == [100, 0, 2900, 100])
                }
                let last = Int(try #require(ping.output.matches(of: /icmp_seq=(\d+)/).last?.1))!
                try await poll(for: "more answers") { ping.output.contains("icmp_seq=\(last + 20) ") }
                ping.send(SIGINT)
                try await ping.wait()
                let answers = Set(ping.output.matches(of: /icmp_seq=(\d+)/).compactMap { Int($0.1) })
                #expect(answers.isSuperset(of: 1...last), "lost: \(Set(1...last).subtracting(answers).sorted())")
                let after = try #require(try await client.binding("mn1"))
                #expect(after.revision == before.revision)
                #expect(after.toNode.packets > before.toNode.packets)

                // Named by nobody, the file's binding stays; named once, it is the client's.
                var node = try Binding(after.binding)
                node.lifetime = nil
                try await client.beginResynchronization()
                _ = try await client.put([node])
                #expect(try await client.endResynchronization().kept == 1)
                #expect(try await client.binding("mn1")?.owner == "test")
                #expect(try await client.binding("mn1")?.revision == before.revision)
                #expect(try await client.status().bindings == 1)
                await client.close()
            }
        }

        @Test("a client that is cut off removes nothing, and only then may another begin")
        func cut() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                let socket = topology.socket(of: .homeAgent)
                let first = try await ControlClient.connect(to: socket, as: "first")
                let second = try await ControlClient.connect(to: socket, as: "second")
                _ = try await first.put(Self.others(0..<100))
                try await first.beginResynchronization()
                _ = try await first.put(Self.others(0..<10))
                do {
                    try await second.beginResynchronization()
                    Issue.record("two at a time")
                } catch {
                    guard case ControlClientError.refused(let refusal) = error else { throw error }
                    #expect(refusal.code == .busy)
                    #expect(refusal.message.contains("process \(getpid())"))
                }
                await first.close()
                try await poll(for: "another resynchronisation") {
                    (try? await second.beginResynchronization()) != nil
                }
                #expect(try await second.status().bindings == 100)
                // A batch that is refused spoils it.
                await #expect(throws: ControlClientError.self) {
                    _ = try await second.put(Self.others(0..<1) + Self.others(0..<1))
                }
                do {
                    _ = try await second.endResynchronization()
                    Issue.record("it ended")
                } catch {
                    guard case ControlClientError.refused(let refusal) = error else { throw error }
                    #expect(refusal.code == .incomplete)
                }
                #expect(try await second.status().bindings == 100)
                await second.close()
            }
        }

        @Test("the tool tells of owners, and which binding of a file was refused")
        func tool() async throws {
            try await Topology.run { topology in
                try await topology.startMooringd(.homeAgent)
                let file = topology.directory.appendingPathComponent("load.json")
                func write(_ ids: [String]) throws {
                    let bindings = ids.enumerated().map {
                        #"{"id":"\#($1)","careOfAddress":"203.0.113.9","prefixes":[{"prefix":"2001:db8:8:\#($0)::/64"}]}"#
                    }
                    try Data("{\"bindings\":[\(bindings.joined(separator: ","))]}".utf8).write(to: file)
                }
                try await topology.mooring(
                    .homeAgent, ["binding", "put", "stays", "--care-of", "203.0.113.9", "--prefix", "2001:db8:9::/64"])
                let load = ["binding", "load", "--owner", "x", "--replace", file.path]
                try write(["a", "b"])
                var printed = try await topology.mooring(.homeAgent, load)
                #expect(printed == "2 bindings: 2 added, 0 replaced, 0 kept; 0 removed\n")
                try write(["a", "c"])
                printed = try await topology.mooring(.homeAgent, load)
                #expect(printed == "2 bindings: 1 added, 0 replaced, 1 kept; 1 removed\n")
                #expect(try await topology.mooring(.homeAgent, ["binding", "show", "a"]).contains("owner: x\n"))
                let overlapping =
                    #"{"id":"q","careOfAddress":"203.0.113.9","prefixes":[{"prefix":"2001:db8:9::/65"}]}"#
                try Data("{\"bindings\":[\(overlapping)]}".utf8).write(to: file)
                let refused = try topology.start(in: .homeAgent, topology.mooringCommand(.homeAgent, load))
                #expect(try await refused.wait() == 2)
                #expect(
                    refused.errorOutput.contains("binding q, bindings[0] of \(file.path): "), "\(refused.errorOutput)")
                #expect(try await topology.mooring(.homeAgent, ["status", "--json"]).contains("\"bindings\":3"))
            }
        }
    }
}
