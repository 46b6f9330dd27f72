// A forwarder with bindings, and the one place where this program touches it: a batch is filled, processed, looked at and
// emptied here.

import Bindings
import Forwarding
import PacketBuffer
import TestSupport
import Wire

/// What a batch did wrong.
struct Finding: Error, Encodable {
    let what: String
    /// The place in the batch; nil where it is not known which packet did it.
    let packet: Int?

    init(_ what: String, packet: Int? = nil) { (self.what, self.packet) = (what, packet) }
}

/// A forwarder, its table and its batch.
final class World {
    let settings: WorldSettings
    let targets: TunnelTargets
    private let table: BindingTable
    private var forwarder: Forwarder
    private var batch: PacketBatch
    private var check: BatchCheck
    private var now: UInt64 = 0
    private var batches = 0
    private var taken: UInt64 = 0
    /// Packets that wait; a super-frame is as many as it has segments.
    private var given = 0

    /// - Throws: where there is no memory for it.
    init(_ settings: WorldSettings, _ targets: TunnelTargets, batchCapacity: Int) throws {
        self.settings = settings
        self.targets = targets
        var configuration = BindingTable.Configuration()
        configuration.endpoint = settings.endpoint
        configuration.bindingLimit = 1024
        configuration.prefixLimit = 4096
        configuration.memberLimit = 1024
        table = try BindingTable(configuration)
        _ = try table.put(settings.bindings, now: 0)
        for group in settings.groups { try table.join(group, settings.bindings.map(\.id)) }
        let punts = PuntQueue(capacity: settings.puntCapacity ?? 1024)
        punts.isAttached = settings.puntCapacity != nil
        forwarder = Forwarder(
            reading: table.reader, settings: settings.forwarder, batchCapacity: batchCapacity, identification: 0,
            punts: punts)
        batch = PacketBatch(capacity: batchCapacity)
        check = BatchCheck(settings.forwarder.errorSource)
    }

    /// Of every packet so far.
    var counters: Counters { check.counters }

    /// Puts a packet behind those that wait.
    func append(_ packet: Packet) {
        given += Int(packet.segmentCount)
        batch.append(packet)
    }

    /// Gives the forwarder a packet of the control plane, for the home side or into a tunnel. Those that are refused
    /// there come to nothing.
    func inject(_ bytes: UnsafeRawBufferPointer, using random: inout SeededGenerator) {
        if random.below(2) == 0 {
            try? forwarder.injections.put(bytes, to: .home, limit: Int(UInt16.max))
        } else {
            let binding = settings.bindings[random.below(settings.bindings.count)]
            try? table.inject(bytes, intoTunnelOf: binding.id, by: forwarder.injections)
        }
    }

    /// Processes the packets that were appended, in slots of their numbers, and looks at what became of them.
    /// - Parameter elapsed: since the last batch, in nanoseconds.
    /// - Throws: `Finding`. The batch is empty then too.
    func process(in slots: borrowing PacketSlots, elapsed: UInt64) throws(Finding) {
        now &+= elapsed
        defer {
            batch.removeAll()
            given = 0
        }
        check.begin()
        forwarder.process(&batch, now: now)
        forwarder.inject(into: &batch)
        try look(slots)
        while batch.isUnfinished {
            batch.endCompletion()
            forwarder.resume(&batch)
            check.noteResumption()
            try look(slots)
        }
        for index in 0..<batch.count where batch[index].verdict == .unfinished {
            throw Finding("a packet keeps its slot for ever", packet: index)
        }
        forwarder.publishCounters()
        try check.end(received: given, forwarder.published.read())
        try takePunts()
    }

    /// What a port would carry out.
    private func look(_ slots: borrowing PacketSlots) throws(Finding) {
        for index in 0..<batch.count {
            let packet = batch[index]
            switch packet.verdict {
            case .unfinished, .carriedOut: continue
            case .release, .joined: try check.look(at: packet, index, slots)
            case .transmitJoined:
                try check.look(at: packet, index, slots)
                var parts = [packet]
                var last = index
                while let next = batch.joined(behind: last) {
                    guard batch[next].verdict == .joined else {
                        throw Finding("a part of a super-frame has another verdict", packet: next)
                    }
                    parts.append(batch[next])
                    last = next
                }
                try check.look(atJoined: parts, index, to: packet.ingress.opposite)
            case .transmitHome, .transmitAccess:
                try check.look(at: packet, index, slots)
                try check.look(atTransmitted: packet, index, to: packet.verdict == .transmitHome ? .home : .access)
            }
        }
        var index = 0
        while index < batch.generatedCount {
            let packet = batch.generatedPacket(at: index)
            if packet.verdict == .transmitJoined {
                let parts = index..<index + Int(packet.segmentCount)
                guard parts.upperBound <= batch.generatedCount else { throw Finding("a train has not all its parts") }
                try check.look(atTrain: parts.map { batch.generatedPacket(at: $0) })
                index = parts.upperBound
            } else {
                try check.look(atTransmitted: packet, nil, to: packet.verdict == .transmitHome ? .home : .access)
                index += 1
            }
        }
    }

    /// What the control plane would take, seldom, so that the queue is full at times.
    private func takePunts() throws(Finding) {
        batches += 1
        guard batches.isMultiple(of: 64), !forwarder.punts.isEmpty else { return }
        let packets = forwarder.punts.take()
        taken += UInt64(packets.count)
        guard taken == counters.punted else {
            throw Finding("\(taken) packets were taken by the control plane, \(counters.punted) counted as punted")
        }
    }
}

/// What a world is made of.
struct WorldSettings {
    let name: String
    let endpoint: IPv4Address
    let bindings: [Binding]
    /// Every binding is a member of each.
    var groups: [IPv6Address] = []
    /// Of the queue to the control plane, in bytes; nil: nobody takes packets.
    var puntCapacity: Int?
    var forwarder = ForwarderSettings()
    /// Whether packets come as super-frames, too.
    var hasSuperFrames = false
}
