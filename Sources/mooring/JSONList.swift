/// An object with one array, printed entry by entry as they come: there may be a million.
struct JSONList {
    private var previous: String?

    init(_ key: String) { Output.standard.line("{\"\(key)\":[") }

    mutating func add(_ entry: some Encodable) {
        if let previous { Output.standard.line(previous + ",") }
        previous = jsonText(entry)
    }

    func end() {
        if let previous { Output.standard.line(previous) }
        Output.standard.line("]}")
    }
}
