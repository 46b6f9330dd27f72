import TestSupport
import Testing

@testable import Bindings

@Suite("Strict JSON") struct StrictJSONTests {
    private func parse(_ text: String) throws -> StrictJSON.Value { try StrictJSON.parse(Array(text.utf8)) }

    private func failure(_ body: () throws -> Void) -> StrictJSON.Failure? {
        do {
            try body()
            return nil
        } catch {
            return error as? StrictJSON.Failure
        }
    }

    @Test(
        "What is no JSON is refused with line and column",
        arguments: [
            ("", "line 1, column 1"), ("  \n ", "line 2, column 2"), ("{", "line 1, column 2"),
            ("{\"a\":1,}", "line 1, column 8"), ("[1,]", "line 1, column 4"), ("[1 2]", "line 1, column 4"),
            ("{\"a\" 1}", "line 1, column 6"), ("{a:1}", "line 1, column 2"), ("{'a':1}", "line 1, column 2"),
            ("nul", "line 1, column 1"), ("truE", "line 1, column 1"), ("NaN", "line 1, column 1"),
            ("01", "line 1, column 2"), ("-", "line 1, column 2"), ("1.", "line 1, column 3"),
            (".5", "line 1, column 1"),
            ("+1", "line 1, column 1"), ("1e", "line 1, column 3"), ("1e+", "line 1, column 4"),
            ("0x10", "line 1, column 2"), ("[1]]", "line 1, column 4"), ("{} {}", "line 1, column 4"),
            ("// no\n1", "line 1, column 1"), ("\"abc", "line 1, column 5"), ("\"a\nb\"", "line 1, column 3"),
            ("\"\\x\"", "line 1, column 3"), ("\"\\u12g4\"", "line 1, column 6"), ("\"\\ud800\"", "line 1, column 8"),
            ("\"\\ud800\\u0041\"", "line 1, column 14"), ("\"\\udc00\"", "line 1, column 8"),
            ("{\n  \"a\": 1,\n  \"b\": ?\n}", "line 3, column 8"), ("\u{FEFF}{}", "line 1, column 1"),
        ])
    func refusesWhatIsNoJSON(text: String, place: String) {
        #expect(failure { _ = try parse(text) }?.place == place, "\(text)")
    }

    @Test("A byte of zero is no space and no string's")
    func refusesZeroBytes() {
        #expect(failure { _ = try StrictJSON.parse([0x00]) } != nil)
        #expect(failure { _ = try StrictJSON.parse([0x31, 0x00]) } != nil)
        #expect(failure { _ = try StrictJSON.parse(Array("\"a\0b\"".utf8)) } != nil)
    }

    @Test("A key that stands twice is refused, also when it is written in two ways or there are many keys")
    func refusesDuplicateKeys() throws {
        let twice = failure { _ = try parse("{\"a\":1,\n\"b\":2,\"a\":3}") }
        #expect(twice == StrictJSON.Failure("line 2, column 7", "key \"a\" stands twice in this object"))
        #expect(failure { _ = try parse("{\"a\":1,\"\\u0061\":2}") }?.problem.contains("\"a\" stands twice") == true)
        let many = (0..<1000).map { "\"k\($0)\":0" }.joined(separator: ",")
        #expect(failure { _ = try parse("{\(many),\"k500\":1}") }?.problem.contains("\"k500\" stands twice") == true)
        _ = try parse("{\(many)}")
        _ = try parse("[{\"a\":1},{\"a\":1}]")
    }

    @Test("Nesting is bounded")
    func boundsDepth() throws {
        let limit = StrictJSON.depthLimit
        _ = try parse(String(repeating: "[", count: limit) + String(repeating: "]", count: limit))
        let tooDeep = failure { _ = try parse(String(repeating: "[", count: 1_000_000)) }
        #expect(tooDeep?.problem == "is nested deeper than \(limit) levels")
    }

    @Test("A document longer than the limit is refused")
    func boundsSize() {
        let bytes = [UInt8](repeating: 0x20, count: StrictJSON.sizeLimit + 1)
        #expect(failure { _ = try StrictJSON.parse(bytes) }?.problem == "is longer than 256 MiB")
    }

    // The expected strings are those that Python's json.loads gives for the same documents.
    @Test(
        "Strings mean what they say",
        arguments: [
            ("\"\"", ""), ("\"mn1\"", "mn1"), ("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\u{8}\u{C}\n\r\t"),
            ("\"\\u00e9\"", "é"), ("\"é\"", "é"), ("\"\\ud83d\\ude00!\"", "😀!"), ("\"\\u0000\"", "\0"),
        ])
    func readsStrings(text: String, expected: String) throws {
        #expect(try parse(text).string() == expected)
    }

    @Test("Bytes that are no UTF-8 are refused where they stand")
    func refusesBrokenText() throws {
        let value = try StrictJSON.parse([0x5B, 0x22, 0xC3, 0x28, 0x22, 0x5D])
        let element = try #require(try value.array().first)
        #expect(failure { _ = try element.string() } == StrictJSON.Failure("[0]", "is no UTF-8"))
    }

