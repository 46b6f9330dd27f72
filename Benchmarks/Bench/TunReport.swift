// What `Bench tun` measured, for people: a table for each work, one of ratios, and charts.

import Foundation

struct TunReport {
    let results: TunResults

    /// All tables.
    var text: String {
        let tables = results.works.compactMap(table) + [ratios].compactMap { $0 }
        return tables.map(\.text).joined(separator: "\n")
    }

    /// Nil where nobody did that work.
    private func table(_ work: TunWork) -> TextTable? {
        let medians = results.rounds == 1 ? "one round" : "medians of \(results.rounds) rounds"
        var table = TextTable(title: "\(work.title) (\(medians))", heading: [], words: 2)
        let numbers = columns(work)
        table.heading = ["forwarder", "far end"] + numbers.map(\.heading)
        for subject in results.subjects where subject.can(work) {
            let figures = results.figures(of: subject, work)
            guard !figures.isEmpty else { continue }
            table.rows.append(
                [subject.name, subject.end.rawValue]
                    + numbers.map { column in
                        figures.median(column.number).map { String(format: column.format, $0) } ?? "-"
                    })
        }
        return table.rows.isEmpty ? nil : table
    }

    private struct Column {
        let heading: String
        let format: String
        let number: (TunFigure) -> Double?
    }

    private func columns(_ work: TunWork) -> [Column] {
        let gigabits = Column(heading: "Gbit/s", format: "%.2f", number: \.gigabitsPerSecond)
        let kilopackets = Column(heading: "kpps", format: "%.1f", number: \.kilopacketsPerSecond)
        let processor = [
            Column(heading: "user CPU s", format: "%.2f") { $0.processor?.user },
            Column(heading: "system CPU s", format: "%.2f") { $0.processor?.system },
            Column(heading: "in s", format: "%.1f") { $0.seconds },
        ]
        if work == .both {
            return [
                gigabits, Column(heading: "down", format: "%.2f", number: \.downloadGigabits),
                Column(heading: "up", format: "%.2f", number: \.uploadGigabits),
            ] + processor
        }
        if work.isTCP { return [gigabits] + processor }
        if work != .latency { return [kilopackets, gigabits] + processor }
        return [
            kilopackets, Column(heading: "median us", format: "%.0f") { $0.latency?.median },
            Column(heading: "90 %", format: "%.0f") { $0.latency?.tenth },
            Column(heading: "99 %", format: "%.0f") { $0.latency?.hundredth },
            Column(heading: "99.9 %", format: "%.0f") { $0.latency?.thousandth },
            Column(heading: "lost %", format: "%.2f") { $0.latency.map { $0.lost * 100 } },
        ] + processor
    }

    private var ratios: TextTable? {
        let ratios = TunRatio.all(of: results)
        guard !ratios.isEmpty else { return nil }
        return TextTable(
            title: "Ratios, the middle of the rounds'", heading: ["what of what", "", "ratio", "wanted"], words: 2,
            rows: ratios.map {
                [
                    $0.name, $0.isReached ? "reached" : "", String(format: "%.2f", $0.ratio),
                    ($0.isAtMost ? "at most " : "") + String(format: "%g", $0.wanted),
                ]
            })
    }

    /// A chart for each work.
    var plot: Plot {
        Plot(
            title: "Through TUN devices",
            bars: results.works.compactMap { work in
                let bars = results.subjects.compactMap { subject -> (name: String, value: Double)? in
                    guard let value = results.figures(of: subject, work).median({ $0.value(of: work) }) else {
                        return nil
                    }
                    let end = subject.end == .kernel ? ", home agent alone" : ""
                    return (subject.name + end, value)
                }
                let unit =
                    work.isTCP ? "Gbit/s" : work == .latency ? "us, 99 of 100 packets" : "thousand packets a second"
                return bars.isEmpty ? nil : Plot.Bars(title: work.title, unit: unit, bars: bars)
            })
    }
}
