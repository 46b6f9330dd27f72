// Reads the fixed part and every extension up to the end of the datagram. Lengths are asked for before anything is
// read; what reads fields relies on it.

extension ReceivedMessage {
    init(parsing bytes: [UInt8]) throws(MobileIPError) {
        guard let first = bytes.first else { throw .messageEmpty }
        guard bytes.count <= Message.maximumLength else { throw .messageTooLong }
        guard first == Message.type.rawValue else { throw .messageTypeUnknown }
        guard bytes.count >= Message.fixedLength else { throw .messageTruncated }
        var reader = MessageReader(bytes)
        var fixedPart = reader.part(Message.fixedLength)
        var message = Message(readingFixedPart: &fixedPart)
        var authentications: [ReceivedAuthentication] = []
        var skipped = SkippedExtensions()
        while reader.remaining > 0 {
            let start = reader.position
            switch try MobileIPExtension.read(&reader) {
            case .padding: continue
            case .skipped(let type): skipped.add(type)
            case .value(let value):
                guard message.extensions.count < Message.maximumExtensions else { throw .tooManyExtensions }
                if case .authentication(let authentication) = value {
                    authentications.append(
                        ReceivedAuthentication(
                            value: authentication, index: message.extensions.count,
                            coveredLength: start + AuthenticationExtension.prefixLength))
                }
                message.extensions.append(value)
            }
        }
        self.init(message: message, bytes: bytes, authentications: authentications, skipped: skipped)
    }
}
