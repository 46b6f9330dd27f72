// How authenticators are made (RFC 5944, 3.5.1 and 5.1). HMAC-MD5 is the default that everyone has. HMAC-SHA-256 is a
// choice that both ends must make, as RFC 5944, 5.1 allows; its authenticator is not shortened. Keyed MD5, the key
// before and behind the data, is what RFC 2002 had, for nodes that know nothing else.

import Crypto

/// An algorithm of message authentication. The raw value is its name for people.
public enum AuthenticationAlgorithm: String, Sendable, CaseIterable {
    /// RFC 2104 with MD5.
    case hmacMD5 = "hmac-md5"
    /// RFC 2104 with SHA-256.
    case hmacSHA256 = "hmac-sha-256"
    /// MD5 of key, data and key again.
    case keyedMD5 = "keyed-md5"

    /// In bytes.
    public var authenticatorLength: Int {
        switch self {
        case .hmacMD5, .keyedMD5: Insecure.MD5.byteCount
        case .hmacSHA256: SHA256.byteCount
        }
    }

    /// The authenticator of data.
    func authenticator(of data: ArraySlice<UInt8>, key: SymmetricKey) -> [UInt8] {
        switch self {
        case .hmacMD5: Array(HMAC<Insecure.MD5>.authenticationCode(for: data, using: key))
        case .hmacSHA256: Array(HMAC<SHA256>.authenticationCode(for: data, using: key))
        case .keyedMD5: Array(keyedMD5(data, key))
        }
    }

    /// Whether it is the authenticator of data; how long the comparison takes does not tell where they differ.
    func verifies(_ authenticator: [UInt8], of data: ArraySlice<UInt8>, key: SymmetricKey) -> Bool {
        switch self {
        case .hmacMD5: HMAC<Insecure.MD5>.isValidAuthenticationCode(authenticator, authenticating: data, using: key)
        case .hmacSHA256: HMAC<SHA256>.isValidAuthenticationCode(authenticator, authenticating: data, using: key)
        case .keyedMD5: keyedMD5(data, key) == authenticator
        }
    }

    private func keyedMD5(_ data: ArraySlice<UInt8>, _ key: SymmetricKey) -> Insecure.MD5.Digest {
        var hash = Insecure.MD5()
        key.withUnsafeBytes { hash.update(bufferPointer: $0) }
        hash.update(data: data)
        key.withUnsafeBytes { hash.update(bufferPointer: $0) }
        return hash.finalize()
    }
}
