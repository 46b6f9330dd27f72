// Batches of plain bindings straight from the bytes of their request: what swift-protobuf and `Binding.init(_:at:)` make
// of them, at a fraction of the time. It takes only what needs no word: known fields, in any order, that make valid
// bindings. Everything else (a field that is not known, a number that is too large, a rule that is broken) it leaves to
// those two, which then say what is wrong. Numbers of fields are those of control.proto.

import Bindings
import NIOCore
import Wire

/// A request to put bindings, and to remove others.
struct PlainBatch {
    /// Of the request.
    var id: UInt64 = 0
    /// Each is valid by itself.
    var bindings: [Binding] = []
    var removeIDs: [String] = []

    /// Nil where the request is of another kind, or not plain.
    init?(_ frame: ByteBuffer) {
        let isPlain = frame.withUnsafeReadableBytes { bytes -> Bool in
            guard let start = bytes.baseAddress else { return false }
            var request = BindingDecoder(next: start, end: start + bytes.count)
            return request.readRequest(&self)
        }
        guard isPlain else { return nil }
    }
}

/// Reads a message; each function is false, or nil, where it is not plain.
private struct BindingDecoder {
    var next: UnsafeRawPointer
    let end: UnsafeRawPointer

    private var isAtEnd: Bool { next == end }

    /// The tag of the next field, or its first byte.
    private mutating func tag() -> UInt8 {
        defer { next += 1 }
        return next.load(as: UInt8.self)
    }

    private mutating func number() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while next < end, shift < 63 {
            let byte = next.load(as: UInt8.self)
            next += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }

    private mutating func number(upTo limit: UInt64) -> UInt64? {
        guard let number = number(), number <= limit else { return nil }
        return number
    }

    private mutating func fixed() -> UInt32? {
        guard end - next >= 4 else { return nil }
        defer { next += 4 }
        return UInt32(littleEndian: next.loadUnaligned(as: UInt32.self))
    }

    /// The bytes of a field, and behind them.
    private mutating func field() -> BindingDecoder? {
        guard let length = number(), length <= UInt64(end - next) else { return nil }
        defer { next += Int(length) }
        return BindingDecoder(next: next, end: next + Int(length))
    }

