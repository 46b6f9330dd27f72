// One packet in worlds that have seen no other.

import Bindings
import Forwarding
import PacketBuffer
import Wire

enum SinglePacket {
    /// What was counted of it.
    /// - Throws: `Finding`, or where there is no memory.
    static func run(
        _ bytes: [UInt8], from side: Side, _ settings: WorldSettings, _ targets: TunnelTargets
    ) throws -> Counters {
        let slots = try PacketSlots(count: 1)
        let world = try World(settings, targets, batchCapacity: 1)
        let packet = bytes.withUnsafeBytes { slots.put($0, slot: 0, from: side) }
        var probe = ViewProbe()
        guard probe.read(packet.bytes) else { throw Finding("\(probe.wrong ?? "a view")", packet: 0) }
        world.append(packet)
        try world.process(in: slots, elapsed: 0)
        return world.counters
    }

    /// Says of a packet, for each world and side, in which counter it ends.
    /// - Throws: `Finding`, or where there is no memory.
    static func explain(_ bytes: [UInt8]) throws -> [String] {
        try World.all().flatMap { settings in
            let targets = TunnelTargets(settings.bindings, endpoint: settings.endpoint)
            return try [Side.home, .access].map { side in
                let counters = try run(bytes, from: side, settings, targets)
                return "\(settings.name), from \(side): \(end(in: counters))"
            }
        }
    }

    private static func end(in counters: Counters) -> String {
        let reasons = DropReason.allCases.filter { counters[$0] > 0 }.map { "dropped as \($0.name)" }
        let counts = [
            (counters.absorbed, "absorbed"), (counters.punted, "punted"),
            (counters.transmitted.home, "transmitted to the home side"),
            (counters.transmitted.access, "transmitted to the access side"),
        ]
        return (reasons + counts.filter { $0.0 > 0 }.map(\.1)).joined(separator: ", ")
    }
}
