// The bytes of one netlink request (linux/netlink.h): a header of 16 bytes, the fixed structure of its kind, then
// attributes, each of length, type and value, padded to 4 bytes. Numbers are in the machine's order, addresses in
// network order.

import CLinuxNet
import Wire

/// A request under construction.
struct NetlinkRequest {
    /// More than the largest request made here needs; a request above it is a mistake in this module.
    static let maximumLength = 1024
    /// The header's length.
    static let headerLength = MemoryLayout<nlmsghdr>.size

    private(set) var bytes: [UInt8]

    /// - Parameters:
    ///   - type: RTM_NEWROUTE and its kin.
    ///   - flags: NLM_F_CREATE and its kin; NLM_F_REQUEST is added.
    ///   - body: the fixed structure of that kind.
    init<Body: BitwiseCopyable>(type: Int, flags: Int32, body: Body) {
        bytes = []
        bytes.reserveCapacity(Self.maximumLength)
        var header = nlmsghdr()
        header.nlmsg_type = UInt16(type)
        header.nlmsg_flags = UInt16(flags | NLM_F_REQUEST)
        append(header)
        append(body)
        pad()
    }

    private mutating func append<Value: BitwiseCopyable>(_ value: Value) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    private mutating func pad() {
        bytes.append(contentsOf: repeatElement(0, count: -bytes.count & 3))
        precondition(bytes.count <= Self.maximumLength, "a netlink request is longer than any made here")
    }

    private mutating func attribute(_ type: Int, length: Int, _ appendValue: (inout Self) -> Void) {
        append(UInt16(4 + length))
        append(UInt16(type))
        appendValue(&self)
        pad()
    }

    /// An attribute that is a number, or several, in the machine's order.
    mutating func attribute<Number: BitwiseCopyable>(_ type: Int, _ value: Number) {
        attribute(type, length: MemoryLayout<Number>.size) { $0.append(value) }
    }

    /// An attribute that is bytes.
    mutating func attribute(_ type: Int, bytes: [UInt8]) {
        attribute(type, length: bytes.count) { $0.bytes.append(contentsOf: bytes) }
    }

    /// An attribute that is text, ended by a zero.
    mutating func attribute(_ type: Int, text: String) {
        attribute(type, length: text.utf8.count + 1) {
            $0.bytes.append(contentsOf: text.utf8)
            $0.bytes.append(0)
        }
    }

    /// An attribute that is an address, of 4 or 16 bytes.
    mutating func attribute(_ type: Int, _ address: IPAddress) {
        switch address {
        case .v4(let address):
            attribute(type, length: 4) { $0.append(address.rawValue.bigEndian) }
        case .v6(let address):
            attribute(type, length: 16) {
                $0.append(address.high.bigEndian)
                $0.append(address.low.bigEndian)
            }
        }
    }

    /// The finished message: its length and sequence number filled in.
    func message(sequence: UInt32, extraFlags: Int32) -> [UInt8] {
        var message = bytes
        message.withUnsafeMutableBytes { bytes in
            var header = bytes.loadUnaligned(as: nlmsghdr.self)
            header.nlmsg_len = UInt32(bytes.count)
            header.nlmsg_seq = sequence
            header.nlmsg_flags |= UInt16(extraFlags)
            bytes.storeBytes(of: header, as: nlmsghdr.self)
        }
        return message
    }
}
