import MobileIP
import TestSupport
import Testing
import Wire

@Suite("Reply codes")
struct ReplyCodeTests {
    @Test("say who accepts and who rejects")
    func ranges() {
        #expect(ReplyCode.accepted.isAccepted && ReplyCode.accepted.isFromHomeAgent)
    }
}
