// JSON (RFC 8259) read strictly: for files that people write, where a key misspelt must not pass for one left out.
// Unknown keys, keys that stand twice, wrong types and missing keys are errors that name their place, such as
// `bindings[3].prefixes[0].prefix`. JSONDecoder can do none of this.
//
// The document becomes one flat array of tokens over its bytes (16 bytes each), not a tree: a file with a million
// bindings is read in a small multiple of its own size. A value is an index into that array; where it stands is found
// out only when an error has to say so.

/// JSON, read strictly.
public enum StrictJSON {
    /// The longest document, in bytes.
    public static let sizeLimit = 256 << 20
    /// How deep arrays and objects may be nested.
    public static let depthLimit = 64

    /// Why a document is not accepted: where, and what is wrong with it.
    public struct Failure: Error, Hashable, CustomStringConvertible {
        /// A path such as `bindings[3].id`, or `line 3, column 7` where the document is no JSON; empty: the whole.
        public let place: String
        /// What is wrong, and what is expected instead.
        public let problem: String

        /// A failure with its place.
        public init(_ place: String, _ problem: String) {
            self.place = place
            self.problem = problem
        }

        /// Place and problem.
        public var description: String { place.isEmpty ? problem : "\(place): \(problem)" }
    }

    /// Parses a whole document.
    /// - Throws: where it is longer than `sizeLimit`, no JSON, nested too deep, or an object has a key twice.
    public static func parse(_ bytes: [UInt8]) throws(Failure) -> Value {
        guard bytes.count <= sizeLimit else { throw Failure("", "is longer than \(sizeLimit >> 20) MiB") }
        return Value(document: try Document(bytes), index: 0)
    }

    /// A value of a document.
    public struct Value: Sendable {
        let document: Document
        let index: Int
        var token: Token { document.tokens[index] }

        /// Where it stands, as a path from the document's root, which is empty.
        public var place: String { document.place(of: index) }

        /// A failure at this place.
        public func failure(_ problem: String) -> Failure { Failure(place, problem) }

        /// The object it is.
        /// - Parameter keys: all that may stand in it; another one is refused.
        public func object(keys: [String]) throws(Failure) -> Object {
            guard token.kind == .object else { throw wrongType("an object") }
            return try Object(self, keys: keys)
        }

        /// The values of the array it is.
        public func array() throws(Failure) -> [Value] {
            guard token.kind == .array else { throw wrongType("an array") }
            var values: [Value] = []
            var child = index + 1
            while child < token.next {
                values.append(Value(document: document, index: child))
                child = Int(document.tokens[child].next)
            }
            return values
        }

        /// The string it is.
        public func string() throws(Failure) -> String {
            guard token.kind == .string else { throw wrongType("a string") }
            guard let string = document.string(token) else { throw failure("is no UTF-8") }
            return string
        }

        /// The whole number it is, within `range`. A number with a fraction or an exponent is none.
        public func integer<Number: FixedWidthInteger>(in range: ClosedRange<Number>) throws(Failure) -> Number {
            guard token.kind == .number else { throw wrongType("a number") }
            let text = document.text(token)
            guard let number = Number(text), range.contains(number) else {
                throw failure("\(text) is no whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }

        /// The truth value it is.
        public func bool() throws(Failure) -> Bool {
            switch token.kind {
            case .true: return true
            case .false: return false
            default: throw wrongType("true or false")
            }
        }

        /// What the string means.
        /// - Parameter meaning: what an error says it should have been, such as "an IPv4 address".
        public func parsed<Parsed: LosslessStringConvertible>(
            _ type: Parsed.Type, _ meaning: String
        ) throws(Failure) -> Parsed {
            let text = try string()
            guard let value = Parsed(text) else { throw failure("\(quoted(text)) is not \(meaning)") }
            return value
        }

        /// Which of the cases the string names.
        public func choice<Choice: RawRepresentable & CaseIterable>(
            of type: Choice.Type
        ) throws(Failure) -> Choice where Choice.RawValue == String {
            let text = try string()
            guard let choice = Choice(rawValue: text) else {
                let choices = Choice.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
                throw failure("\(quoted(text)) is none of \(choices)")
            }
            return choice
        }

        private func wrongType(_ expected: String) -> Failure {
            failure("is \(token.kind.name) where \(expected) is expected")
        }
    }

    /// An object of a document, all of whose keys are known.
    public struct Object: Sendable {
        private let value: Value
        private let keys: [String]

        init(_ value: Value, keys: [String]) throws(Failure) {
            self.value = value
            self.keys = keys
            let document = value.document
            for key in document.keys(of: value.index) where !keys.contains(where: { document.isKey(key, $0) }) {
                let known = keys.joined(separator: ", ")
                throw Failure(document.place(of: key + 1), "is no key that is known here; these are: \(known)")
            }
        }

        /// Where it stands.
        public var place: String { value.place }

        /// The value of a key, nil where it is absent. The key must be one of those the object was read with.
        public subscript(key: String) -> Value? {
            precondition(keys.contains(key), "\(key) is not among the keys this object was read with")
            let document = value.document
            return document.keys(of: value.index).first { document.isKey($0, key) }
                .map { Value(document: document, index: $0 + 1) }
        }

        /// The value of a key that must be there.
        public func required(_ key: String) throws(Failure) -> Value {
            guard let value = self[key] else { throw self.value.failure("lacks \"\(key)\"") }
            return value
        }
    }

    /// A text in quotation marks, cut where it is long, for messages; control characters are escaped.
    public static func quoted(_ text: String) -> String {
        let cut = text.unicodeScalars.count > 60 ? String(text.unicodeScalars.prefix(60)) + "…" : text
        let plain = cut.unicodeScalars.map { scalar in
            scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
                ? scalar.escaped(asASCII: true) : String(scalar)
        }
        return "\"" + plain.joined() + "\""
    }
}
