// Reads and writes agent advertisements. Extensions that are not known are skipped or make the advertisement malformed
// as in control messages (RFC 5944, 1.8), though their numbers are others. Reserved bits are ignored (2.4).

import Wire

extension AgentAdvertisement {
    /// The ICMP message's bytes. Where their number would be odd, a byte of padding stands behind (RFC 5944, 2.1.3).
    /// Precondition: no more routers, care-of addresses and prefix lengths than can be counted.
    public func write() -> [UInt8] {
        precondition(
            routers.count <= Self.maximumRouters && careOfAddresses.count <= Self.maximumCareOfAddresses
                && prefixLengths?.count ?? 0 <= Self.maximumRouters, "more than an advertisement can count")
        let length =
            16 + 8 * routers.count + 4 * careOfAddresses.count + (prefixLengths.map { 2 + $0.count } ?? 0)
            + (challenge?.length ?? 0)
        var writer = MessageWriter(capacity: length + length % 2)
        writer.write(Self.type)
        writer.write(routesCommonTraffic ? UInt8(0) : Self.mobileOnlyCode)
        writer.write(UInt16(0))
        writer.write(UInt8(routers.count))
        writer.write(UInt8(2))
        writer.write(lifetime)
        for router in routers {
            writer.write(router.address)
            writer.write(UInt32(bitPattern: router.preference))
        }
        writer.write(Self.mobilityAgentType)
        writer.write(UInt8(6 + 4 * careOfAddresses.count))
        writer.write(sequenceNumber)
        writer.write(registrationLifetime.seconds)
        writer.write(flags.intersection(.all).rawValue)
        for address in careOfAddresses { writer.write(address) }
        if let prefixLengths {
            writer.write(Self.prefixLengthsType)
            writer.write(UInt8(prefixLengths.count))
            writer.write(prefixLengths)
        }
        challenge?.write(type: Challenge.advertisementType, to: &writer)
        if length % 2 == 1 { writer.write(UInt8(0)) }
        return ICMPMessage.withChecksum(writer.bytes)
    }

    /// Reads the payload of an IPv4 packet with protocol 1. Of extensions that come twice the first counts.
    /// - Throws: what is wrong; a router advertisement that is no agent's is `notAgentAdvertisement`.
    public static func parse(_ bytes: [UInt8]) throws(MobileIPError) -> ReceivedAgentAdvertisement {
        var reader = try ICMPMessage.reader(of: bytes)
        guard reader.readUInt8() == type else { throw .icmpType }
        let code = reader.readUInt8()
        guard code == 0 || code == mobileOnlyCode else { throw .icmpCode }
        reader.skip(2)
        let routerCount = Int(reader.readUInt8())
        let entryLength = 4 * Int(reader.readUInt8())
        let lifetime = reader.readUInt16()
        guard routerCount == 0 || entryLength >= 8 else { throw .routerAddresses }
        guard reader.remaining >= routerCount * entryLength else { throw .icmpTruncated }
        let routers = (0..<routerCount).map { _ in
            var entry = reader.part(entryLength)
            let address = entry.readIPv4Address()
            return Router(address: address, preference: Int32(bitPattern: entry.readUInt32()))
        }
        var extensions = AgentAdvertisementExtensions()
        while reader.remaining > 0 { try extensions.readNext(&reader) }
        guard var advertisement = extensions.mobilityAgent else { throw .notAgentAdvertisement }
        advertisement.routesCommonTraffic = code == 0
        advertisement.lifetime = lifetime
        advertisement.routers = routers
        advertisement.prefixLengths = extensions.prefixLengths
        advertisement.challenge = extensions.challenge
        return ReceivedAgentAdvertisement(advertisement: advertisement, skipped: extensions.skipped)
    }
}

/// The extensions of an advertisement while it is read.
private struct AgentAdvertisementExtensions {
    /// An advertisement with what stands in the mobility agent's extension.
    var mobilityAgent: AgentAdvertisement?
    var prefixLengths: [UInt8]?
    var challenge: Challenge?
    var skipped = SkippedExtensions()

    mutating func readNext(_ reader: inout MessageReader) throws(MobileIPError) {
        let type = reader.readUInt8()
        guard type != 0 else { return }
        guard reader.remaining >= 1 else { throw .extensionTruncated }
        let length = Int(reader.readUInt8())
        guard reader.remaining >= length else { throw .extensionTruncated }
        var data = reader.part(length)
        switch type {
        case AgentAdvertisement.mobilityAgentType:
            guard length >= 6, length % 4 == 2 else { throw .extensionLength }
            let value = AgentAdvertisement(mobilityAgent: &data)
            mobilityAgent = mobilityAgent ?? value
        case AgentAdvertisement.prefixLengthsType:
            prefixLengths = prefixLengths ?? data.readRest()
        case Challenge.advertisementType:
            guard let value = Challenge(bytes: data.readRest()) else { throw .extensionLength }
            challenge = challenge ?? value
        case 128...: skipped.add(type)
        default: throw .extensionUnrecognized
        }
    }
}

extension AgentAdvertisement {
    /// Reads the data of a mobility agent's extension; the rest is as it is by default.
    fileprivate init(mobilityAgent data: inout MessageReader) {
        let sequenceNumber = data.readUInt16()
        let registrationLifetime = RegistrationLifetime(seconds: data.readUInt16())
        let flags = Flags(rawValue: data.readUInt16()).intersection(.all)
        var careOfAddresses: [IPv4Address] = []
        while data.remaining > 0 { careOfAddresses.append(data.readIPv4Address()) }
        self.init(
            sequenceNumber: sequenceNumber, registrationLifetime: registrationLifetime, flags: flags,
            careOfAddresses: careOfAddresses)
    }
}
