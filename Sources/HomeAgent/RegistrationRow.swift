// A record as a row, and back. Numbers of 64 bits have the same bits as SQLite's signed ones; addresses are numbers;
// lists are bytes, entry after entry. A row that can't have been written so is damage, and is said to be.

import Foundation
import GRDB
import MobileIP
import Wire

/// The table `registration`.
enum RegistrationRow {
    static let schema = """
        CREATE TABLE boot (
          number INTEGER PRIMARY KEY,
          name TEXT NOT NULL UNIQUE         -- /proc/sys/kernel/random/boot_id
        );
        CREATE TABLE registration (
          node BLOB PRIMARY KEY,            -- 'a' and a home address, or 'n' and a network access identifier
          accepted INTEGER,                 -- replay protection: the last identification, its reply, the nonce
          reply INTEGER,
          nonce INTEGER,
          delegated BLOB,                   -- prefixes: 16 bytes and the length
          home_address INTEGER,             -- null, and so all below: no binding
          care_of_address INTEGER,
          source INTEGER,
          identification INTEGER,
          endpoint INTEGER,                 -- the tunnel, from here to there
          tunnel_end INTEGER,
          encapsulation INTEGER,            -- 0 IP in IP, 1 GRE, 2 minimal
          gre_key INTEGER,
          udp_port INTEGER,
          reverse_tunnel INTEGER,
          prefixes BLOB,                    -- 16 bytes, length, 1: to the care-of address, 2: implicit
          networks BLOB,                    -- 4 bytes and the length
          revocation BLOB,                  -- flags, index, their timestamp, ours
          expiry INTEGER,                   -- as in RFC 5944, 5.7.1; null for never
          boot INTEGER,                     -- the same in nanoseconds since that start of the machine
          boot_expiry INTEGER
        ) WITHOUT ROWID;
        """

    private static let columns = [
        "node", "accepted", "reply", "nonce", "delegated", "home_address", "care_of_address", "source",
        "identification", "endpoint", "tunnel_end", "encapsulation", "gre_key", "udp_port", "reverse_tunnel",
        "prefixes", "networks", "revocation", "expiry", "boot", "boot_expiry",
    ]
    static let select = "SELECT \(columns.joined(separator: ", ")) FROM registration"
    static let upsert = """
        INSERT OR REPLACE INTO registration (\(columns.joined(separator: ", "))) \
        VALUES (\(columns.map { _ in "?" }.joined(separator: ", ")))
        """
    static let delete = "DELETE FROM registration WHERE node = ?"

    // MARK: - To a row

    static func key(of identity: NodeIdentity) -> DatabaseValue {
        switch identity {
        case .homeAddress(let address): blob([UInt8(ascii: "a")] + address.rawValue.bytes)
        case .accessIdentifier(let identifier): blob([UInt8(ascii: "n")] + identifier.bytes)
        }
    }

    static func values(of record: StoredRegistration, boot: Int64, at moment: Moment) -> [DatabaseValue] {
        var values: [DatabaseValue] = []
        values.reserveCapacity(columns.count)
        values.append(key(of: record.identity))
        values.append(number(record.replay.lastAccepted))
        values.append(number(record.replay.lastReply))
        values.append(number(record.replay.nonce))
        values.append(record.delegated.isEmpty ? .null : blob(record.delegated.flatMap(\.bytes)))
        guard let binding = record.binding else {
            values.append(contentsOf: repeatElement(.null, count: columns.count - values.count))
            return values
        }
        values.append(number(binding.homeAddress.rawValue))
        values.append(number(binding.careOfAddress.rawValue))
        values.append(number(binding.source.rawValue))
        values.append(number(binding.identification))
        values.append(number(binding.tunnel.endpoint.rawValue))
        values.append(number(binding.tunnel.careOfAddress.rawValue))
        switch binding.tunnel.encapsulation {
        case .ipInIP: values += [number(UInt8(0)), .null]
        case .gre(let key): values += [number(UInt8(1)), number(key)]
        case .minimal: values += [number(UInt8(2)), .null]
        }
        values.append(number(binding.tunnel.udpPort))
        values.append(number(binding.reverseTunnel ? UInt8(1) : 0))
        values.append(blob(binding.prefixes.flatMap(\.bytes)))
        values.append(blob(binding.networks.flatMap { $0.address.rawValue.bytes + [$0.length] }))
        values.append(binding.revocation.map { blob($0.bytes) } ?? .null)
        values.append(number(record.expiry?.rawValue))
        if let expiry = record.expiry, boot != 0 {
            values.append(boot.databaseValue)
            values.append(number(moment.nanoseconds &+ expiry.nanoseconds(since: moment.timeOfDay)))
        } else {
            values += [.null, .null]
        }
        return values
    }

