// Handing on of packets for the control plane: some in a turn, others in between, and what nobody gets is counted.

import ControlProtocol
import NIOCore
import NIOPosix
import Testing
import Wire

@testable import Forwarding
@testable import mooringd

@Suite("Delivery of punted packets") struct PuntDeliveryTests {
    /// What waits, and what came of it, in order.
    private final class Recorder {
        var waiting = 0
        var turns: [Int] = []
        var delivered = 0
        var isWatched = true
        /// How many had been delivered when others had their turn.
        var others: [Int] = []
        /// Arrive while the ones before are handed on.
        var arriving: [Int] = []

        func take(_ limit: Int) -> (packets: [PuntedPacket], more: Bool) {
            let count = min(limit, waiting)
            waiting -= count
            turns.append(count)
            let packet = PuntedPacket(
                reason: .mobileIP, outerSource: IPv4Address(rawValue: 1), homeAddress: nil, bytes: [0x45])
            if !arriving.isEmpty { waiting += arriving.removeFirst() }
            return ([PuntedPacket](repeating: packet, count: count), waiting > 0)
        }
    }

    private func onLoop(_ body: @escaping @Sendable (any EventLoop) -> Recorder) async throws -> (Recorder, UInt64) {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        nonisolated(unsafe) var result: (Recorder, UInt64)?
        let kept = try await loop.submit { () -> NIOLoopBound<(Recorder, PuntDelivery)> in
            let recorder = body(loop)
            let delivery = PuntDelivery(on: loop, take: recorder.take) { _ in
                if recorder.isWatched { recorder.delivered += 1 }
                return recorder.isWatched
            }
            delivery.run()
            // Told again, as by a worker: no turns of its own come of it.
            delivery.run()
            loop.assumeIsolated().execute { recorder.others.append(recorder.delivered) }
            return NIOLoopBound((recorder, delivery), eventLoop: loop)
        }.get()
        var isDone = false
        while !isDone { isDone = try await loop.submit { kept.value.0.waiting == 0 }.get() }
        try await loop.submit { result = (kept.value.0, kept.value.1.lost) }.get()
        try await group.shutdownGracefully()
        return try #require(result)
    }

    @Test("At most so many are handed on before others have their turn, and all are in the end")
    func takesTurns() async throws {
        let (recorder, lost) = try await onLoop { _ in
            let recorder = Recorder()
            recorder.waiting = 1000
            recorder.arriving = [50, 50]
            return recorder
        }
        #expect(recorder.delivered == 1100)
        #expect(recorder.turns == [Int](repeating: 64, count: 17) + [12])
        let between = try #require(recorder.others.first)
        #expect((64...128).contains(between))
        #expect(lost == 0)
    }

    @Test("What nobody gets is counted")
    func counts() async throws {
        let (recorder, lost) = try await onLoop { _ in
            let recorder = Recorder()
            recorder.waiting = 100
            recorder.isWatched = false
            return recorder
        }
        #expect(recorder.delivered == 0)
        #expect(lost == 100)
    }

    @Test("An event has what the packet has, and the binding that was found")
    func events() {
        let registration = ControlPuntEvent(
            PuntedPacket(
                reason: .mobileIP, outerSource: IPv4Address(rawValue: 0xCB00_7109), homeAddress: nil, bytes: [1, 2]),
            binding: nil)
        #expect(registration.reason == .mobileIp && registration.outerSource == 0xCB00_7109)
        #expect(!registration.hasHomeAddress && registration.binding == "")
        #expect(Array(registration.packet) == [1, 2])
        let report = ControlPuntEvent(
            PuntedPacket(
                reason: .multicastListener, outerSource: IPv4Address(rawValue: 1),
                homeAddress: IPv4Address(rawValue: 0xC633_6407), bytes: [3]),
            binding: "mn1")
        #expect(report.reason == .multicastListener && report.homeAddress == 0xC633_6407 && report.binding == "mn1")
    }
}
