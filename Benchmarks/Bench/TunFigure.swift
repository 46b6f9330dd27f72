// What one measurement of `Bench tun` showed, and the middle of several.

/// A figure. What its work does not tell is nil.
struct TunFigure {
    /// Of TCP, as received, both directions together; of UDP, of its payload.
    var gigabitsPerSecond: Double?
    /// Of both directions at once, each.
    var downloadGigabits: Double?
    var uploadGigabits: Double?
    /// Of UDP, thousands a second.
    var kilopacketsPerSecond: Double?
    var latency: Latency?
    /// Of the home agent's forwarder, where that is a process.
    var processor: ProcessorTime?
    /// How long the measurement took.
    var seconds = 0.0

    /// What a packet takes one way, in microseconds: the median, and what all but one in so many stayed below.
    struct Latency {
        var median: Double
        var tenth: Double
        var hundredth: Double
        var thousandth: Double
        /// Of those that were sent.
        var lost: Double

        init(_ stretch: Probe.Stretch) {
            median = Double(stretch.median) / 1000
            tenth = Double(stretch.tenth) / 1000
            hundredth = Double(stretch.hundredth) / 1000
            thousandth = Double(stretch.thousandth) / 1000
            // What was under way when the stretch ended counts in the next one.
            lost = stretch.sent == 0 ? 0 : max(0, Double(stretch.sent - stretch.seen) / Double(stretch.sent))
        }
    }

    /// What it is all about, by which figures are compared: Gbit/s, thousands of packets a second, or of the latency
    /// what all but one in a hundred stayed below.
    func value(of work: TunWork) -> Double? {
        if work.isTCP { return gigabitsPerSecond }
        return work == .latency ? latency?.hundredth : kilopacketsPerSecond
    }

    /// User and system time together, in percent of one core.
    var processorPercent: Double? { seconds > 0 ? processor.map { $0.total / seconds * 100 } : nil }
}

extension [TunFigure] {
    /// The middle of one number; nil where no figure has it.
    func median(_ number: (TunFigure) -> Double?) -> Double? { compactMap(number).median }
}

extension [Double] {
    /// The middle; nil where there is none.
    var median: Double? {
        guard !isEmpty else { return nil }
        let sorted = self.sorted()
        let middle = count / 2
        return count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