    private static func number(_ number: (some FixedWidthInteger & UnsignedInteger)?) -> DatabaseValue {
        number.map { Int64(bitPattern: UInt64($0)).databaseValue } ?? .null
    }

    private static func blob(_ bytes: [UInt8]) -> DatabaseValue { Data(bytes).databaseValue }

    // MARK: - From a row

    static func record(_ row: Row, boot: Int64, at now: Moment) throws -> StoredRegistration {
        var reader = RowReader(row)
        let identity = try identity(of: reader)
        let replay = HomeAgentReplayState(
            lastAccepted: reader.optional(), lastReply: reader.optional(), nonce: try reader.optionalNumber())
        var record = StoredRegistration(identity: identity, replay: replay)
        record.delegated = try reader.entries(ofLength: 17).map { try reader.prefix($0) }
        guard let homeAddress: UInt32 = try reader.optionalNumber() else { return record }
        let careOfAddress = IPv4Address(rawValue: try reader.number())
        let source = IPv4Address(rawValue: try reader.number())
        let identification: UInt64 = try reader.number()
        var tunnel = MobilityTunnel(
            endpoint: IPv4Address(rawValue: try reader.number()),
            careOfAddress: IPv4Address(rawValue: try reader.number()))
        let encapsulation: UInt8 = try reader.number()
        let key: UInt32? = try reader.optionalNumber()
        switch encapsulation {
        case 0: tunnel.encapsulation = .ipInIP
        case 1: tunnel.encapsulation = .gre(key: key)
        case 2: tunnel.encapsulation = .minimal
        default: throw reader.damage()
        }
        tunnel.udpPort = try reader.optionalNumber()
        let reverse: UInt8 = try reader.number()
        let prefixes = try reader.entries(ofLength: 18).map { bytes in
            RegisteredPrefix(
                try reader.prefix(bytes), usesCareOfAddress: bytes[17] & 1 != 0, isImplicit: bytes[17] & 2 != 0)
        }
        let networks = try reader.entries(ofLength: 5).map { bytes in
            guard
                let network = IPv4Prefix(
                    address: IPv4Address(rawValue: UInt32(bytes: bytes.prefix(4))), length: Int(bytes[4]))
            else { throw reader.damage() }
            return network
        }
        var binding = AcceptedRegistration(
            homeAddress: IPv4Address(rawValue: homeAddress), careOfAddress: careOfAddress, source: source,
            identification: identification, tunnel: tunnel, reverseTunnel: reverse != 0, prefixes: prefixes,
            networks: networks)
        binding.revocation = try reader.entries(ofLength: 13).first.map { AcceptedRegistration.Revocation(bytes: $0) }
        record.binding = binding
        record.expiry = reader.optional().map { NetworkTime(rawValue: $0) }
        let (rowBoot, bootExpiry) = (reader.optional(), reader.optional())
        if record.expiry != nil, let bootExpiry, rowBoot == UInt64(bitPattern: boot), boot != 0 {
            record.expiry = now.timeOfDay.advanced(nanoseconds: Int64(clamping: bootExpiry) - Int64(now.nanoseconds))
        }
        return record
    }

    private static func identity(of reader: borrowing RowReader) throws -> NodeIdentity {
        let bytes = reader.key
        switch (bytes.first, bytes.count) {
        case (UInt8(ascii: "a"), 5): return .homeAddress(IPv4Address(rawValue: UInt32(bytes: bytes.dropFirst())))
        case (UInt8(ascii: "n"), _):
            guard let identifier = NetworkAccessIdentifier(bytes: Array(bytes.dropFirst())) else {
                throw reader.damage()
            }
            return .accessIdentifier(identifier)
        default: throw reader.damage()
        }
    }
}

