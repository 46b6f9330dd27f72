// The document behind StrictJSON's values: its bytes, its tokens, and how a token is turned back into text or a place.

extension StrictJSON {
    /// What a token is.
    enum Kind: UInt8 {
        case object, array, string, number, `true`, `false`, null

        var name: String {
            switch self {
            case .object: "an object"
            case .array: "an array"
            case .string: "a string"
            case .number: "a number"
            case .true, .false: "true or false"
            case .null: "null"
            }
        }
    }

    /// A value or a key, in the order of the document; the members of an object are key, value, key, value.
    struct Token {
        /// Its bytes; of a string, those between the quotation marks.
        var start: UInt32
        var end: UInt32
        /// The index of the token that follows it and all it holds.
        var next: UInt32
        var kind: Kind
        /// Whether a string has escapes.
        var isEscaped = false
    }

    /// A parsed document.
    final class Document: Sendable {
        let bytes: [UInt8]
        let tokens: [Token]

        init(_ bytes: [UInt8]) throws(Failure) {
            self.bytes = bytes
            var result: Result<[Token], Failure> = .success([])
            bytes.withUnsafeBufferPointer { buffer in
                var parser = Parser(bytes: buffer)
                do throws(Failure) { result = .success(try parser.document()) } catch { result = .failure(error) }
            }
            tokens = try result.get()
        }

        /// The bytes of a token as text; only for those that are ASCII by their grammar.
        func text(_ token: Token) -> String {
            String(decoding: bytes[Int(token.start)..<Int(token.end)], as: UTF8.self)
        }

        /// The string of a token; nil where it is no UTF-8.
        func string(_ token: Token) -> String? {
            StrictJSON.string(bytes[Int(token.start)..<Int(token.end)], isEscaped: token.isEscaped)
        }

        /// The keys of an object; the value of each is the token behind it.
        func keys(of object: Int) -> some Sequence<Int> {
            sequence(state: object + 1) { [self] next in
                guard next < tokens[object].next else { return nil }
                defer { next = Int(tokens[next + 1].next) }
                return next
            }
        }

        /// A key; one that is no UTF-8 has replacement characters, which no known key has.
        private func key(_ key: Int) -> String { string(tokens[key]) ?? text(tokens[key]) }

        /// Whether a key is that one. Made for ones that are looked for often: no string is made of it.
        func isKey(_ key: Int, _ name: String) -> Bool {
            let token = tokens[key]
            guard !token.isEscaped else { return string(token) == name }
            return bytes[Int(token.start)..<Int(token.end)].elementsEqual(name.utf8)
        }

        /// The path to a value.
        func place(of target: Int) -> String {
            var path = ""
            var container = 0
            while container != target {
                var next: Int?
                if tokens[container].kind == .object {
                    for key in keys(of: container) where target < tokens[key + 1].next {
                        let name = self.key(key)
                        path += (path.isEmpty ? "" : ".") + (Self.isPlain(name) ? name : StrictJSON.quoted(name))
                        next = key + 1
                        break
                    }
                } else {
                    var (element, position) = (container + 1, 0)
                    while target >= tokens[element].next {
                        element = Int(tokens[element].next)
                        position += 1
                    }
                    path += "[\(position)]"
                    next = element
                }
                container = next!
            }
            return path
        }

        private static func isPlain(_ key: String) -> Bool {
            !key.isEmpty && key.utf8.count <= 60
                && key.utf8.allSatisfy {
                    switch $0 {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                        true
                    default: false
                    }
                }
        }
    }

    /// What stands between the quotation marks of a string, its escapes resolved; nil where it is no UTF-8. The parser
    /// has seen to it that the escapes are whole.
    static func string(_ raw: some RandomAccessCollection<UInt8>, isEscaped: Bool) -> String? {
        guard isEscaped else { return String(validating: raw, as: UTF8.self) }
        var plain: [UInt8] = []
        var rest = raw[...]
        func hexadecimal() -> UInt32 {
            defer { rest = rest.dropFirst(4) }
            return UInt32(String(decoding: rest.prefix(4), as: UTF8.self), radix: 16)!
        }
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let escape = rest.popFirst() else {
                plain.append(byte)
                continue
            }
            switch escape {
            case UInt8(ascii: "b"): plain.append(0x08)
            case UInt8(ascii: "f"): plain.append(0x0C)
            case UInt8(ascii: "n"): plain.append(0x0A)
            case UInt8(ascii: "r"): plain.append(0x0D)
            case UInt8(ascii: "t"): plain.append(0x09)
            case UInt8(ascii: "u"):
                var scalar = hexadecimal()
                if (0xD800..<0xDC00).contains(scalar) {
                    rest = rest.dropFirst(2)
                    scalar = 0x10000 + (scalar - 0xD800) << 10 + (hexadecimal() - 0xDC00)
                }
                plain.append(contentsOf: String(Character(Unicode.Scalar(scalar)!)).utf8)
            default: plain.append(escape)
            }
        }
        return String(validating: plain, as: UTF8.self)
    }
}
