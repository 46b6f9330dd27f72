/// Rows in columns. Widths only grow, so a long table can be printed in parts.
struct Table {
    enum Alignment { case left, right }

    private let columns: [Alignment]
    private var widths: [Int]
    private var rows: [[String]] = []

    init(_ columns: [Alignment]) {
        self.columns = columns
        widths = columns.map { _ in 0 }
    }

    /// Adds a row. The last column is not padded.
    mutating func add(_ row: [String]) {
        precondition(row.count == columns.count, "a row has a cell for each column")
        for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
        rows.append(row)
    }

    /// Prints what was added since the last time.
    mutating func print(to output: Output) {
        for row in rows {
            var line = ""
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                let isLast = column == row.count - 1
                line += columns[column] == .right ? padding + cell : isLast ? cell : cell + padding
                if !isLast { line += "  " }
            }
            while line.last == " " { line.removeLast() }
            output.line(line)
        }
        rows = []
    }
}
