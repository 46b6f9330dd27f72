// A table for a terminal: words to the left, numbers to the right.

/// Rows under a heading.
struct TextTable {
    var title: String
    var heading: [String]
    /// Of the heading, how many columns have words.
    var words: Int
    var rows: [[String]] = []

    var text: String {
        let widths = heading.indices.map { column in ([heading] + rows).map { $0[column].count }.max() ?? 0 }
        let lines = ([heading] + rows).map { row in
            let cells = row.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - row[column].count)
                return column < words ? row[column] + space : space + row[column]
            }
            return "  " + cells.joined(separator: "  ")
        }
        return ([title] + lines).joined(separator: "\n") + "\n"
    }
}
