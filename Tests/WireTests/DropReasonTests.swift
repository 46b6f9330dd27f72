import Testing
import Wire

@Suite("Drop reasons")
struct DropReasonTests {
    @Test("counters are indexed by raw value, so raw values count up from 0")
    func rawValues() {
        for (index, reason) in DropReason.allCases.enumerated() { #expect(Int(reason.rawValue) == index) }
        #expect(DropReason.count == DropReason.allCases.count)
    }

    @Test("names are in kebab case and differ from each other")
    func names() throws {
        for reason in DropReason.allCases {
            #expect(try #/[a-z0-9]+(-[a-z0-9]+)*/#.wholeMatch(in: reason.name) != nil, "\(reason.name)")
        }
        #expect(Set(DropReason.allCases.map(\.name)).count == DropReason.allCases.count)
    }

    @Test(
        "names that others rely on",
        arguments: [
            (DropReason.notIP, "not-ip"), (.noBinding, "no-binding"), (.ipv4TotalLength, "ipv4-total-length"),
            (.icmpv6Truncated, "icmpv6-truncated"), (.ecnNotCapable, "ecn-not-capable"),
            (.innerSourceUnregistered, "inner-source-unregistered"), (.outerSourceMismatch, "outer-source-mismatch"),
            (.packetTooBig, "packet-too-big"),
        ])
    func name(_ reason: DropReason, _ name: String) {
        #expect(reason.name == name)
    }

    @Test("every reason has a sentence of its own")
    func explanations() {
        for reason in DropReason.allCases { #expect(reason.explanation.hasSuffix("."), "\(reason)") }
        #expect(Set(DropReason.allCases.map(\.explanation)).count == DropReason.allCases.count)
    }

    @Test("H13 H14 security exceptions are the two that RFC 5454, 3.3 names")
    func securityExceptions() {
        let exceptions = DropReason.allCases.filter(\.isSecurityException)
        #expect(exceptions == [.innerSourceUnregistered, .outerSourceMismatch])
    }
}
