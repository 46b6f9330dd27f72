// What a node says of the groups that it listens to: reports and done of version 1 (RFC 2710, 3), reports of version 2
// (RFC 3810, 5.2). Which sources a node wants to hear is read as whether it wants to hear any, since groups are forwarded
// whatever the source.
//
//     type 143 |  code  |    checksum     |    reserved     | number of records
//     type     | length of auxiliary data | number of sources | group (16) | sources (16 each) | auxiliary data (4 each)

import Wire

/// A message of a node.
struct ListenerMessage: Equatable {
    /// What a node says of a group.
    enum Statement: Equatable {
        /// It listens.
        case listens
        /// It does no longer.
        case leaves
        /// It has given up some sources, which may have been the last (RFC 3810, 5.2.12).
        case blocks
    }

    struct Record: Equatable {
        var group: IPv6Address
        var statement: Statement
    }

    /// In their order; those that say nothing, and of types that are not known, left out.
    var records: [Record] = []
    /// 1 or 2.
    var version: UInt8

    private static let reportLength = 24
    private static let recordsOffset = 8
    private static let recordLength = 20

    /// Reads a packet from its IPv6 header on. What the forwarder has looked at is looked at again.
    /// - Throws: why it is no message to follow.
    init(packet: UnsafeRawBufferPointer) throws(MulticastOutcome) {
        guard let view = try? IPv6View(packet), let upper = try? view.upperLayer(), !upper.isLaterFragment,
            upper.protocol == IPProtocol.icmpv6, upper.offset < view.totalLength, view.hopLimit == 1,
            view.hasRouterAlert
        else { throw .listenerMalformed }
        let bytes = UnsafeRawBufferPointer(rebasing: packet[upper.offset..<view.totalLength])
        guard let message = try? ICMPv6View(bytes), bytes.count >= ICMPv6.headerLength,
            message.verifies(source: view.source, destination: view.destination)
        else { throw .listenerMalformed }
        // A report from the unspecified address is for switches (RFC 3810, 5.2.13).
        guard view.source.isLinkLocal else { throw .listenerSourceInvalid }
        switch message.type {
        case ICMPv6.listenerQuery: throw .listenerQueryIgnored
        case ICMPv6.listenerReport, ICMPv6.listenerDone:
            guard bytes.count >= Self.reportLength, let start = bytes.baseAddress else { throw .listenerMalformed }
            let group = start.ipv6Address(at: ICMPv6.headerLength)
            guard group.isMulticast else { throw .listenerMalformed }
            let listens = message.type == ICMPv6.listenerReport
            self.init(records: [Record(group: group, statement: listens ? .listens : .leaves)], version: 1)
        case ICMPv6.listenerReport2: self.init(records: try Self.records(bytes), version: 2)
        default: throw .listenerMalformed
        }
    }

    init(records: [Record], version: UInt8) {
        self.records = records
        self.version = version
    }

    private static func records(_ bytes: UnsafeRawBufferPointer) throws(MulticastOutcome) -> [Record] {
        guard let start = bytes.baseAddress else { throw .listenerMalformed }
        var records: [Record] = []
        var position = recordsOffset
        for _ in 0..<start.networkUInt16(at: 6) {
            guard position + recordLength <= bytes.count else { throw .listenerMalformed }
            let sources = Int(start.networkUInt16(at: position + 2))
            let group = start.ipv6Address(at: position + 4)
            let statement = statement(type: start.byte(position), hasSources: sources > 0)
            position += recordLength + sources * 16 + Int(start.byte(position + 1)) * 4
            guard position <= bytes.count, group.isMulticast else { throw .listenerMalformed }
            if let statement { records.append(Record(group: group, statement: statement)) }
        }
        return records
    }

    /// RFC 3810, 5.2.12.
    private static func statement(type: UInt8, hasSources: Bool) -> Statement? {
        switch type {
        case 1, 5: hasSources ? .listens : nil  // MODE_IS_INCLUDE, ALLOW_NEW_SOURCES
        case 2, 4: .listens  // MODE_IS_EXCLUDE, CHANGE_TO_EXCLUDE_MODE
        case 3: hasSources ? .listens : .leaves  // CHANGE_TO_INCLUDE_MODE
        case 6: hasSources ? .blocks : nil  // BLOCK_OLD_SOURCES
        default: nil
        }
    }
}
