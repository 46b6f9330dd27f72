import Bindings
import TestSupport
import Testing
import Wire

@testable import Forwarding

@Suite("Binding store")
struct BindingStoreTests {
    private static func stored(_ id: String, expiry: UInt64? = nil) -> StoredBinding {
        StoredBinding(
            Binding(id: id, careOfAddress: IPv4Address("203.0.113.1")!), expiry: expiry, revision: 1, owner: 0,
            named: 1, record: 0)
    }

    @Test("a binding takes a cache line, its record another, and so does a packet that waits for it")
    func size() {
        #expect(MemoryLayout<StoredBinding>.stride == 64)
        #expect(MemoryLayout<BindingRecord>.stride == 64)
        #expect(MemoryLayout<PendingPacket>.stride == 64)
    }

    @Test(
        "lifetimes pass in their time, to the nanosecond, whatever the clock's steps and whatever is renewed or removed",
        arguments: [1, 1_000_000, 300_000_000, 40_000_000_000, 5_000_000_000_000, 1_000_000_000_000_000] as [UInt64])
    func lifetimes(step: UInt64) throws {
        let seed = RandomTest.seed(for: "lifetimes in steps of \(step)")
        var generator = SeededGenerator(seed: seed)
        let store = try BindingStore(capacity: 1000)
        var now = UInt64.random(in: 0...(1 << 62), using: &generator)
        var model: [UInt32: UInt64] = [:]
        for round in 0..<RandomTest.count(3000) {
            let number = UInt32.random(in: 0..<1000, using: &generator)
            // Of all sizes, and the longest that there is.
            let lifetime = min(
                UInt64.random(in: 1...(step * 64), using: &generator), UInt64(UInt32.max) * 1_000_000_000)
            let expiry = Int.random(in: 0..<8, using: &generator) == 0 ? UInt64.max : now + lifetime
            switch (model[number], Int.random(in: 0..<4, using: &generator)) {
            case (nil, _):
                store.insert(Self.stored("\(number)", expiry: expiry), number: number, now: now)
                model[number] = expiry
            case (_, 0):
                store.remove(number)
                model[number] = nil
            case (_, 1):
                store.renew(number, expiry: expiry, now: now)
                model[number] = expiry
            default:
                store.replace(number, by: Self.stored("\(number)", expiry: expiry), now: now)
                model[number] = expiry
            }
            #expect(model.values.allSatisfy { $0 >= store.earliestExpiry }, "seed \(seed), round \(round)")
            now += UInt64.random(in: 0...step, using: &generator)
            let limit = Int.random(in: 1...20, using: &generator)
            let due = model.filter { $0.value <= now }
            let expired = store.takeExpired(now: now, limit: limit)
            #expect(expired.count == min(limit, due.count), "seed \(seed), round \(round)")
            for number in expired {
                #expect(due[number] != nil, "seed \(seed), round \(round)")
                store.remove(number)
                model[number] = nil
            }
            #expect(store.count == model.count)
        }
    }

    @Test("every binding is found by its id, and no other, whatever was put and taken out")
    func ids() throws {
        let seed = RandomTest.seed(for: "ids of a binding store")
        var generator = SeededGenerator(seed: seed)
        let store = try BindingStore(capacity: 3000)
        var model: [String: UInt32] = [:]
        for round in 0..<RandomTest.count(20_000) {
            let number = UInt32.random(in: 0..<3000, using: &generator)
            let id = number % 2 == 0 ? "mn\(number)" : "a-node-with-a-long-name-\(number)@example.net"
            if model[id] == nil, round % 10_000 < 7000 || Bool.random(using: &generator) {
                store.insert(Self.stored(id), number: number, now: 0)
                model[id] = number
            } else if model[id] != nil, round % 10_000 >= 7000 || Bool.random(using: &generator) {
                store.remove(number)
                model[id] = nil
            }
            #expect(store.number(of: id) == model[id], "seed \(seed), round \(round)")
            guard round.isMultiple(of: 97) else { continue }
            // In the order of the ids, whatever has come and gone since the last time.
            let after = model.keys.randomElement(using: &generator) ?? ""
            let expected = model.keys.filter { after.utf8.lexicographicallyPrecedes($0.utf8) }
                .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.prefix(5)
            #expect(store.numbers(after: after, limit: 5).map { store[$0].id } == Array(expected), "seed \(seed)")
        }
        for number in 0..<3000 as Range<UInt32> {
            let id = number % 2 == 0 ? "mn\(number)" : "a-node-with-a-long-name-\(number)@example.net"
            #expect(store.number(of: id) == model[id], "seed \(seed)")
        }
        #expect(Set(store.numbers) == Set(model.values))
        let sorted = model.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        #expect(store.numbers(after: "", limit: 50).map { store[$0].id } == Array(sorted.prefix(50)))
        if sorted.count > 100 {
            #expect(store.numbers(after: sorted[99], limit: 3).map { store[$0].id } == Array(sorted[100...].prefix(3)))
        }
    }

    @Test("a binding comes out as it was put", arguments: Self.bindings)
    func roundTrip(_ binding: Binding) {
        let record = BindingRecord(
            binding, endpoint: binding.endpoint ?? IPv4Address("192.0.2.1")!, tunnelMTU: binding.tunnelMTU ?? 1300,
            timeToLive: 64, traffic: 0, sequence: binding.gre?.sequence == true ? 7 : .max,
            pathMTU: binding.mtuDiscovery ? 3 : .max)
        #expect(
            StoredBinding(binding, expiry: nil, revision: 1, owner: 0, named: 1, record: 0).binding(record) == binding)
    }

    private static let bindings: [Binding] = {
        var all: [Binding] = []
        let options: [GREOptions?] = [
            nil, GREOptions(), GREOptions(key: 0), GREOptions(key: .max, sequence: true, checksum: true),
            GREOptions(sequence: true), GREOptions(checksum: true),
        ]
        for encapsulation in Encapsulation.allCases {
            for inside in UDPEncapsulation.allCases where encapsulation == .udp || inside == .ipInIP {
                for gre in options {
                    var binding = Binding(id: "mn", careOfAddress: IPv4Address("203.0.113.1")!)
                    (binding.encapsulation, binding.udpEncapsulation) = (encapsulation, inside)
                    if encapsulation == .udp { binding.udpPort = 434 }
                    if gre != nil, !binding.carriesGRE { continue }
                    binding.gre = gre
                    all.append(binding)
                    binding.homeAddress = IPv4Address("198.51.100.1")!
                    binding.endpoint = IPv4Address("192.0.2.2")!
                    binding.prefixes = [BoundPrefix(IPv6Prefix("2001:db8::/64")!, tunnel: .homeAddress)]
                    binding.dscp = .pipe
                    all.append(binding)
                    if !binding.isMinimal {
                        binding.prefixes.insert(BoundPrefix(IPv6Prefix("2001:db8:1::/48")!), at: 0)
                        binding.prefixes.append(BoundPrefix(IPv6Prefix("::/0")!))
                    }
                    (binding.dscp, binding.ecn) = (.uniform, .compatibility)
                    binding.tunnelMTU = 1400
                    binding.mtuDiscovery = true
                    all.append(binding)
                    binding.role = .mobileNode
                    binding.networks = [IPv4Prefix("10.0.0.0/8")!, IPv4Prefix("198.51.100.7/32")!]
                    all.append(binding)
                    (binding.prefixes, binding.role) = ([], .homeAgent)
                    all.append(binding)
                    binding.networks = [IPv4Prefix("0.0.0.0/0")!]
                    all.append(binding)
                }
            }
        }
        return all
    }()
}
