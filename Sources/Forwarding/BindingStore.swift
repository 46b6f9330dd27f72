// All bindings as their writer keeps them: by number, which a binding keeps however often it is put, and by id. A number is
// that of the slot in which the binding's traffic is counted, so whoever has a record has the binding too.

import CPrefetch
import Glibc
import PrefixTable

/// Bindings by number and by id; for one thread.
final class BindingStore {
    /// How many there are.
    private(set) var count = 0
    /// All numbers that were ever given are below it.
    private(set) var end: UInt32 = 0
    /// Their lifetimes.
    private var lifetimes: LifetimeWheel
    private let bindings: UnsafeMutablePointer<StoredBinding>
    private let memory: ReservedMemory<StoredBinding>
    /// Numbers, each in the place of its id's hash or behind; a power of two, half of them free at least.
    private var places: UnsafeMutableBufferPointer<UInt32>
    private var placeMemory: ReservedMemory<UInt32>
    /// Numbers in the order of their ids, where somebody has asked; those that came and went since are beside it.
    private var sorted: [UInt32]?
    private var added: Set<UInt32> = []
    private var gone: Set<UInt32> = []

    /// Nothing in it.
    /// - Parameter capacity: numbers are below it.
    /// - Throws: `SlabError` where there is no address space.
    init(capacity: Int) throws(SlabError) {
        memory = try ReservedMemory(capacity: capacity)
        bindings = memory.base
        lifetimes = LifetimeWheel(linking: bindings)
        (placeMemory, places) = Self.freePlaces(64)
    }

    private static func freePlaces(_ count: Int) -> (ReservedMemory<UInt32>, UnsafeMutableBufferPointer<UInt32>) {
        let memory = ReservedMemory<UInt32>(capacity: count, for: "bindings")
        let places = UnsafeMutableBufferPointer(start: memory.base, count: count)
        places.initialize(repeating: LifetimeWheel.none)
        return (memory, places)
    }

    deinit {
        for number in places where number != LifetimeWheel.none { (bindings + Int(number)).deinitialize(count: 1) }
    }

    subscript(number: UInt32) -> StoredBinding { bindings[Int(number)] }

    /// Nothing is due before this.
    var earliestExpiry: UInt64 { lifetimes.earliest }

    /// The number of the binding with that id.
    func number(of id: String) -> UInt32? {
        var place = firstPlace(of: id)
        while places[place] != LifetimeWheel.none {
            if bindings[Int(places[place])].id == id { return places[place] }
            place = next(place)
        }
        return nil
    }

    /// Has the place of an id fetched, which will be looked for soon.
    func prefetch(_ id: String) { CPrefetch_line(places.baseAddress! + firstPlace(of: id)) }

    /// Adds a binding whose id is not there.
    func insert(_ binding: StoredBinding, number: UInt32, now: UInt64) {
        if (count + 1) * 2 > places.count { grow(to: places.count * 2) }
        append(binding, number: number, now: now)
        place(number)
        if sorted != nil { added.insert(number) }
    }

    /// Has the kernel give memory for bindings of these numbers. Any thread may ask for it.
    func populate(_ numbers: Range<Int>) { memory.populate(numbers) }

    /// Adds a binding that is not found by its id before `placeAll`.
    func append(_ binding: StoredBinding, number: UInt32, now: UInt64) {
        (bindings + Int(number)).initialize(to: binding)
        end = max(end, number + 1)
        count += 1
        if binding.hasLifetime { lifetimes.insert(number, now: now) }
    }

    /// Lets bindings that were appended to an empty store be found by their ids.
    /// - Returns: a binding that has the id of another; nil where each has its own.
    func placeAll() -> UInt32? {
        (placeMemory, places) = Self.freePlaces(max(64, (count * 2).roundedUpToPowerOfTwo))
        // Comparing hashes first, only the same ids are compared. Those ahead have their places fetched.
        let ahead: UInt32 = 16
        var hashes = [Int](repeating: 0, count: Int(end) + Int(ahead))
        for number in 0..<end + ahead {
            if number < end {
                hashes[Int(number)] = Self.hash(bindings[Int(number)].id)
                CPrefetch_line(places.baseAddress! + hashes[Int(number)] & (places.count - 1))
            }
            guard number >= ahead else { continue }
            let number = number - ahead
            let hash = hashes[Int(number)]
            var place = hash & (places.count - 1)
            while places[place] != LifetimeWheel.none {
                let other = places[place]
                if hashes[Int(other)] == hash, bindings[Int(other)].id == bindings[Int(number)].id { return number }
                place = next(place)
            }
            places[place] = number
        }
        return nil
    }

    /// Puts a binding in the place of one with its id.
    func replace(_ number: UInt32, by binding: StoredBinding, now: UInt64) {
        if bindings[Int(number)].hasLifetime { lifetimes.remove(number) }
        bindings[Int(number)] = binding
        if binding.hasLifetime { lifetimes.insert(number, now: now) }
    }

