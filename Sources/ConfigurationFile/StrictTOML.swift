// TOML (toml.io, 1.0) read as strictly as `StrictJSON` reads JSON: unknown keys, keys that stand twice, wrong types and
// missing keys are errors that name their place, such as `nodes[3].prefixes[0]`. The text is parsed by TOMLKit, and what
// it says is handed on as JSON, so that one set of accessors serves both. Dates become strings; infinities and what is
// not a number have no JSON, and are refused.

import Bindings
import TOMLKit

/// TOML, read strictly.
public enum StrictTOML {
    /// The longest document, in bytes.
    public static let sizeLimit = 64 << 20

    /// Reads a file.
    /// - Parameters:
    ///   - take: makes of its root what it says.
    /// - Throws: where it can't be read or is no TOML, or what `take` finds wrong; the place begins with the path.
    public static func read<Content>(
        _ path: String, _ take: (StrictJSON.Value) throws(StrictJSON.Failure) -> Content
    ) throws(StrictJSON.Failure) -> Content {
        let bytes = try StrictJSON.bytes(of: path, limit: sizeLimit)
        do throws(StrictJSON.Failure) {
            return try take(parse(bytes))
        } catch {
            // What another file is blamed for, such as that of a key, has its own path.
            if error.place.hasPrefix("/") { throw error }
            throw StrictJSON.Failure(error.place.isEmpty ? path : "\(path): \(error.place)", error.problem)
        }
    }

    /// Parses a document.
    /// - Parameter linesBefore: lines before it, where it is a part of another.
    /// - Throws: where it is no TOML; the place is a line and a column then.
    public static func parse(
        _ bytes: [UInt8], linesBefore: Int = 0
    ) throws(StrictJSON.Failure) -> StrictJSON.Value {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw StrictJSON.Failure("", "is no UTF-8, as TOML must be")
        }
        let table: TOMLTable
        do {
            table = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            let begin = error.source.begin
            throw StrictJSON.Failure("line \(linesBefore + Int(begin.line)), column \(begin.column)", error.description)
        } catch {
            throw StrictJSON.Failure("", "\(error)")
        }
        do throws(StrictJSON.Failure) {
            return try StrictJSON.parse(Array(table.convert(to: .json, options: .allowUnicodeStrings).utf8))
        } catch {
            throw StrictJSON.Failure("", "has a number that is not finite, or is nested too deep")
        }
    }
}
