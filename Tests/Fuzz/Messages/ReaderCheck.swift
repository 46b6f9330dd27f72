// Bytes in front of every reader of MobileIP. What one accepts is written and read as the same, and all that it says of
// its bytes lies inside. A writer leaves out padding and what was skipped, and writes what is reserved as zero: so bytes
// come back as they were where there is nothing of that, as in all that the state machines send.

import MobileIP
import Wire

/// What readers make of bytes.
struct ReaderCheck {
    private(set) var accepted: UInt64 = 0
    private(set) var refused: [MobileIPError: UInt64] = [:]

    /// What came to UDP port 434.
    /// - Returns: the message, where it is one.
    @discardableResult
    mutating func read(_ bytes: [UInt8]) throws(Finding) -> MobileIPDatagram? {
        let datagram: MobileIPDatagram
        do throws(MobileIPError) { datagram = try MobileIPDatagram.parse(bytes) } catch {
            refused[error, default: 0] += 1
            return nil
        }
        accepted += 1
        switch datagram {
        case .registrationRequest(let received): try Self.check(received)
        case .registrationReply(let received): try Self.check(received)
        case .registrationRevocation(let received): try Self.check(received)
        case .registrationRevocationAcknowledgment(let received): try Self.check(received)
        }
        return datagram
    }

    /// An ICMP message of agent discovery.
    mutating func readAdvertisement(_ bytes: [UInt8]) throws(Finding) -> AgentAdvertisement? {
        _ = try? AgentSolicitation.parse(bytes)
        let advertisement: AgentAdvertisement
        do throws(MobileIPError) { advertisement = try AgentAdvertisement.parse(bytes).advertisement } catch {
            refused[error, default: 0] += 1
            return nil
        }
        accepted += 1
        let written = advertisement.write()
        guard let again = try? AgentAdvertisement.parse(written), again.advertisement == advertisement else {
            throw Finding("an advertisement that is written is read as another")
        }
        guard again.skipped.count == 0, again.advertisement.write() == written, written.count <= bytes.count + 1 else {
            throw Finding("an advertisement is not written as it was")
        }
        return advertisement
    }

    /// What one of the state machines sends: a message with nothing that is skipped, the same bytes when written.
    static func checkSent(_ bytes: [UInt8]) throws(Finding) {
        let isSame: Bool
        do throws(MobileIPError) {
            switch try MobileIPDatagram.parse(bytes) {
            case .registrationRequest(let received): isSame = try received.message.write() == bytes
            case .registrationReply(let received): isSame = try received.message.write() == bytes
            case .registrationRevocation(let received): isSame = try received.message.write() == bytes
            case .registrationRevocationAcknowledgment(let received): isSame = try received.message.write() == bytes
            }
        } catch { throw Finding("what is sent can't be read: \(error)") }
        guard isSame else { throw Finding("what is sent is written as other bytes") }
    }

    private static func check<Message>(_ received: ReceivedMessage<Message>) throws(Finding) {
        let (message, bytes) = (received.message, received.bytes)
        let wrong: String?
        do throws(MobileIPError) { wrong = try Self.wrong(with: message, length: bytes.count) } catch {
            wrong = "what was read can't be written, or then not be read: \(error)"
        }
        if let wrong { throw Finding(wrong) }
        for authentication in received.authentications {
            guard authentication.coveredLength + authentication.value.authenticator.count <= bytes.count,
                message.extensions[authentication.index] == .authentication(authentication.value)
            else { throw Finding("an authentication that lies outside") }
        }
    }

    /// Of what is written of a message that was read from so many bytes.
    private static func wrong<Message: MobileIPMessage>(
        with message: Message, length: Int
    ) throws(MobileIPError) -> String? {
        let written = try message.write()
        let again = try Message.parse(written)
        if written.count != message.length || written.count > length { return "a message is written in another length" }
        if again.message != message || again.skipped.count > 0 { return "a message that is written is read as another" }
        return try again.message.write() == written ? nil : "a message is written in two ways"
    }
}