/// Reads the columns of a row behind the first, one after the other.
private struct RowReader {
    let key: [UInt8]
    private let row: Row
    private var column = 0

    init(_ row: Row) {
        self.row = row
        key = Self.bytes(row[0])
    }

    private static func bytes(_ value: DatabaseValue) -> [UInt8] {
        if case .blob(let data) = value.storage { Array(data) } else { [] }
    }

    func damage() -> RegistrationStoreError {
        RegistrationStoreError(
            "is damaged: the record of node \(key.map { String($0, radix: 16) }.joined(separator: ":")) makes no sense; "
                + "move the file away, and nodes register anew")
    }

    /// The next column's 64 bits.
    mutating func optional() -> UInt64? {
        column += 1
        return (row[column] as Int64?).map { UInt64(bitPattern: $0) }
    }

    mutating func optionalNumber<Number: FixedWidthInteger>() throws -> Number? {
        guard let bits = optional() else { return nil }
        guard let number = Number(exactly: bits) else { throw damage() }
        return number
    }

    mutating func number<Number: FixedWidthInteger>() throws -> Number {
        guard let number: Number = try optionalNumber() else { throw damage() }
        return number
    }

    /// Entries of that many bytes each; none where the column is null.
    mutating func entries(ofLength length: Int) throws -> [[UInt8]] {
        column += 1
        let bytes = Self.bytes(row[column])
        guard !bytes.isEmpty else { return [] }
        guard bytes.count.isMultiple(of: length) else { throw damage() }
        return stride(from: 0, to: bytes.count, by: length).map { Array(bytes[$0..<$0 + length]) }
    }

    func prefix(_ bytes: [UInt8]) throws -> IPv6Prefix {
        let address = IPv6Address(high: UInt64(bytes: bytes[0..<8]), low: UInt64(bytes: bytes[8..<16]))
        guard let prefix = IPv6Prefix(address: address, length: Int(bytes[16])) else { throw damage() }
        return prefix
    }
}

extension FixedWidthInteger {
    /// Most significant first.
    fileprivate var bytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }

    fileprivate init(bytes: some Sequence<UInt8>) { self = bytes.reduce(0) { $0 << 8 | Self($1) } }
}

extension IPv6Prefix {
    fileprivate var bytes: [UInt8] { address.high.bytes + address.low.bytes + [length] }
}

extension RegisteredPrefix {
    fileprivate var bytes: [UInt8] { prefix.bytes + [(usesCareOfAddress ? 1 : 0) | (isImplicit ? 2 : 0)] }
}

extension AcceptedRegistration.Revocation {
    fileprivate var bytes: [UInt8] {
        [(isForeignAgent ? 1 : 0) | (usesInformBit ? 2 : 0)] + securityParameterIndex.bytes + theirTimestamp.bytes
            + ourTimestamp.bytes
    }

    /// 13 of them.
    fileprivate init(bytes: [UInt8]) {
        self.init(
            isForeignAgent: bytes[0] & 1 != 0, securityParameterIndex: UInt32(bytes: bytes[1..<5]),
            usesInformBit: bytes[0] & 2 != 0, theirTimestamp: UInt32(bytes: bytes[5..<9]),
            ourTimestamp: UInt32(bytes: bytes[9..<13]))
    }
}

extension NetworkTime {
    /// None where this is the earlier.
    fileprivate func nanoseconds(since earlier: NetworkTime) -> UInt64 {
        let units = UInt64(max(self.units(since: earlier), 0))
        return (units >> 32) * 1_000_000_000 + ((units & 0xFFFF_FFFF) * 1_000_000_000) >> 32
    }

    /// Less where it is negative.
    fileprivate func advanced(nanoseconds: Int64) -> NetworkTime {
        let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)
        return advanced(byUnits: (seconds << 32) + (rest << 32) / 1_000_000_000)
    }
}
