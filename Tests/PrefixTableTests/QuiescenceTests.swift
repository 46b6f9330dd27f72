import Testing

@testable import PrefixTable

@Suite("Quiescence")
struct QuiescenceTests {
    private func reader(_ states: QuiescentStates) throws -> QuiescentReader { try #require(states.register()) }

    @Test("a retired number is not given out before every reader has passed")
    func retired() throws {
        let states = QuiescentStates()
        let (first, second) = (try reader(states), try reader(states))
        let slab = try Slab<UInt64>(capacity: 100, quiescentStates: states)
        first.goOnline()
        second.goOnline()
        let number = try #require(slab.take())
        slab.retire(number)
        #expect(slab.inUse == 1)
        #expect(slab.take() != number)
        first.quiesce()
        #expect(slab.take() != number, "the second reader may still be looking at it")
        second.quiesce()
        #expect(slab.take() == number)
    }

    @Test("a reader that is offline is not waited for, and one that comes online later neither")
    func offline() throws {
        let states = QuiescentStates()
        let sleeping = try reader(states)
        let slab = try Slab<UInt64>(capacity: 100, quiescentStates: states)
        let number = try #require(slab.take())
        slab.retire(number)
        sleeping.goOnline()
        #expect(slab.take() == number, "it came online after the number was unlinked")
        slab.retire(number)
        #expect(slab.take() != number, "now it is online")
        sleeping.goOffline()
        #expect(slab.take() == number)
    }

    @Test("what was retired after a reader passed waits for its next pass")
    func order() throws {
        let states = QuiescentStates()
        let online = try reader(states)
        online.goOnline()
        let slab = try Slab<UInt64>(capacity: 100, quiescentStates: states)
        let (first, second) = (try #require(slab.take()), try #require(slab.take()))
        slab.retire(first)
        online.quiesce()
        slab.retire(second)
        #expect(slab.take() == first)
        #expect(slab.take() != second)
        online.quiesce()
        #expect(slab.take() == second)
    }

    @Test("a slab gives as many numbers as it has, each once, and none behind")
    func exhausted() throws {
        let states = QuiescentStates()
        let slab = try Slab<UInt64>(capacity: 500, quiescentStates: states)
        var taken: Set<UInt32> = []
        while let number = slab.take() {
            #expect(number < 500 && taken.insert(number).inserted)
            #expect(slab.base[Int(number)] == 0, "new elements have zero bytes")
        }
        #expect(taken.count == 500 && slab.inUse == 500)
        for number in taken.shuffled() { slab.retire(number) }
        var again: Set<UInt32> = []
        while let number = slab.take() { again.insert(number) }
        #expect(again == taken)
    }

    @Test("a long queue of retired numbers is worked off and forgotten")
    func limbo() throws {
        let states = QuiescentStates()
        let online = try reader(states)
        online.goOnline()
        let slab = try Slab<UInt64>(capacity: 5000, quiescentStates: states)
        for _ in 0..<20 {
            let numbers = (0..<2000).compactMap { _ in slab.take() }
            #expect(Set(numbers).count == 2000)
            for number in numbers { slab.retire(number) }
            online.quiesce()
        }
        // Numbers that wait are taken back only when others are asked for; then all of them are.
        _ = slab.take()
        #expect(slab.inUse <= 4001)
    }

    @Test("what was let go owns nothing any more, and what waits does")
    func ownership() throws {
        final class Block {}
        let states = QuiescentStates()
        let online = try reader(states)
        online.goOnline()
        var limbo = Limbo<Block>(states)
        var blocks = [Block(), Block()]
        weak let (first, second) = (blocks[0], blocks[1])
        limbo.append(blocks.removeFirst())
        limbo.release { _ in }
        #expect(first != nil, "the reader may still be looking at it")
        online.quiesce()
        limbo.release { _ in }
        #expect(first == nil)
        limbo.append(blocks.removeFirst())
        #expect(second != nil)
        online.quiesce()
        limbo.release { _ in }
        #expect(second == nil)
    }

    @Test("readers past the limit are refused")
    func readerLimit() {
        let states = QuiescentStates()
        for _ in 0..<QuiescentStates.readerLimit { #expect(states.register() != nil) }
        #expect(states.register() == nil)
    }

    @Test("epochs count up, and an epoch has passed where nobody reads")
    func epochs() throws {
        let states = QuiescentStates()
        let (first, second) = (states.advance(), states.advance())
        #expect(first < second)
        #expect(states.allPassed(second))
        let online = try reader(states)
        online.goOnline()
        #expect(states.allPassed(second))
        let third = states.advance()
        #expect(states.allPassed(second) && !states.allPassed(third))
        online.quiesce()
        #expect(states.allPassed(third))
    }
}
