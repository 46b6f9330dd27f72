// Taking the kernel's answers apart (linux/netlink.h). One datagram holds one or more messages; a message holds a fixed
// structure and attributes. Every length is checked against what is really there before anything is read, and an
// answer with one wrong length is refused whole: half an answer is worse than none.

import CLinuxNet
import Wire

/// One message of an answer.
struct NetlinkMessage {
    /// RTM_NEWROUTE, NLMSG_ERROR and their kin.
    let type: Int
    /// NLM_F_MULTI and its kin.
    let flags: Int32
    /// As in the request that it answers.
    let sequence: UInt32
    /// What follows the header.
    let body: ArraySlice<UInt8>

    /// The messages of a datagram, in order. Trailing bytes fewer than a header are an error too.
    static func parse(_ datagram: ArraySlice<UInt8>) throws(RouteError) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var rest = datagram
        while !rest.isEmpty {
            guard let header = rest.load(nlmsghdr.self) else { throw .malformed("a message header is cut") }
            let length = Int(header.nlmsg_len)
            guard length >= MemoryLayout<nlmsghdr>.size, length <= rest.count else {
                throw .malformed("a message of \(length) bytes in \(rest.count)")
            }
            messages.append(
                NetlinkMessage(
                    type: Int(header.nlmsg_type), flags: Int32(header.nlmsg_flags), sequence: header.nlmsg_seq,
                    body: rest.prefix(length).dropFirst(MemoryLayout<nlmsghdr>.size)))
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return messages
    }

    /// The fixed structure at the body's start and the attributes behind it.
    func content<Header: BitwiseCopyable>(
        _ header: Header.Type
    ) throws(RouteError) -> (header: Header, attributes: NetlinkAttributes) {
        guard let value = body.load(header) else {
            throw .malformed("\(body.count) bytes where a message of type \(type) has \(MemoryLayout<Header>.size)")
        }
        let attributes = body.dropFirst((MemoryLayout<Header>.size + 3) & ~3)
        return (value, try NetlinkAttributes(attributes))
    }

    /// The outcome that an NLMSG_ERROR or NLMSG_DONE carries: the error number (positive, 0 for success) and the
    /// kernel's words, where it adds some (NETLINK_EXT_ACK).
    func outcome() throws(RouteError) -> (number: Int32, text: String?) {
        guard let number = body.load(Int32.self) else {
            // Old kernels end some dumps with a bare NLMSG_DONE.
            if Int32(type) == NLMSG_DONE, body.isEmpty { return (0, nil) }
            throw .malformed("\(body.count) bytes of outcome")
        }
        guard number <= 0, number > -4096 else { throw .malformed("an error number of \(number)") }
        guard flags & NLM_F_ACK_TLVS != 0 else { return (-number, nil) }
        var behind = MemoryLayout<Int32>.size
        if Int32(type) == NLMSG_ERROR {
            guard let request = body.dropFirst(behind).load(nlmsghdr.self) else {
                throw .malformed("an error without the header of its request")
            }
            // Unless capped, the whole request is repeated there.
            let repeated = flags & NLM_F_CAPPED != 0 ? MemoryLayout<nlmsghdr>.size : Int(request.nlmsg_len)
            guard repeated >= MemoryLayout<nlmsghdr>.size, repeated <= body.count - behind else {
                throw .malformed("an error that repeats \(repeated) bytes of its request in \(body.count)")
            }
            behind = (behind + repeated + 3) & ~3
        }
        return (-number, try NetlinkAttributes(body.dropFirst(behind)).text(Int(NLMSGERR_ATTR_MSG.rawValue)))
    }
}

/// The attributes of a message, by type. Where one type comes twice, the last counts.
struct NetlinkAttributes {
    /// Text from the kernel is cut after so many bytes.
    static let maximumText = 256

    private var values: [Int: ArraySlice<UInt8>] = [:]

    /// The types that are there.
    var types: some Sequence<Int> { values.keys }

    init(_ bytes: ArraySlice<UInt8>) throws(RouteError) {
        var rest = bytes
        while !rest.isEmpty {
            guard let header = rest.load(rtattr.self) else { throw .malformed("an attribute header is cut") }
            let length = Int(header.rta_len)
            guard length >= MemoryLayout<rtattr>.size, length <= rest.count else {
                throw .malformed("an attribute of \(length) bytes in \(rest.count)")
            }
            // The two top bits are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
            values[Int(header.rta_type & 0x3FFF)] = rest.prefix(length).dropFirst(MemoryLayout<rtattr>.size)
            rest = rest.dropFirst((length + 3) & ~3)
        }
    }

    /// Whether an attribute of the type is there.
    func contains(_ type: Int) -> Bool { values[type] != nil }

    /// A number, or several, in the machine's order; nil where the attribute is absent.
    func number<Number: BitwiseCopyable>(
        _ type: Int, as: Number.Type
    ) throws(RouteError) -> Number? {
        guard let value = values[type] else { return nil }
        guard value.count == MemoryLayout<Number>.size, let number = value.load(Number.self) else {
            throw .malformed("attribute \(type) has \(value.count) bytes, not \(MemoryLayout<Number>.size)")
        }
        return number
    }

    /// One of the numbers of a structure that grows from kernel to kernel; nil where the attribute is absent or shorter.
    func number(_ type: Int, at offset: Int?) -> UInt64? {
        guard let value = values[type], let offset else { return nil }
        return value.dropFirst(offset).load(UInt64.self)
    }

    /// The attributes within an attribute; nil where it is absent.
    func nested(_ type: Int) throws(RouteError) -> NetlinkAttributes? {
        guard let value = values[type] else { return nil }
        return try NetlinkAttributes(value)
    }

    /// Text, without its closing zero and without control characters; nil where the attribute is absent.
    func text(_ type: Int) -> String? {
        guard let value = values[type] else { return nil }
        let text = value.prefix(Self.maximumText).prefix { $0 != 0 }
        return String(decoding: text.map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: "?") : $0 }, as: UTF8.self)
    }

    /// An address of the family; nil where the attribute is absent.
    func address(_ type: Int, family: AddressFamily) throws(RouteError) -> IPAddress? {
        guard let value = values[type] else { return nil }
        guard value.count == family.addressLength else {
            throw .malformed("attribute \(type) has \(value.count) bytes, not \(family.addressLength)")
        }
        func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        switch family {
        case .v4: return .v4(IPv4Address(rawValue: UInt32(number(value))))
        case .v6: return .v6(IPv6Address(high: number(value.prefix(8)), low: number(value.dropFirst(8))))
        }
    }
}

extension ArraySlice<UInt8> {
    /// The value at the slice's start; nil where the slice is too short.
    fileprivate func load<Value: BitwiseCopyable>(_ type: Value.Type) -> Value? {
        guard count >= MemoryLayout<Value>.size else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(as: type) }
    }
}
