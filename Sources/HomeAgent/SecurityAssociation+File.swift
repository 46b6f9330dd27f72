// Security associations as the files have them: an SPI, a key and how it is used, in the object of a node or a foreign
// agent, or in its `associations`.

import Bindings
import ConfigurationFile
import MobileIP

extension SecurityAssociation {
    static let keys = ["spi", "key-file", "key", "algorithm", "replay", "tolerance"]

    /// The one that stands in the object itself, and those of its `associations`.
    static func all(
        of object: StrictJSON.Object, _ value: StrictJSON.Value, _ origin: ConfigurationOrigin
    ) throws(StrictJSON.Failure) -> [SecurityAssociation] {
        var all: [SecurityAssociation] = []
        if object["spi"] != nil { all.append(try SecurityAssociation(object, value, origin)) }
        for further in try object["associations"]?.array() ?? [] {
            all.append(try SecurityAssociation(further.object(keys: keys), further, origin))
        }
        guard !all.isEmpty else { throw value.failure("lacks \"spi\" and a key, or \"associations\"") }
        guard Set(all.map(\.securityParameterIndex)).count == all.count else {
            throw value.failure("has two associations of one SPI")
        }
        return all
    }

    private init(
        _ object: StrictJSON.Object, _ value: StrictJSON.Value, _ origin: ConfigurationOrigin
    ) throws(StrictJSON.Failure) {
        let algorithm = try object["algorithm"]?.choice(of: AuthenticationAlgorithm.self) ?? .hmacMD5
        let replay: ReplayProtection
        switch try object["replay"]?.choice(of: ReplayStyle.self) ?? .timestamps {
        case .nonces:
            if let tolerance = object["tolerance"] { throw tolerance.failure("stands only beside timestamps") }
            replay = .nonces
        case .timestamps:
            let tolerance = try object["tolerance"]?.integer(in: 1...3600) ?? 7
            replay = .timestamps(tolerance: .seconds(tolerance))
        }
        let index = try object.required("spi").integer(in: 0...UInt32.max)
        let key = try Self.key(object, value, origin)
        do throws(SecurityAssociationError) {
            try self.init(
                securityParameterIndex: index, algorithm: algorithm, key: key, replayProtection: replay)
        } catch {
            throw value.failure("\(error)")
        }
    }

    private static func key(
        _ object: StrictJSON.Object, _ value: StrictJSON.Value, _ origin: ConfigurationOrigin
    ) throws(StrictJSON.Failure) -> [UInt8] {
        switch (object["key-file"], object["key"]) {
        case (let file?, nil): return try KeyFile.read(origin.path(of: try file.string()))
        case (nil, let key?):
            guard origin.isPrivate else {
                throw key.failure(
                    "stands in a file that others can use; chmod 600 it, or name a file of its own by \"key-file\"")
            }
            guard let bytes = KeyFile.bytes(ofDigits: Array(try key.string().utf8)[...]) else {
                throw key.failure("is no key: hexadecimal digits, two a byte, as openssl rand -hex 16 makes it")
            }
            return bytes
        default: throw value.failure("has one of \"key-file\" and \"key\"")
        }
    }
}

/// Names of `ReplayProtection`.
private enum ReplayStyle: String, CaseIterable {
    case timestamps
    case nonces
}
