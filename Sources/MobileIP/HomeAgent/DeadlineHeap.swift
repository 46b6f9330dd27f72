// What is to be done when: a heap of four children each, over numbers that know their place in it, so that one is moved
// or taken out in O(log n), and each number has one deadline.

/// Deadlines of numbers.
struct DeadlineHeap {
    private struct Entry {
        var deadline: UInt64
        var number: UInt32
    }

    private static let absent = UInt32.max
    private var entries: [Entry] = []
    /// By number: the place among the entries.
    private var places: [UInt32] = []

    /// The first deadline; nil where there is none.
    var earliest: UInt64? { entries.first?.deadline }

    /// That of a number; nil where it has none.
    func deadline(of number: UInt32) -> UInt64? {
        guard Int(number) < places.count, places[Int(number)] != Self.absent else { return nil }
        return entries[Int(places[Int(number)])].deadline
    }

    /// Gives a number a deadline, in place of the one it has.
    mutating func set(_ number: UInt32, to deadline: UInt64) {
        if Int(number) >= places.count {
            places.append(contentsOf: repeatElement(Self.absent, count: Int(number) + 1 - places.count))
        }
        let entry = Entry(deadline: deadline, number: number)
        let place = places[Int(number)]
        if place == Self.absent {
            entries.append(entry)
            rise(entry, from: entries.count - 1)
        } else {
            let isEarlier = deadline < entries[Int(place)].deadline
            if isEarlier { rise(entry, from: Int(place)) } else { sink(entry, from: Int(place)) }
        }
    }

    /// Takes a number out, if it is in.
    mutating func remove(_ number: UInt32) {
        guard Int(number) < places.count, places[Int(number)] != Self.absent else { return }
        let place = Int(places[Int(number)])
        places[Int(number)] = Self.absent
        let last = entries.removeLast()
        guard place < entries.count else { return }
        let isEarlier = last.deadline < entries[place].deadline
        if isEarlier { rise(last, from: place) } else { sink(last, from: place) }
    }

    /// Takes out a number whose deadline has come.
    mutating func takeDue(at now: UInt64) -> UInt32? {
        guard let first = entries.first, first.deadline <= now else { return nil }
        remove(first.number)
        return first.number
    }

    /// Puts an entry there or nearer to the top.
    private mutating func rise(_ entry: Entry, from start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 4
            guard entry.deadline < entries[parent].deadline else { break }
            move(entries[parent], to: place)
            place = parent
        }
        move(entry, to: place)
    }

    /// Puts an entry there or further from the top.
    private mutating func sink(_ entry: Entry, from start: Int) {
        var place = start
        while 4 * place + 1 < entries.count {
            var earliest = 4 * place + 1
            for child in earliest + 1..<max(earliest + 1, min(earliest + 4, entries.count))
            where entries[child].deadline < entries[earliest].deadline {
                earliest = child
            }
            guard entries[earliest].deadline < entry.deadline else { break }
            move(entries[earliest], to: place)
            place = earliest
        }
        move(entry, to: place)
    }

    private mutating func move(_ entry: Entry, to place: Int) {
        entries[place] = entry
        places[Int(entry.number)] = UInt32(place)
    }
}
