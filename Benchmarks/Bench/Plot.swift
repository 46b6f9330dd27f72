// Charts of figures as one SVG file: lines over a number, enough to see a bend, and bars (Plot+Bars.swift).

import Foundation

/// A page of charts, two beside each other.
struct Plot {
    /// Points of one kind.
    struct Series {
        var name: String
        var points: [(x: Double, y: Double)]
    }

    /// A chart. The number goes along its foot by powers of ten; values begin at 0.
    struct Chart {
        var title: String
        var unit: String
        var series: [Series]
    }

    var title: String
    /// What the number counts.
    var number = ""
    var charts: [Chart] = []
    /// Below the others.
    var bars: [Bars] = []

    static let width = 460.0
    private static let height = 300.0
    static let colours = ["#1b6ca8", "#c8553d", "#3a7d44", "#7b4b94"]

    /// Writes the page.
    /// - Throws: `BenchError` where the file can't be written.
    func write(to path: String) throws {
        do { try svg.write(toFile: path, atomically: true, encoding: .utf8) } catch {
            throw BenchError("“\(path)” can't be written: \(error.localizedDescription)")
        }
    }

    /// The page.
    var svg: String {
        let cells =
            charts.map { (height: Self.height, lines: draw($0)) } + bars.map { (height: $0.height, lines: draw($0)) }
        let rows = stride(from: 0, to: cells.count, by: 2).map { cells[$0..<min($0 + 2, cells.count)] }
        let heights = rows.map { $0.map(\.height).max() ?? 0 }
        let size = (width: 2 * Self.width, height: heights.reduce(40, +))
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(text(size.width)) \(text(size.height))\" "
                + "font-family=\"sans-serif\" font-size=\"12\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            label(title, x: size.width / 2, y: 24, anchor: "middle", size: 16),
        ]
        var y = 40.0
        for (row, height) in zip(rows, heights) {
            for (column, cell) in row.enumerated() {
                lines.append("<g transform=\"translate(\(text(Double(column) * Self.width)),\(text(y)))\">")
                lines += cell.lines
                lines.append("</g>")
            }
            y += height
        }
        return lines.joined(separator: "\n") + "\n</svg>\n"
    }

    private func draw(_ chart: Chart) -> [String] {
        let points = chart.series.flatMap(\.points)
        guard let least = points.map(\.x).min(), let most = points.map(\.x).max(), least > 0 else { return [] }
        let (first, last) = (log10(least), max(log10(most), log10(least) + 1e-9))
        let top = Self.roundedUp(points.map(\.y).max() ?? 1)
        let field = (left: 60.0, right: Self.width - 20, top: 36.0, bottom: Self.height - 48)
        func x(_ value: Double) -> Double {
            field.left + (log10(value) - first) / (last - first) * (field.right - field.left)
        }
        func y(_ value: Double) -> Double { field.bottom - value / top * (field.bottom - field.top) }
        var lines = [
            label("\(chart.title), \(chart.unit)", x: field.left, y: 18, anchor: "start", size: 13),
            label(number, x: (field.left + field.right) / 2, y: Self.height - 10, anchor: "middle"),
        ]
        for step in 0...4 {
            let value = top * Double(step) / 4
            lines.append(
                "<line x1=\"\(text(field.left))\" x2=\"\(text(field.right))\" y1=\"\(text(y(value)))\" "
                    + "y2=\"\(text(y(value)))\" stroke=\"#ddd\"/>")
            lines.append(label(Self.short(value), x: field.left - 6, y: y(value) + 4, anchor: "end"))
        }
        for power in Int(ceil(first - 1e-9))...max(Int(ceil(first - 1e-9)), Int(floor(last + 1e-9))) {
            let value = pow(10, Double(power))
            guard value >= least * 0.999, value <= most * 1.001 else { continue }
            lines.append(label(Self.short(value), x: x(value), y: field.bottom + 16, anchor: "middle"))
        }
        for (index, series) in chart.series.enumerated() {
            let colour = Self.colours[index % Self.colours.count]
            let path = series.points.map { "\(text(x($0.x))),\(text(y($0.y)))" }.joined(separator: " ")
            lines.append("<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\"/>")
            for point in series.points {
                lines.append(
                    "<circle cx=\"\(text(x(point.x)))\" cy=\"\(text(y(point.y)))\" r=\"3\" fill=\"\(colour)\"/>")
            }
            let place = field.top + 12 + Double(index) * 15
            lines.append(
                label(series.name, x: field.left + 12, y: place, anchor: "start", colour: colour))
        }
        return lines
    }

    func label(
        _ content: String, x: Double, y: Double, anchor: String, size: Int = 12, colour: String = "#333"
    ) -> String {
        let escaped = content.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
        return "<text x=\"\(text(x))\" y=\"\(text(y))\" text-anchor=\"\(anchor)\" font-size=\"\(size)\" "
            + "fill=\"\(colour)\">\(escaped)</text>"
    }

    func text(_ value: Double) -> String { String(format: "%.1f", value) }

    /// 1, 2 or 5 times a power of ten, at least the value.
    static func roundedUp(_ value: Double) -> Double {
        guard value > 0 else { return 1 }
        let power = pow(10, floor(log10(value)))
        return [1, 2, 5, 10].map { $0 * power }.first { $0 >= value } ?? 10 * power
    }

    /// With k for thousands and M for millions.
    static func short(_ value: Double) -> String {
        let (number, unit) = value >= 1e6 ? (value / 1e6, "M") : value >= 1e3 ? (value / 1e3, "k") : (value, "")
        return String(format: "%g", (number * 100).rounded() / 100) + unit
    }
}