    @Test("Whole numbers are taken within their range, and nothing else")
    func readsIntegers() throws {
        #expect(try parse("600").integer(in: 1...UInt32.max) == 600)
        #expect(try parse("-5").integer(in: -10...Int.max) == -5)
        #expect(try parse("4294967295").integer(in: 0...UInt32.max) == .max)
        for text in ["4294967296", "-1", "1.0", "6e2", "99999999999999999999999"] {
            let refusal = failure { _ = try parse(text).integer(in: 0...UInt32.max) as UInt32 }
            #expect(refusal?.problem == "\(text) is no whole number from 0 to 4294967295")
        }
        #expect(
            failure { _ = try parse("\"5\"").integer(in: 0...UInt32.max) as UInt32 }?.problem
                == "is a string where a number is expected")
    }

    @Test("Wrong types are named with their place")
    func namesWrongTypes() throws {
        let root = try parse("{\"list\":[{\"on\":\"yes\"},null]}").object(keys: ["list"])
        let list = try root.required("list").array()
        let first = try list[0].object(keys: ["on"])
        #expect(
            failure { _ = try first.required("on").bool() }
                == StrictJSON.Failure("list[0].on", "is a string where true or false is expected"))
        #expect(
            failure { _ = try list[1].object(keys: []) }
                == StrictJSON.Failure("list[1]", "is null where an object is expected"))
        #expect(
            failure { _ = try root.required("list").string() }
                == StrictJSON.Failure("list", "is an array where a string is expected"))
    }

    @Test("Unknown and missing keys are named with their place")
    func namesKeys() throws {
        let value = try parse("{\"a\":[{\"b\":1}, {\"B\":1}]}").object(keys: ["a"]).required("a").array()
        #expect(
            failure { _ = try value[1].object(keys: ["b", "c"]) }
                == StrictJSON.Failure("a[1].B", "is no key that is known here; these are: b, c"))
        #expect(
            failure { _ = try value[0].object(keys: ["b", "c"]).required("c") }
                == StrictJSON.Failure("a[0]", "lacks \"c\""))
        let odd = failure { _ = try parse("{\"a b\\n\":0}").object(keys: []) }
        #expect(odd?.place == "\"a b\\n\"")
    }

    @Test("A file that is not there, and a directory, are named")
    func namesFiles() {
        #expect(
            failure { _ = try StrictJSON.read(contentsOf: "/nonexistent/bindings.json") }
                == StrictJSON.Failure("/nonexistent/bindings.json", "can't be read: No such file or directory"))
        #expect(failure { _ = try StrictJSON.read(contentsOf: "/") }?.problem == "can't be read: Is a directory")
    }

    /// Whether each document, its length in four bytes before it, is strict JSON to Python's json module. What
    /// that module lets pass beyond RFC 8259 is refused: NaN and Infinity, keys that stand twice, halves of surrogate
    /// pairs, which have no UTF-8.
    private static let judge = """
        import json, struct, sys
        def pairs(members):
            if len(dict(members)) < len(members): raise ValueError("twice")
            return dict(members)
        def constant(name): raise ValueError(name)
        data, position = open(sys.argv[1], "rb").read(), 0
        while position < len(data):
            (length,) = struct.unpack_from(">I", data, position)
            document = data[position + 4 : position + 4 + length]
            position += 4 + length
            try:
                value = json.loads(document.decode(), object_pairs_hook=pairs, parse_constant=constant)
                json.dumps(value, ensure_ascii=False).encode()
                print("yes")
            except (ValueError, RecursionError):
                print("no")
        """

    @Test("Mutated documents never crash it, and it takes what Python's json takes, and nothing else")
    func agreesWithPython() async throws {
        let seed = RandomTest.seed(for: "mutated JSON")
        var random = SeededGenerator(seed: seed)
        let valid = Array(
            """
            {"endpoint":"192.0.2.1","list":[1,-2.5e3,true,false,null,{"k\\u00e9":"v\\ud83d\\ude00\\n"},[],{}],"é":"\\""}
            """.utf8)
        let alphabet = Array("{}[]\",:\\u0123456789eE+-.truefalsn \n".utf8) + [0x00, 0x1F, 0x80, 0xC3, 0xFF]
        var documents: [(text: String, isTaken: Bool)] = []
        for _ in 0..<RandomTest.count(20_000) {
            var bytes = valid
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[position] = alphabet.randomElement(using: &random)!
                case 1: bytes.remove(at: position)
                default: bytes.insert(alphabet.randomElement(using: &random)!, at: position)
                }
            }
            let value = try? StrictJSON.parse(bytes)
            _ = try? value?.object(keys: ["endpoint", "list", "é"])
            // Text that is no UTF-8 is refused only when it is read, so the judge is asked about the rest.
            guard let text = String(validating: bytes, as: UTF8.self) else { continue }
            documents.append((text, value != nil))
        }
        let input = documents.flatMap { document in
            withUnsafeBytes(of: UInt32(document.text.utf8.count).bigEndian, Array.init) + Array(document.text.utf8)
        }
        let verdicts = try await Program.run(["/usr/bin/python3", "-c", Self.judge, "/dev/stdin"], input: input)
        #expect(verdicts.status == 0, "\(verdicts.errorOutput)")
        let lines = verdicts.output.split(separator: "\n")
        try #require(lines.count == documents.count)
        for (document, verdict) in zip(documents, lines) {
            #expect(document.isTaken == (verdict == "yes"), "seed \(seed): \(document.text)")
        }
        #expect(documents.count(where: \.isTaken) > documents.count / 100)
    }

    // Foundation refuses these, for they are beyond Double's range; RFC 8259 sets no range.
    @Test("A number's size is no matter of grammar", arguments: ["-2.5e3333", "1e400", "[1e-999]"])
    func takesNumbersOfAnySize(text: String) throws {
        _ = try parse(text)
    }
}