    /// Gives a binding another lifetime.
    func renew(_ number: UInt32, expiry: UInt64, now: UInt64) {
        if bindings[Int(number)].hasLifetime { lifetimes.remove(number) }
        bindings[Int(number)].expiry = expiry
        if expiry != .max { lifetimes.insert(number, now: now) }
    }

    /// Notes that a binding was named.
    func name(_ number: UInt32, at revision: UInt64, owner: UInt8? = nil) {
        bindings[Int(number)].named = revision
        if let owner { bindings[Int(number)].owner = owner }
    }

    /// Whether there is a binding of that number, which is below `end`.
    func isThere(_ number: UInt32) -> Bool {
        UnsafeRawPointer(bindings + Int(number)).load(fromByteOffset: StoredBinding.choicesOffset, as: UInt8.self) != 0
    }

    /// Takes a binding out.
    func remove(_ number: UInt32) {
        if bindings[Int(number)].hasLifetime { lifetimes.remove(number) }
        takeOut(number)
    }

    /// The numbers of bindings whose lifetime has passed, `limit` at the most; they are to be removed, and have no lifetime
    /// any more.
    func takeExpired(now: UInt64, limit: Int) -> [UInt32] {
        let due = lifetimes.takeDue(now: now, limit: limit)
        for number in due { bindings[Int(number)].expiry = .max }
        return due
    }

    /// All numbers.
    var numbers: some Sequence<UInt32> { places.lazy.filter { $0 != LifetimeWheel.none } }

    /// Numbers in the order of their ids, behind the id `after`.
    func numbers(after: String, limit: Int) -> ArraySlice<UInt32> {
        let numbers = inOrder()
        let first = numbers.partitioningIndex { after.utf8.lexicographicallyPrecedes(bindings[Int($0)].id.utf8) }
        return numbers[first...].prefix(limit)
    }

    /// All numbers in the order of their ids. What came and went since somebody has asked is merged in, which is much less
    /// than sorting all.
    private func inOrder() -> [UInt32] {
        func isBefore(_ first: UInt32, _ second: UInt32) -> Bool {
            bindings[Int(first)].id.utf8.lexicographicallyPrecedes(bindings[Int(second)].id.utf8)
        }
        defer {
            added.removeAll()
            gone.removeAll()
        }
        guard var known = sorted, added.count * 8 < known.count else {
            let numbers = self.numbers.sorted(by: isBefore)
            sorted = numbers
            return numbers
        }
        if !gone.isEmpty { known.removeAll { gone.contains($0) } }
        if !added.isEmpty {
            var merged: [UInt32] = []
            merged.reserveCapacity(known.count + added.count)
            var next = 0
            for number in added.sorted(by: isBefore) {
                while next < known.count, isBefore(known[next], number) {
                    merged.append(known[next])
                    next += 1
                }
                merged.append(number)
            }
            known = merged + known[next...]
        }
        sorted = known
        return known
    }

    // MARK: Ids

    private static func hash(_ id: String) -> Int {
        var hasher = Hasher()
        hasher.combine(id)
        return hasher.finalize()
    }

    private func firstPlace(of id: String) -> Int { Self.hash(id) & (places.count - 1) }

    private func next(_ place: Int) -> Int { (place + 1) & (places.count - 1) }

    private func place(_ number: UInt32) {
        var place = firstPlace(of: bindings[Int(number)].id)
        while places[place] != LifetimeWheel.none { place = next(place) }
        places[place] = number
    }

    private func takeOut(_ number: UInt32) {
        var free = firstPlace(of: bindings[Int(number)].id)
        while places[free] != number { free = next(free) }
        places[free] = LifetimeWheel.none
        // What stands behind and could stand here moves, so that who looks for it does not end here.
        var place = next(free)
        while places[place] != LifetimeWheel.none {
            let first = firstPlace(of: bindings[Int(places[place])].id)
            if (place - first) & (places.count - 1) >= (place - free) & (places.count - 1) {
                places.swapAt(place, free)
                free = place
            }
            place = next(place)
        }
        (bindings + Int(number)).deinitialize(count: 1)
        memset(bindings + Int(number), 0, MemoryLayout<StoredBinding>.stride)
        count -= 1
        // A number that comes again is another binding's.
        if sorted != nil, added.remove(number) == nil { gone.insert(number) }
        if gone.count + added.count > count { (sorted, added, gone) = (nil, [], []) }
    }

    private func grow(to count: Int) {
        (placeMemory, places) = Self.freePlaces(count)
        // One binding after the other, as they lie in memory.
        for number in 0..<end where isThere(number) { place(number) }
    }
}

extension Int {
    /// The least power of two that is no less; of positive numbers.
    fileprivate var roundedUpToPowerOfTwo: Int { 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount) }
}
