import MobileIP
import Testing

@Suite("Network access identifiers")
struct NetworkAccessIdentifierTests {
    @Test(
        "are shown as they are read, and what can't be seen or is no UTF-8 as bytes",
        arguments: [
            (Array("mn1@example.net".utf8), "mn1@example.net"),
            (Array("jürgen@bücher.example".utf8), "jürgen@bücher.example"),
            (Array("ノード@例え".utf8), "ノード@例え"), (Array("a\\b".utf8), "a\\x5cb"),
            // Controls, of both ranges; a line's end.
            ([0x61, 0x00, 0x0A, 0x7F], "a\\x00\\x0a\\x7f"),
            (Array("a\u{85}b\u{2028}".utf8), "a\\xc2\\x85b\\xe2\\x80\\xa8"),
            // What turns the order of writing around, takes no room, or looks like a space.
            (Array("a\u{202E}b".utf8), "a\\xe2\\x80\\xaeb"),
            (Array("a\u{200B}\u{FE0F}".utf8), "a\\xe2\\x80\\x8b\\xef\\xb8\\x8f"),
            (Array("a\u{FFF9}".utf8), "a\\xef\\xbf\\xb9"),
            (Array("a\u{A0}b c".utf8), "a\\xc2\\xa0b c"), (Array("\u{E000}".utf8), "\\xee\\x80\\x80"),
            // No UTF-8: cut, or too long a form.
            ([0x61, 0xC3], "a\\xc3"), ([0xC3, 0xBC, 0xFF], "\\xc3\\xbc\\xff"), ([0xC0, 0xAF], "\\xc0\\xaf"),
        ] as [([UInt8], String)])
    func description(_ bytes: [UInt8], _ text: String) throws {
        let identifier = try #require(NetworkAccessIdentifier(bytes: bytes))
        #expect(Array(identifier.description.utf8) == Array(text.utf8), "\(identifier)")
    }
}
