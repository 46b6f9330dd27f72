// The nodes of `Bench registration`: each by its number, with a home address, a key and a prefix of its own, and two
// care-of addresses between which it moves, so that every registration changes its binding.

import Foundation
import HomeAgent
import MobileIP
import Wire

struct RegistrationNodes {
    let count: Int
    /// 0 or 1.
    let prefixesEach: Int

    /// As many as mooring-ha serves without another limit.
    static let largestCount = 1 << 20
    static let securityParameterIndex: UInt32 = 1000
    /// Timestamps are made beforehand, and so are some minutes old, or ahead of their time.
    static let toleranceSeconds = 3600
    /// RFC 2544's network for benchmarks: the lower half and the upper half are a node's two care-of addresses.
    static let careOfNetwork = "198.18.0.0/15"
    private static let firstCareOfAddress: UInt32 = 0xC612_0000
    private static let firstHomeAddress: UInt32 = 0x6440_0000

    func homeAddress(_ node: Int) -> IPv4Address { IPv4Address(rawValue: Self.firstHomeAddress + UInt32(node)) }

    /// Which node has that home address, as a number in host order; nil for none.
    func node(of homeAddress: UInt32) -> Int? {
        let number = Int(homeAddress) - Int(Self.firstHomeAddress)
        return (0..<count).contains(number) ? number : nil
    }

    /// Where a node is at its registration of that number. More nodes than 65535 share addresses.
    func careOfAddress(_ node: Int, at registration: Int) -> IPv4Address {
        IPv4Address(rawValue: Self.firstCareOfAddress + UInt32(registration & 1) << 16 + UInt32(1 + node % 0xFFFE))
    }

    func prefix(_ node: Int) -> IPv6Prefix? {
        guard prefixesEach > 0 else { return nil }
        return IPv6Prefix(address: IPv6Address(high: 0x2001_0DB8_8000_0000 + UInt64(node), low: 0), length: 64)
    }

    private func key(_ node: Int) -> [UInt8] {
        var writer = MessageWriter(capacity: SecurityAssociation.minimumKeyLength)
        writer.write(UInt64(node) &* 0x9E37_79B9_7F4A_7C15)
        writer.write(UInt64(node) ^ 0x5A5A_5A5A_5A5A_5A5A)
        return writer.bytes
    }

    func association(_ node: Int) throws -> SecurityAssociation {
        try SecurityAssociation(
            securityParameterIndex: Self.securityParameterIndex, key: key(node),
            replayProtection: .timestamps(tolerance: .seconds(Self.toleranceSeconds)))
    }

    // MARK: Messages

    /// The whole request, its authentication included.
    func request(_ node: Int, registration: Int, identification: UInt64) throws -> [UInt8] {
        try association(node).sign(
            RegistrationRequest(
                flags: .decapsulationByMobileNode, lifetime: RegistrationLifetime(seconds: 36000),
                homeAddress: homeAddress(node), homeAgent: IPv4Address(Network.endpoint)!,
                careOfAddress: careOfAddress(node, at: registration), identification: identification,
                extensions: prefix(node).map { [.ipv6PrefixRequest(IPv6PrefixRequest(prefix: IPv6HomePrefix($0)))] }
                    ?? []), as: .mobileHome)
    }

    /// Throws where a reply's authenticator is not that of its node.
    func verify(reply bytes: [UInt8]) throws {
        let reply = try RegistrationReply.parse(bytes)
        guard let node = node(of: reply.message.homeAddress.rawValue) else {
            throw BenchError("a reply for \(reply.message.homeAddress), which is nobody's home address")
        }
        try association(node).verify(reply, .mobileHome)
    }

    // MARK: Files

    /// The nodes as a file of mooring-ha, which has keys in it.
    func write(to url: URL) throws {
        guard
            FileManager.default.createFile(atPath: url.path, contents: nil, attributes: [.posixPermissions: 0o600])
        else { throw BenchError("\(url.path) can't be made") }
        let file = try FileHandle(forWritingTo: url)
        defer { try? file.close() }
        for first in stride(from: 0, to: count, by: 10_000) {
            var text = ""
            for node in first..<min(first + 10_000, count) {
                let digits = key(node).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                text += """
                    [[node]]
                    home-address = "\(homeAddress(node))"
                    spi = \(Self.securityParameterIndex)
                    key = "\(digits)"
                    tolerance = \(Self.toleranceSeconds)

                    """
                if let prefix = prefix(node) { text += "prefixes = [\"\(prefix)\"]\n" }
            }
            try file.write(contentsOf: Data(text.utf8))
        }
    }

    /// Writes a registration of each node into a new database, as mooring-ha does.
    func store(in path: String) throws {
        let store = try RegistrationStore(path: path, durability: .normal)
        defer { store.close() }
        let (day, boot) = (ClockTime(CLOCK_REALTIME), ClockTime(CLOCK_BOOTTIME))
        let now = NetworkTime(secondsSince1970: Int64(day.seconds), nanoseconds: UInt32(day.nanoseconds))
        let moment = Moment(
            timeOfDay: now, nanoseconds: UInt64(boot.seconds) * 1_000_000_000 + UInt64(boot.nanoseconds))
        for first in stride(from: 0, to: count, by: 10_000) {
            var records: [NodeIdentity: StoredRegistration?] = [:]
            for node in first..<min(first + 10_000, count) {
                let careOf = careOfAddress(node, at: 0)
                let registration = AcceptedRegistration(
                    homeAddress: homeAddress(node), careOfAddress: careOf, source: careOf, identification: now.rawValue,
                    tunnel: MobilityTunnel(endpoint: IPv4Address(Network.endpoint)!, careOfAddress: careOf),
                    prefixes: prefix(node).map { [RegisteredPrefix($0, usesCareOfAddress: false)] } ?? [])
                let identity = NodeIdentity.homeAddress(homeAddress(node))
                records[identity] = StoredRegistration(
                    identity: identity,
                    replay: HomeAgentReplayState(lastAccepted: now.rawValue, lastReply: now.rawValue),
                    binding: registration, expiry: now.advanced(byUnits: 36000 << 32))
            }
            try store.write(records, at: moment)
        }
    }
}

/// What a clock shows.
struct ClockTime {
    let seconds: Int
    let nanoseconds: Int

    init(_ clock: clockid_t) {
        var time = timespec()
        clock_gettime(clock, &time)
        (seconds, nanoseconds) = (time.tv_sec, time.tv_nsec)
    }
}
