// RFC 6040, section 4: its figures written out by hand.

import Testing
import Wire

@Suite("Traffic class")
struct TrafficClassTests {
    @Test("DSCP and ECN are the upper six bits and the lower two")
    func fields() {
        for value in UInt8.min...UInt8.max {
            let trafficClass = TrafficClass(rawValue: value)
            #expect(trafficClass.dscp == value / 4)
            #expect(trafficClass.ecn.rawValue == value % 4)
            #expect(TrafficClass(dscp: value / 4, ecn: trafficClass.ecn) == trafficClass)
        }
    }

    @Test("the codepoints of RFC 3168, section 5")
    func codepoints() {
        #expect(ECN.notCapable.rawValue == 0b00)
        #expect(ECN.capable1.rawValue == 0b01)
        #expect(ECN.capable0.rawValue == 0b10)
        #expect(ECN.congestionExperienced.rawValue == 0b11)
    }

    /// RFC 6040, figure 4, read row by row: inner, outer, what goes on. Nil is its `<drop>`.
    static let figure4: [(inner: ECN, outer: ECN, outgoing: ECN?)] = [
        (.notCapable, .notCapable, .notCapable),
        (.notCapable, .capable0, .notCapable),
        (.notCapable, .capable1, .notCapable),
        (.notCapable, .congestionExperienced, nil),
        (.capable0, .notCapable, .capable0),
        (.capable0, .capable0, .capable0),
        (.capable0, .capable1, .capable1),
        (.capable0, .congestionExperienced, .congestionExperienced),
        (.capable1, .notCapable, .capable1),
        (.capable1, .capable0, .capable1),
        (.capable1, .capable1, .capable1),
        (.capable1, .congestionExperienced, .congestionExperienced),
        (.congestionExperienced, .notCapable, .congestionExperienced),
        (.congestionExperienced, .capable0, .congestionExperienced),
        (.congestionExperienced, .capable1, .congestionExperienced),
        (.congestionExperienced, .congestionExperienced, .congestionExperienced),
    ]

    @Test("T8 all 16 cells of RFC 6040, figure 4", arguments: 0..<16)
    func decapsulation(_ cell: Int) {
        let (inner, outer, outgoing) = Self.figure4[cell]
        #expect(ECN.decapsulated(inner: inner, outer: outer) == outgoing)
    }
}
