// How a port waits, and what ends it: a packet on either side, a wake before or during the wait, a signal. The port waits
// on a thread of its own; that it sleeps is seen in /proc.

import Glibc
import NetworkNamespace
import PacketBuffer
import Synchronization
import TestThread
import Testing

@testable import PacketIO

@Suite(
    "Ports that wait", .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"), .timeLimit(.minutes(5))
)
struct PortWaitTests {
    /// What ends a wait.
    enum End: String, CaseIterable, Sendable {
        case homePacket, accessPacket, wake, signal
    }

    /// A handler that does nothing: it only interrupts. No other test uses this signal.
    static func catchSignal() {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in }
        sigaction(SIGUSR2, &action, nil)
    }

    /// Threads of the test runner may have blocked it.
    static func letSignalIn() {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGUSR2)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    @Test("A wait sleeps until something comes", arguments: PortNetwork.kinds, End.allCases)
    func sleeps(kind: IOChoice, end: End) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            Self.catchSignal()
            let network = try PortNetwork(kind)
            let (home, access, waker) = (network.home, network.access, network.waker)
            let number = Mutex<Int32>(0)
            let hasReturned = Atomic(false)
            try Self.withThread(network) { network in
                Self.letSignalIn()
                // Writes that are under way must not end the wait.
                try home.send(PortNetwork.packet(1))
                _ = try network.forward(1) { _ in .transmitAccess }
                number.withLock { $0 = CurrentThread.number }
                try network.port.receive(into: &network.batch, wait: true)
                hasReturned.store(true, ordering: .releasing)
                return network.takeBatch()
            } meanwhile: { thread in
                #expect(
                    PortNetwork.eventually {
                        let number = number.withLock { $0 }
                        return number != 0 && ProcessThreads.isAsleep(number)
                    })
                #expect(access.received() == [PortNetwork.packet(1)])
                #expect(hasReturned.load(ordering: .acquiring) == false)
                switch end {
                case .homePacket: try home.send(PortNetwork.packet(2))
                case .accessPacket: try access.send(PortNetwork.packet(3))
                case .wake: waker.wake()
                case .signal:
                    #expect(
                        PortNetwork.eventually {
                            if !hasReturned.load(ordering: .acquiring) { thread.send(signal: SIGUSR2) }
                            return hasReturned.load(ordering: .acquiring)
                        })
                }
                let packets = try thread.value()
                switch end {
                case .homePacket: #expect(packets == [ReceivedPacket(side: .home, bytes: PortNetwork.packet(2))])
                case .accessPacket: #expect(packets == [ReceivedPacket(side: .access, bytes: PortNetwork.packet(3))])
                case .wake, .signal: #expect(packets == [])
                }
            }
        }
    }

    /// Runs the body with the network on a thread, and the rest on this one. The network ends on that thread.
    static func withThread(
        _ network: consuming PortNetwork,
        _ body: @escaping @Sendable (inout PortNetwork) throws -> [ReceivedPacket],
        meanwhile: (TestThread<[ReceivedPacket]>) throws -> Void
    ) throws {
        let waker = network.waker
        let handover = Handover(network)
        let thread = TestThread {
            var network = handover.take()
            return try body(&network)
        }
        do { try meanwhile(thread) } catch {
            waker.wake()
            throw error
        }
        _ = try thread.value()
    }

    @Test("A wake before the wait ends that wait, and only one", arguments: PortNetwork.kinds)
    func wakeBefore(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind)
            for _ in 0..<5 {
                network.waker.wake()
                network.waker.wake()
                try network.port.receive(into: &network.batch, wait: true)
                #expect(network.batch.isEmpty == true)
                // The wake was used up: this would return without the packet otherwise.
                try network.home.send(PortNetwork.packet(4))
                try network.port.receive(into: &network.batch, wait: true)
                #expect(network.takeBatch().map(\.bytes) == [PortNetwork.packet(4)])
            }
        }
    }

    @Test("A wake that a receive without wait meets stays for the next wait", arguments: PortNetwork.kinds)
    func wakeStays(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind)
            for _ in 0..<5 {
                try network.port.receive(into: &network.batch, wait: false)
                network.waker.wake()
                for _ in 0..<10 { try network.port.receive(into: &network.batch, wait: false) }
                #expect(network.batch.isEmpty == true)
                try network.port.receive(into: &network.batch, wait: true)
                #expect(network.batch.isEmpty == true)
            }
        }
    }

    @Test("No wake is lost in ten thousand, one answered by the other", arguments: PortNetwork.kinds)
    func manyWakes(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            let network = try PortNetwork(kind)
            let waker = network.waker
            let asked = Atomic(0)
            let answered = Atomic(0)
            let rounds = 10_000
            try Self.withThread(network) { network in
                while answered.load(ordering: .relaxed) < rounds {
                    try network.port.receive(into: &network.batch, wait: true)
                    answered.store(asked.load(ordering: .acquiring), ordering: .releasing)
                }
                return []
            } meanwhile: { _ in
                for round in 1...rounds {
                    asked.store(round, ordering: .releasing)
                    waker.wake()
                    guard PortNetwork.eventually({ answered.load(ordering: .acquiring) == round }) else {
                        Issue.record("wake \(round) was lost")
                        // Lets the thread end.
                        asked.store(rounds, ordering: .releasing)
                        waker.wake()
                        break
                    }
                }
            }
        }
    }

    @Test("A wake is not lost behind packets", arguments: PortNetwork.kinds)
    func wakeWithPackets(kind: IOChoice) async throws {
        try PortNetwork.require(kind)
        try await NetworkNamespace.run {
            var network = try PortNetwork(kind, slotCount: 8, batchCapacity: 2)
            for number in 0..<8 { try network.home.send(PortNetwork.packet(number)) }
            network.waker.wake()
            var received = 0
            var turns = 0
            // Whoever wakes the port waits until it returned once: it does so at the latest behind the packets.
            while turns < 100 {
                try network.port.receive(into: &network.batch, wait: true)
                turns += 1
                received += network.takeBatch().count
                if received == 8 { break }
            }
            #expect(received == 8)
            #expect(turns <= 9)
            network.waker.wake()
            try network.port.receive(into: &network.batch, wait: true)
            #expect(network.batch.isEmpty == true)
        }
    }
}
