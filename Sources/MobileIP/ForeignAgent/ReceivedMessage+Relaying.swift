// What whoever relays a message asks of it.

extension MobileIPMessage {
    /// The mobile node's (RFC 2794, 2), the first where there are several.
    var accessIdentifier: NetworkAccessIdentifier? {
        for case .mobileNodeNAI(let value) in extensions { return value }
        return nil
    }
}

extension ReceivedMessage {
    /// The bytes from the beginning to the end of the last authentication of that kind, which must not be changed on the
    /// way (RFC 5944, 3.7.2.2 and 3.7.3.2); nil where there is none.
    func covered(by kind: AuthenticationExtension.Kind) -> [UInt8]? {
        authentications(of: kind).last.map { Array(bytes[..<($0.coveredLength + $0.value.authenticator.count)]) }
    }

    /// The association that the first authentication of a kind names.
    func association(
        among associations: [SecurityAssociation], _ kind: AuthenticationExtension.Kind
    ) -> SecurityAssociation? {
        let index = authentications(of: kind).first?.value.securityParameterIndex
        return associations.first { $0.securityParameterIndex == index }
    }

    /// What is wrong with the authentication of a kind; nil where it holds, or nothing is shared.
    func error(
        of kind: AuthenticationExtension.Kind, _ associations: [SecurityAssociation]
    ) -> AuthenticationError? {
        guard !associations.isEmpty else { return nil }
        guard !authentications(of: kind).isEmpty else { return .authenticationMissing }
        guard let association = association(among: associations, kind) else { return .securityParameterIndexUnknown }
        do throws(AuthenticationError) {
            try association.verify(self, kind)
            return nil
        } catch {
            return error
        }
    }
}
