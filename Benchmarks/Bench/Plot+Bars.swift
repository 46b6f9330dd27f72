// Bar charts: one value for each of several names.

extension Plot {
    /// A chart of bars, one below the other, from 0 on.
    struct Bars {
        var title: String
        var unit: String
        var bars: [(name: String, value: Double)]

        fileprivate static let step = 16.0
        fileprivate static let top = 36.0

        /// What it takes of the page.
        var height: Double { Self.top + Double(bars.count) * Self.step + 24 }
    }

    /// Names stand to the left of the bars, values behind them.
    func draw(_ chart: Bars) -> [String] {
        let (left, right) = (270.0, Self.width - 60)
        let most = max(chart.bars.map(\.value).max() ?? 0, .leastNormalMagnitude)
        var lines = [label("\(chart.title), \(chart.unit)", x: 20, y: 18, anchor: "start", size: 13)]
        for (index, bar) in chart.bars.enumerated() {
            let y = Bars.top + Double(index) * Bars.step
            let length = max(0, bar.value) / most * (right - left)
            // Ours stand out.
            let colour = Self.colours[bar.name.hasPrefix("mooringd") ? 0 : 1]
            lines.append(label(bar.name, x: left - 6, y: y + 11, anchor: "end", size: 11))
            lines.append(
                "<rect x=\"\(text(left))\" y=\"\(text(y + 2))\" width=\"\(text(length))\" "
                    + "height=\"\(text(Bars.step - 4))\" fill=\"\(colour)\"/>")
            lines.append(label(Self.short(bar.value), x: left + length + 4, y: y + 11, anchor: "start", size: 11))
        }
        return lines
    }
}
