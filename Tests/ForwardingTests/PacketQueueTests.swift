// The ring between a worker and the control plane, against an array and between two threads.

import Glibc
import TestSupport
import Testing

@testable import Forwarding

@Suite("Queue of packets")
struct PacketQueueTests {
    @Test("packets come out as they went in, in order, whatever their lengths; what does not fit is refused")
    func model() {
        let seed = RandomTest.seed(for: "packet queue")
        var generator = SeededGenerator(seed: seed)
        for capacity in [64, 256, 4096] {
            let queue = PacketQueue<Int>(capacity: capacity)
            var model: [(bytes: [UInt8], note: Int)] = []
            var refused = 0
            for step in 0..<RandomTest.count(3000) {
                if Bool.random(using: &generator) {
                    let length = Int.random(in: 0...min(capacity, 600), using: &generator)
                    let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
                    if bytes.withUnsafeBytes({ queue.put($0, step) }) {
                        model.append((bytes, step))
                    } else {
                        refused += 1
                        // One that is alone may be as large as half of the queue, wherever it would lie.
                        #expect(!model.isEmpty || length > capacity / 2 - 32, "seed \(seed)")
                    }
                } else {
                    var found: (bytes: [UInt8], note: Int)?
                    let isTaken = queue.take { found = (Array($0), $1) }
                    #expect(isTaken == !model.isEmpty, "seed \(seed)")
                    guard !model.isEmpty else { continue }
                    let expected = model.removeFirst()
                    #expect(found?.bytes == expected.bytes && found?.note == expected.note, "seed \(seed)")
                }
                #expect(queue.isEmpty == model.isEmpty)
                #expect(model.reduce(0) { $0 + $1.bytes.count } <= capacity)
            }
            #expect(refused > 0)
        }
    }

    @Test("between two threads nothing is lost, doubled or changed")
    func threads() {
        let queue = PacketQueue<Int>(capacity: 1024)
        let count = RandomTest.count(100_000)
        let taker = BackgroundThread { _ in
            var next = 0
            while next < count {
                let isTaken = queue.take { bytes, note in
                    if note != next || bytes.count != next % 200 || bytes.contains(where: { $0 != UInt8(next & 0xFF) })
                    {
                        next = count + 1
                    } else {
                        next += 1
                    }
                }
                if !isTaken { sched_yield() }
            }
            return next == count ? [] : ["a packet was not the next one"]
        }
        var number = 0
        while number < count {
            let bytes = [UInt8](repeating: UInt8(number & 0xFF), count: number % 200)
            if bytes.withUnsafeBytes({ queue.put($0, number) }) { number += 1 } else { sched_yield() }
        }
        #expect(taker.stop() == [])
    }
}
