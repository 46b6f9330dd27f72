// RFC 5944, 3.4 and 6.3, with the codes of RFC 2794, 3024, 3519, 4433, 4721 and 5177.

import MobileIP
import Testing

@Suite("Reply codes")
struct ReplyCodeTests {
    /// Those that the RFCs name.
    private static let named: Set<UInt8> = [
        0, 1, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 88, 90, 96, 97, 98, 99, 104,
        105, 106, 108, 109, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 142, 143, 144, 147, 148, 194,
    ]

    @Test("each code accepts, or says who rejects, by its range")
    func ranges() {
        for number in UInt8.min...UInt8.max {
            let code = ReplyCode(rawValue: number)
            #expect(code.isAccepted == (number <= 8), "\(number)")
            #expect(code.isFromHomeAgent == (number <= 8 || (128...192).contains(number)), "\(number)")
            #expect(code.isFromForeignAgent == ((64...127).contains(number) || number == 194), "\(number)")
        }
    }

    @Test("each code that an RFC names has a sentence of its own, and no other has")
    func explanations() {
        var sentences: Set<String> = []
        for number in UInt8.min...UInt8.max {
            let explanation = ReplyCode(rawValue: number).explanation
            if Self.named.contains(number) { #expect(sentences.insert(explanation).inserted, "\(number)") }
            let isUnknown = explanation.contains("with a code")
            #expect(isUnknown != Self.named.contains(number), "\(number): \(explanation)")
        }
        #expect(ReplyCode.identificationMismatch.description.hasPrefix("133: "))
    }
}
