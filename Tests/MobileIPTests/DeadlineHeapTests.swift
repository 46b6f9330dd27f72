// Deadlines against a dictionary that is searched through.

import TestSupport
import Testing

@testable import MobileIP

@Suite("Deadlines")
struct DeadlineHeapTests {
    @Test("the earliest is the earliest after any changes, and each comes once")
    func model() {
        var random = SeededGenerator(seed: RandomTest.seed(for: "deadlines"))
        var heap = DeadlineHeap()
        var model: [UInt32: UInt64] = [:]
        for _ in 0..<RandomTest.count(20000) {
            let number = UInt32.random(in: 0..<60, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                heap.remove(number)
                model[number] = nil
            case 1:
                let now = UInt64.random(in: 0..<1000, using: &random)
                let earliest = model.values.min() ?? .max
                let due = heap.takeDue(at: now)
                #expect((due != nil) == (earliest <= now))
                if let due { #expect(model.removeValue(forKey: due) == earliest) }
            default:
                let deadline = UInt64.random(in: 0..<1000, using: &random)
                heap.set(number, to: deadline)
                model[number] = deadline
            }
            #expect(heap.earliest == model.values.min())
        }
    }
}
