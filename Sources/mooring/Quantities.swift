// Numbers for people.

/// A duration as "1 day, 2 hours, 3 minutes, 4 seconds", what is zero left out.
func durationText(seconds: UInt64) -> String {
    let units: [(UInt64, String)] = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")]
    var rest = seconds
    var parts: [String] = []
    for (size, name) in units where rest >= size {
        parts.append("\(rest / size) \(name)\(rest / size == 1 ? "" : "s")")
        rest %= size
    }
    return parts.isEmpty ? "0 seconds" : parts.joined(separator: ", ")
}

/// A duration as "1d2h", "3m4s", its two largest units.
func shortDurationText(seconds: UInt64) -> String {
    let units: [(UInt64, String)] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")]
    guard let largest = units.firstIndex(where: { seconds >= $0.0 }) else { return "0s" }
    var rest = seconds
    return units[largest...].prefix(2).reduce(into: "") { text, unit in
        if rest >= unit.0 { text += "\(rest / unit.0)\(unit.1)" }
        rest %= unit.0
    }
}

/// Bytes as "1.25 MiB".
func bytesText(_ bytes: UInt64) -> String {
    guard bytes >= 1024 else { return "\(bytes) B" }
    var unit = bytes
    var names = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][...]
    while unit >= 1 << 20 {
        unit >>= 10
        names.removeFirst()
    }
    return "\(decimalText(Double(unit) / 1024, digits: 2)) \(names.first!)"
}

/// A number that is not negative, rounded to so many digits behind the point.
func decimalText(_ number: Double, digits: Int) -> String {
    let scale = (0..<digits).reduce(1) { scale, _ in scale * 10 }
    let scaled = UInt64((number * Double(scale)).rounded())
    let fraction = String(scaled % UInt64(scale))
    let padding = String(repeating: "0", count: digits - (digits == 0 ? 0 : fraction.count))
    return digits == 0 ? "\(scaled)" : "\(scaled / UInt64(scale)).\(padding)\(fraction)"
}

/// Bytes as "0a1bff".
func hexadecimalText(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// "1 binding", "2 bindings".
func countText(_ count: some BinaryInteger, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
