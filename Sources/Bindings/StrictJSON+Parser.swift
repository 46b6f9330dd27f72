// The grammar of RFC 8259, to the letter: no comments, no trailing commas, no leading zeroes, no bare control
// characters, no half of a surrogate pair. What a string's bytes mean is left to Document.

extension StrictJSON {
    /// Turns bytes into tokens.
    struct Parser {
        let bytes: UnsafeBufferPointer<UInt8>
        var position = 0
        var tokens: [Token] = []

        init(bytes: UnsafeBufferPointer<UInt8>) {
            self.bytes = bytes
        }

        /// The tokens of the whole document.
        mutating func document() throws(Failure) -> [Token] {
            try value(depth: 0)
            skipSpace()
            guard position == bytes.count else { throw failure("something follows the end of the document") }
            return tokens
        }

        private mutating func value(depth: Int) throws(Failure) {
            skipSpace()
            switch peek {
            case UInt8(ascii: "{"): try object(depth: depth)
            case UInt8(ascii: "["): try array(depth: depth)
            case UInt8(ascii: "\""): try string()
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number()
            case UInt8(ascii: "t"): try literal("true", .true)
            case UInt8(ascii: "f"): try literal("false", .false)
            case UInt8(ascii: "n"): try literal("null", .null)
            default: throw failure("a value is expected")
            }
        }

        private mutating func object(depth: Int) throws(Failure) {
            let object = try open(.object, depth: depth)
            skipSpace()
            if peek == UInt8(ascii: "}") { return close(object) }
            while true {
                skipSpace()
                guard peek == UInt8(ascii: "\"") else { throw failure("a key in quotation marks is expected") }
                try string()
                skipSpace()
                guard peek == UInt8(ascii: ":") else { throw failure("\":\" is expected") }
                position += 1
                try value(depth: depth + 1)
                skipSpace()
                switch peek {
                case UInt8(ascii: ","): position += 1
                case UInt8(ascii: "}"):
                    close(object)
                    return try refuseDuplicates(object)
                default: throw failure("\",\" or \"}\" is expected")
                }
            }
        }

        private mutating func array(depth: Int) throws(Failure) {
            let array = try open(.array, depth: depth)
            skipSpace()
            if peek == UInt8(ascii: "]") { return close(array) }
            while true {
                try value(depth: depth + 1)
                skipSpace()
                switch peek {
                case UInt8(ascii: ","): position += 1
                case UInt8(ascii: "]"): return close(array)
                default: throw failure("\",\" or \"]\" is expected")
                }
            }
        }

        private mutating func open(_ kind: Kind, depth: Int) throws(Failure) -> Int {
            guard depth < depthLimit else { throw failure("is nested deeper than \(depthLimit) levels") }
            append(kind, from: position, to: position)
            position += 1
            return tokens.count - 1
        }

        private mutating func close(_ container: Int) {
            position += 1
            tokens[container].end = UInt32(position)
            tokens[container].next = UInt32(tokens.count)
        }

        private mutating func refuseDuplicates(_ object: Int) throws(Failure) {
            var keys: [Int] = []
            var key = object + 1
            while key < tokens.count {
                keys.append(key)
                key = Int(tokens[key + 1].next)
            }
            // Few keys are compared each with each, many by way of a set, so that neither costs much.
            let areFew = keys.count <= 16 && !keys.contains { tokens[$0].isEscaped }
            var seen: Set<String> = []
            for (position, key) in keys.enumerated() {
                let isDuplicate =
                    areFew
                    ? keys[..<position].contains { raw($0).elementsEqual(raw(key)) }
                    : !seen.insert(text(key)).inserted
                if isDuplicate {
                    self.position = Int(tokens[key].start) - 1
                    throw failure("key \(quoted(text(key))) stands twice in this object")
                }
            }
        }

        private func raw(_ token: Int) -> Slice<UnsafeBufferPointer<UInt8>> {
            bytes[Int(tokens[token].start)..<Int(tokens[token].end)]
        }

        private func text(_ key: Int) -> String {
            StrictJSON.string(raw(key), isEscaped: tokens[key].isEscaped) ?? String(decoding: raw(key), as: UTF8.self)
        }

        private mutating func string() throws(Failure) {
            position += 1
            let start = position
            var isEscaped = false
            while true {
                switch peek {
                case UInt8(ascii: "\""):
                    append(.string, from: start, to: position)
                    tokens[tokens.count - 1].isEscaped = isEscaped
                    position += 1
                    return
                case UInt8(ascii: "\\"):
                    isEscaped = true
                    try escape()
                case 0..<0x20:
                    throw failure(
                        position == bytes.count
                            ? "the document ends within a string" : "a control character in a string must be escaped")
                default: position += 1
                }
            }
        }

        private mutating func escape() throws(Failure) {
            position += 1
            switch peek {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
                UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
                position += 1
            case UInt8(ascii: "u"):
                let first = try hexadecimal()
                if (0xDC00..<0xE000).contains(first) { throw failure("half of a surrogate pair") }
                guard (0xD800..<0xDC00).contains(first) else { return }
                guard peek == UInt8(ascii: "\\"), position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "u")
                else { throw failure("half of a surrogate pair") }
                position += 1
                guard (0xDC00..<0xE000).contains(try hexadecimal()) else { throw failure("half of a surrogate pair") }
            default: throw failure("is no escape of JSON")
            }
        }

        /// The number of a `u` and four digits.
        private mutating func hexadecimal() throws(Failure) -> UInt32 {
            position += 1
            var number: UInt32 = 0
            for _ in 0..<4 {
                guard let digit = Character(Unicode.Scalar(peek)).hexDigitValue else {
                    throw failure("four hexadecimal digits are expected")
                }
                number = number << 4 | UInt32(digit)
                position += 1
            }
            return number
        }

        private mutating func number() throws(Failure) {
            let start = position
            if peek == UInt8(ascii: "-") { position += 1 }
            if peek == UInt8(ascii: "0") { position += 1 } else { try digits() }
            if peek == UInt8(ascii: ".") {
                position += 1
                try digits()
            }
            if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
                position += 1
                if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { position += 1 }
                try digits()
            }
            append(.number, from: start, to: position)
        }

        private mutating func digits() throws(Failure) {
            guard (0x30...0x39).contains(peek) else { throw failure("a digit is expected") }
            while (0x30...0x39).contains(peek) { position += 1 }
        }

        private mutating func literal(_ text: StaticString, _ kind: Kind) throws(Failure) {
            let end = position + text.utf8CodeUnitCount
            guard end <= bytes.count,
                bytes[position..<end].elementsEqual(
                    UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
            else { throw failure("a value is expected") }
            append(kind, from: position, to: end)
            position = end
        }

        private mutating func append(_ kind: Kind, from start: Int, to end: Int) {
            tokens.append(
                Token(start: UInt32(start), end: UInt32(end), next: UInt32(tokens.count + 1), kind: kind))
        }

        /// The next byte; past the end 0, which the grammar takes nowhere.
        private var peek: UInt8 { position < bytes.count ? bytes[position] : 0 }

        private mutating func skipSpace() {
            while peek == 0x20 || peek == 0x0A || peek == 0x0D || peek == 0x09 { position += 1 }
        }

        /// A failure at the position that was reached.
        private func failure(_ problem: String) -> Failure {
            let before = bytes[..<position]
            let line = before.reduce(1) { $1 == 0x0A ? $0 + 1 : $0 }
            let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
            return Failure("line \(line), column \(position - lineStart + 1)", problem)
        }
    }
}
