// TOML (toml.io, 1.0) read as strictly as `StrictJSON` reads JSON: unknown keys, keys that stand twice, wrong types and
// missing keys are errors that name their place, such as `nodes[3].prefixes[0]`. The text is parsed by the toml++ that
// TOMLKit brings, and what it says is handed on as JSON, so that one set of accessors serves both. Dates become strings;
// infinities and what is not a number have no JSON, and are refused.

import Bindings
import CTOML
import Glibc

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
        // The parser would take it for the end.
        guard !bytes.contains(0) else { throw StrictJSON.Failure("", "has a byte 0, which TOML has not") }
        let json = try json(of: text, linesBefore)
        do throws(StrictJSON.Failure) {
            return try StrictJSON.parse(json)
        } catch {
            throw StrictJSON.Failure("", "has a number that is not finite, or is nested too deep")
        }
    }

    /// Calls the parser below TOMLKit, whose tables and texts are never given back.
    private static func json(of text: String, _ linesBefore: Int) throws(StrictJSON.Failure) -> [UInt8] {
        let failure = UnsafeMutablePointer<CTOMLParseError>.allocate(capacity: 1)
        defer { failure.deallocate() }
        guard let table = text.withCString({ tableCreateFromString($0, failure) }) else {
            let (description, begin) = (failure.pointee.description, failure.pointee.source.begin)
            defer { free(UnsafeMutableRawPointer(mutating: description)) }
            throw StrictJSON.Failure(
                "line \(linesBefore + Int(begin.line)), column \(begin.column)", String(cString: description))
        }
        // All but the root itself, for whose end there is no call.
        defer { tableClear(table) }
        let json = tableConvertToJSON(table, unicodeStrings)
        defer { free(json) }
        return Array(UnsafeRawBufferPointer(start: json, count: strlen(json)))
    }

    /// Of the parser's format flags (toml++, `format_flags::allow_unicode_strings`).
    private static let unicodeStrings: UInt64 = 1 << 5
}
