// The counters of a replay and the file they stand in, which others' programs read:
//
//     {"received":{"home":0,"access":0},"generated":{"home":0,"access":0},"transmitted":{"home":0,"access":0},
//      "punted":0,"absorbed":0,"dropped":{"no-binding":0}}
//
// Every drop reason is written, so that a reader finds each; a reason that is not there counts as 0 when it is read.

import Bindings
import Forwarding
import PacketBuffer
import Wire

/// What became of the packets of a replay.
public struct ReplayCounters: Hashable, Sendable {
    /// Packets of the inputs.
    public var received = BySide()
    /// Packets that the forwarder made itself.
    public var generated = BySide()
    /// Packets of the outputs.
    public var transmitted = BySide()
    /// Packets given to the control plane.
    public var punted: UInt64 = 0
    /// Packets consumed on purpose.
    public var absorbed: UInt64 = 0
    /// By `DropReason.rawValue`.
    public private(set) var dropped: [UInt64]

    init(_ counters: Counters) {
        (received, generated, transmitted) = (counters.received, counters.generated, counters.transmitted)
        (punted, absorbed, dropped) = (counters.punted, counters.absorbed, counters.dropped)
    }

    /// What was dropped for one reason.
    public subscript(reason: DropReason) -> UInt64 {
        get { dropped[Int(reason.rawValue)] }
        set { dropped[Int(reason.rawValue)] = newValue }
    }

    /// Whether every packet is accounted for.
    public var isConserved: Bool {
        received.sum + generated.sum == transmitted.sum + punted + absorbed + dropped.reduce(0, +)
    }

    /// The names of all drop reasons.
    static var reasonNames: Set<String> { Set(DropReason.allCases.map(\.name)) }

    /// Adds frames that the forwarder never saw, as they bear no packet for it.
    mutating func count(framesWithoutIP frames: PortFailures) {
        received.home += frames.home
        received.access += frames.access
        self[.notIP] += frames.home + frames.access
    }

    /// All numbers with their names, in the order of the file.
    var named: [(name: String, value: UInt64)] {
        [
            ("received.home", received.home), ("received.access", received.access),
            ("generated.home", generated.home), ("generated.access", generated.access),
            ("transmitted.home", transmitted.home), ("transmitted.access", transmitted.access),
            ("punted", punted), ("absorbed", absorbed),
        ] + DropReason.allCases.map { ("dropped.\($0.name)", self[$0]) }
    }
}

// MARK: - The file

extension ReplayCounters {
    /// The file's text.
    public var json: String {
        func sides(_ value: BySide) -> String { "{\"home\":\(value.home),\"access\":\(value.access)}" }
        let dropped = DropReason.allCases.map { "\"\($0.name)\":\(self[$0])" }.sorted().joined(separator: ",\n  ")
        return """
            {"received":\(sides(received)),
             "generated":\(sides(generated)),
             "transmitted":\(sides(transmitted)),
             "punted":\(punted),"absorbed":\(absorbed),
             "dropped":{
              \(dropped)}}

            """
    }

    /// Reads a file.
    /// - Throws: `ReplayError` that names the file and the place in it.
    public init(contentsOf path: String) throws(ReplayError) {
        self.init(Counters())
        do throws(StrictJSON.Failure) {
            try read(StrictJSON.read(contentsOf: path))
        } catch {
            throw ReplayError(error.place == path ? "\(error)" : "\(path): \(error)")
        }
    }

    private mutating func read(_ value: StrictJSON.Value) throws(StrictJSON.Failure) {
        let all = try value.object(keys: ["received", "generated", "transmitted", "punted", "absorbed", "dropped"])
        received = try Self.sides(all.required("received"))
        generated = try Self.sides(all.required("generated"))
        transmitted = try Self.sides(all.required("transmitted"))
        punted = try Self.number(all.required("punted"))
        absorbed = try Self.number(all.required("absorbed"))
        let reasons = try all.required("dropped").object(keys: DropReason.allCases.map(\.name))
        for reason in DropReason.allCases {
            if let value = reasons[reason.name] { self[reason] = try Self.number(value) }
        }
    }

    private static func sides(_ value: StrictJSON.Value) throws(StrictJSON.Failure) -> BySide {
        let sides = try value.object(keys: ["home", "access"])
        return BySide(home: try number(sides.required("home")), access: try number(sides.required("access")))
    }

    private static func number(_ value: StrictJSON.Value) throws(StrictJSON.Failure) -> UInt64 {
        try value.integer(in: 0...UInt64.max)
    }
}