    private mutating func id() -> String? {
        guard let field = field() else { return nil }
        let bytes = UnsafeRawBufferPointer(start: field.next, count: field.end - field.next)
        guard (1...BindingLimits.idLength).contains(bytes.count), bytes.allSatisfy({ (0x21...0x7E).contains($0) })
        else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    mutating func readRequest(_ batch: inout PlainBatch) -> Bool {
        var hasBatch = false
        while !isAtEnd {
            switch tag() {
            case 1 << 3:
                guard let id = number() else { return false }
                batch.id = id
            case 3 << 3 | 2:
                guard !hasBatch, var message = field() else { return false }
                hasBatch = true
                guard message.readBatch(&batch) else { return false }
            default: return false
            }
        }
        return hasBatch
    }

    private mutating func readBatch(_ batch: inout PlainBatch) -> Bool {
        // Room for bindings of the usual size; it is given back with the batch.
        batch.bindings.reserveCapacity((end - next) / 48)
        while !isAtEnd {
            switch tag() {
            case 1 << 3 | 2:
                guard var message = field(), let binding = message.readBinding() else { return false }
                batch.bindings.append(binding)
            case 2 << 3 | 2:
                guard let id = id() else { return false }
                batch.removeIDs.append(id)
            default: return false
            }
        }
        return true
    }

    private mutating func readBinding() -> Binding? {
        var binding = Binding(id: "", careOfAddress: .unspecified)
        while !isAtEnd {
            switch tag() {
            case 1 << 3 | 2:
                guard let id = id() else { return nil }
                binding.id = id
            case 2 << 3 | 5:
                guard let address = fixed() else { return nil }
                binding.homeAddress = IPv4Address(rawValue: address)
            case 3 << 3 | 5:
                guard let address = fixed() else { return nil }
                binding.careOfAddress = IPv4Address(rawValue: address)
            case 4 << 3 | 5:
                guard let address = fixed() else { return nil }
                binding.endpoint = IPv4Address(rawValue: address)
            case 5 << 3:
                switch number() {
                case 0, 1: binding.encapsulation = .ipInIP
                case 2: binding.encapsulation = .gre
                case 3: binding.encapsulation = .minimal
                case 4: binding.encapsulation = .udp
                default: return nil
                }
            case 6 << 3 | 2:
                // A second one would be joined with the first.
                guard binding.gre == nil, var message = field(), let options = message.readGREOptions() else {
                    return nil
                }
                binding.gre = options
            case 7 << 3:
                guard let port = number(upTo: UInt64(UInt16.max)) else { return nil }
                binding.udpPort = UInt16(port)
            case 8 << 3 | 2:
                guard var message = field(), let prefix = message.readPrefix(),
                    binding.prefixes.count < BindingLimits.prefixesPerBinding
                else { return nil }
                binding.prefixes.append(prefix)
            case 9 << 3:
                guard let model = number(upTo: 2) else { return nil }
                binding.dscp = model == 2 ? .pipe : .uniform
            case 10 << 3:
                guard let mode = number(upTo: 2) else { return nil }
                binding.ecn = mode == 2 ? .compatibility : .normal
            case 11 << 3:
                guard let bytes = number(upTo: UInt64(UInt16.max)) else { return nil }
                binding.tunnelMTU = UInt16(bytes)
            case 12 << 3:
                guard let seconds = number(upTo: UInt64(UInt32.max)) else { return nil }
                binding.lifetime = UInt32(seconds)
            case 13 << 3:
                guard let isOn = number() else { return nil }
                binding.mtuDiscovery = isOn != 0
            case 14 << 3:
                switch number() {
                case 0, 1: binding.udpEncapsulation = .ipInIP
                case 2: binding.udpEncapsulation = .gre
                case 3: binding.udpEncapsulation = .minimal
                default: return nil
                }
            case 15 << 3 | 2:
                guard var message = field(), let network = message.readNetwork(),
                    binding.networks.count < BindingLimits.networksPerBinding
                else { return nil }
                binding.networks.append(network)
            case 16 << 3:
                // The only tag of two bytes: this was the first.
                guard number() == 1, let role = number(upTo: 2) else { return nil }
                binding.role = role == 2 ? .mobileNode : .homeAgent
            default: return nil
            }
        }
        binding.setUsualPort()
        do throws(BindingError) { try binding.validate() } catch { return nil }
        return binding
    }

    private mutating func readGREOptions() -> GREOptions? {
        var options = GREOptions()
        while !isAtEnd {
            switch tag() {
            case 1 << 3:
                guard let key = number(upTo: UInt64(UInt32.max)) else { return nil }
                options.key = UInt32(key)
            case 2 << 3:
                guard let isOn = number() else { return nil }
                options.sequence = isOn != 0
            case 3 << 3:
                guard let isOn = number() else { return nil }
                options.checksum = isOn != 0
            default: return nil
            }
        }
        return options
    }

    private mutating func readNetwork() -> IPv4Prefix? {
        var address: UInt32 = 0
        var length: UInt64 = 0
        while !isAtEnd {
            switch tag() {
            case 1 << 3 | 5:
                guard let number = fixed() else { return nil }
                address = number
            case 2 << 3:
                guard let number = number(upTo: 32) else { return nil }
                length = number
            default: return nil
            }
        }
        return IPv4Prefix(address: IPv4Address(rawValue: address), length: Int(length))
    }

    private mutating func readPrefix() -> BoundPrefix? {
        var address: IPv6Address?
        var length: UInt64 = 0
        var tunnel = PrefixTunnel.careOf
        while !isAtEnd {
            switch tag() {
            case 1 << 3 | 2:
                guard let field = field(), field.end - field.next == 16 else { return nil }
                address = IPv6Address(
                    high: UInt64(bigEndian: field.next.loadUnaligned(as: UInt64.self)),
                    low: UInt64(bigEndian: field.next.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
            case 2 << 3:
                guard let number = number(upTo: 128) else { return nil }
                length = number
            case 3 << 3:
                guard let number = number(upTo: 2) else { return nil }
                tunnel = number == 2 ? .homeAddress : .careOf
            default: return nil
            }
        }
        guard let address, let prefix = IPv6Prefix(address: address, length: Int(length)) else { return nil }
        return BoundPrefix(prefix, tunnel: tunnel)
    }
}
