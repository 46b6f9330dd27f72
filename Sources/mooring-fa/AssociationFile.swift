// The file of security associations: a line each, of who shares it, its index, the algorithm and the key in hexadecimal
// digits. Empty lines and what follows a # are passed over. Only its owner may be able to use it.
//
//     home-agent 192.0.2.1 300 hmac-md5 404142434445464748494a4b4c4d4e4f
//     node mn1@example.net 400 hmac-md5 707172737475767778797a7b7c7d7e7f

import ConfigurationFile
import MobileIP
import Wire

/// Security associations of the foreign agent.
struct AssociationFile {
    /// Of the file, in bytes.
    private static let sizeLimit = 16 << 20

    private(set) var nodes: [AssociatedNode] = []
    private(set) var homeAgents: [AssociatedHomeAgent] = []

    /// None.
    init() {}

    init(contentsOf path: String) throws(CannotStart) {
        let bytes: [UInt8]
        do { bytes = try KeyFile.bytes(of: path, limit: Self.sizeLimit) } catch { throw CannotStart("\(error)") }
        try self.init(String(decoding: bytes, as: UTF8.self), path: path)
    }

    /// - Parameter path: for errors.
    init(_ text: String, path: String) throws(CannotStart) {
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.prefix { $0 != "#" }.split { $0 == " " || $0 == "\t" || $0 == "\r" }.map(String.init)
            guard !words.isEmpty else { continue }
            do throws(CannotStart) { try add(words) } catch { throw CannotStart("\(path):\(index + 1): \(error)") }
        }
    }

    private mutating func add(_ words: [String]) throws(CannotStart) {
        guard words.count == 5 else {
            throw CannotStart("a line has five words: home-agent or node, who, index, algorithm, key")
        }
        let association = try Self.association(words[2], words[3], words[4])
        switch words[0] {
        case "home-agent":
            guard let address = IPv4Address(words[1]) else { throw CannotStart("\(words[1]) is no IPv4 address") }
            homeAgents.append(AssociatedHomeAgent(address: address, associations: [association]))
        case "node":
            let identity: NodeIdentity
            if let address = IPv4Address(words[1]) {
                identity = .homeAddress(address)
            } else if let identifier = NetworkAccessIdentifier(words[1]) {
                identity = .accessIdentifier(identifier)
            } else {
                throw CannotStart("the identifier has more than \(NetworkAccessIdentifier.maximumLength) bytes")
            }
            nodes.append(AssociatedNode(identity: identity, associations: [association]))
        default: throw CannotStart("\(words[0]) is neither home-agent nor node")
        }
    }

    private static func association(
        _ index: String, _ algorithm: String, _ key: String
    ) throws(CannotStart) -> SecurityAssociation {
        guard let index = UInt32(index) else { throw CannotStart("the index \(index) is no number of 32 bits") }
        guard let algorithm = AuthenticationAlgorithm(rawValue: algorithm) else {
            let known = AuthenticationAlgorithm.allCases.map(\.rawValue).joined(separator: ", ")
            throw CannotStart("the algorithm is one of \(known)")
        }
        let digits = key.compactMap(\.hexDigitValue)
        guard digits.count == key.count, digits.count % 2 == 0 else {
            throw CannotStart("the key is not in pairs of hexadecimal digits")
        }
        let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        do throws(SecurityAssociationError) {
            return try SecurityAssociation(securityParameterIndex: index, algorithm: algorithm, key: bytes)
        } catch {
            throw CannotStart("\(error)")
        }
    }
}
