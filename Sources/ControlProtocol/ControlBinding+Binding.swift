// Bindings in messages, and back. A number that this version gives no meaning to is refused rather than taken for the
// default: a newer client must not get a tunnel that it did not ask for.

import Bindings
import FoundationEssentials
import Wire

extension Binding {
    /// The binding of a message.
    /// - Parameter place: what an error calls it, such as `bindings[3]`; by default its id.
    /// - Throws: the field that is malformed, or the first rule of `validate` that is broken.
    public init(_ message: ControlBinding, at place: String? = nil) throws(BindingError) {
        let place = place ?? "binding \(StrictJSON.quoted(message.id))"
        self.init(id: message.id, careOfAddress: IPv4Address(rawValue: message.careOfAddress))
        role =
            switch message.role {
            case .unspecified, .homeAgent: .homeAgent
            case .mobileNode: .mobileNode
            case .UNRECOGNIZED(let number): throw Self.unknown(number, "\(place).role")
            }
        if message.hasHomeAddress { homeAddress = IPv4Address(rawValue: message.homeAddress) }
        if message.hasEndpoint { endpoint = IPv4Address(rawValue: message.endpoint) }
        encapsulation =
            switch message.encapsulation {
            case .unspecified, .ipInIp: .ipInIP
            case .gre: .gre
            case .minimal: .minimal
            case .udp: .udp
            case .UNRECOGNIZED(let number): throw Self.unknown(number, "\(place).encapsulation")
            }
        if message.hasGre {
            gre = GREOptions(
                key: message.gre.hasKey ? message.gre.key : nil, sequence: message.gre.sequence,
                checksum: message.gre.checksum)
        }
        if message.hasUdpPort {
            guard let port = UInt16(exactly: message.udpPort) else {
                throw BindingError("\(place).udp.port", "\(message.udpPort) is no port: it is 1 to 65535")
            }
            udpPort = port
        }
        udpEncapsulation =
            switch message.udpEncapsulation {
            case .unspecified, .ipInIp: .ipInIP
            case .gre: .gre
            case .minimal: .minimal
            case .udp: throw BindingError("\(place).udp.encapsulation", "there is no UDP within UDP")
            case .UNRECOGNIZED(let number): throw Self.unknown(number, "\(place).udp.encapsulation")
            }
        setUsualPort()
        dscp =
            switch message.dscp {
            case .unspecified, .uniform: .uniform
            case .pipe: .pipe
            case .UNRECOGNIZED(let number): throw Self.unknown(number, "\(place).dscp")
            }
        ecn =
            switch message.ecn {
            case .unspecified, .normal: .normal
            case .compatibility: .compatibility
            case .UNRECOGNIZED(let number): throw Self.unknown(number, "\(place).ecn")
            }
        if message.hasTunnelMtu {
            guard let bytes = UInt16(exactly: message.tunnelMtu) else {
                throw BindingError("\(place).tunnelMTU", "\(message.tunnelMtu) is too large")
            }
            tunnelMTU = bytes
        }
        mtuDiscovery = message.mtuDiscovery
        if message.hasLifetime { lifetime = message.lifetime }
        guard message.prefixes.count <= BindingLimits.prefixesPerBinding else {
            throw BindingError("\(place).prefixes", "more than \(BindingLimits.prefixesPerBinding) prefixes")
        }
        prefixes.reserveCapacity(message.prefixes.count)
        for (index, prefix) in message.prefixes.enumerated() {
            prefixes.append(try BoundPrefix(prefix, at: place, index: index))
        }
        guard message.networks.count <= BindingLimits.networksPerBinding else {
            throw BindingError("\(place).networks", "more than \(BindingLimits.networksPerBinding) networks")
        }
        for (index, network) in message.networks.enumerated() {
            let address = IPv4Address(rawValue: network.address)
            guard let network = IPv4Prefix(address: address, length: Int(network.length)) else {
                throw BindingError(
                    "\(place).networks[\(index)]",
                    "\(address)/\(network.length) is no network: the length is 0 to 32, and all bits past it are zero")
            }
            networks.append(network)
        }
        try validate(at: place)
    }

    fileprivate static func unknown(_ number: Int, _ place: String) -> BindingError {
        BindingError(place, "\(number) means nothing to this version; is the client newer than the daemon?")
    }
}

extension BoundPrefix {
    fileprivate init(_ message: ControlBoundPrefix, at binding: String, index: Int) throws(BindingError) {
        guard let address = IPv6Address(networkOrder: message.address) else {
            throw BindingError(
                "\(binding).prefixes[\(index)].address", "has \(message.address.count) bytes where 16 are expected")
        }
        guard let prefix = IPv6Prefix(address: address, length: Int(message.length)) else {
            throw BindingError(
                "\(binding).prefixes[\(index)]",
                "\(address)/\(message.length) is no prefix: the length is 0 to 128, and all bits past it are zero"
                    + (message.length == 255 && address.isLinkLocal ? "; that of a link-local address is 128" : ""))
        }
        switch message.tunnel {
        case .unspecified, .careOf: self.init(prefix, tunnel: .careOf)
        case .homeAddress: self.init(prefix, tunnel: .homeAddress)
        case .UNRECOGNIZED(let number): throw Binding.unknown(number, "\(binding).prefixes[\(index)].tunnel")
        }
    }
}

extension ControlBinding {
    /// The message of a binding.
    public init(_ binding: Binding) {
        self.init()
        id = binding.id
        careOfAddress = binding.careOfAddress.rawValue
        if let homeAddress = binding.homeAddress { self.homeAddress = homeAddress.rawValue }
        if let endpoint = binding.endpoint { self.endpoint = endpoint.rawValue }
        encapsulation = ControlEncapsulation(binding.encapsulation)
        if let options = binding.gre {
            gre = ControlGREOptions()
            if let key = options.key { gre.key = key }
            gre.sequence = options.sequence
            gre.checksum = options.checksum
        }
        if let udpPort = binding.udpPort { self.udpPort = UInt32(udpPort) }
        udpEncapsulation =
            switch binding.udpEncapsulation {
            case .ipInIP: .unspecified
            case .gre: .gre
            case .minimal: .minimal
            }
        prefixes = binding.prefixes.map(ControlBoundPrefix.init)
        networks = binding.networks.map(ControlNetwork.init)
        if binding.role == .mobileNode { role = .mobileNode }
        dscp = binding.dscp == .pipe ? .pipe : .uniform
        ecn = binding.ecn == .compatibility ? .compatibility : .normal
        if let tunnelMTU = binding.tunnelMTU { tunnelMtu = UInt32(tunnelMTU) }
        mtuDiscovery = binding.mtuDiscovery
        if let lifetime = binding.lifetime { self.lifetime = lifetime }
    }
}

extension ControlEncapsulation {
    init(_ encapsulation: Encapsulation) {
        self =
            switch encapsulation {
            case .ipInIP: .ipInIp
            case .gre: .gre
            case .minimal: .minimal
            case .udp: .udp
            }
    }
}

extension ControlBoundPrefix {
    fileprivate init(_ bound: BoundPrefix) {
        self.init()
        address = bound.prefix.address.networkOrder
        length = UInt32(bound.prefix.length)
        tunnel =
            switch bound.tunnel {
            case .careOf: .careOf
            case .homeAddress: .homeAddress
            }
    }
}

extension ControlNetwork {
    fileprivate init(_ network: IPv4Prefix) {
        self.init()
        address = network.address.rawValue
        length = UInt32(network.length)
    }
}

extension IPv6Address {
    /// Its 16 bytes, as messages bear them.
    public var networkOrder: Data {
        var data = Data(capacity: 16)
        for half in [high, low] { withUnsafeBytes(of: half.bigEndian) { data.append(contentsOf: $0) } }
        return data
    }

    /// An address from its 16 bytes; nil where there are more or fewer.
    public init?(networkOrder data: Data) {
        guard data.count == 16 else { return nil }
        func half(_ bytes: Data) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        self.init(high: half(data.prefix(8)), low: half(data.suffix(8)))
    }
}

extension ControlPutBindings {
    /// The bindings of a batch.
    /// - Throws: what is wrong with the first that is not acceptable; the message names its place in the batch.
    public func checkedBindings() throws(ControlError) -> [Binding] {
        // An id that is none can't be bound, and must not come into messages and logs as it is.
        if let id = expectedRevisions.keys.first(where: { !Binding.isID($0) }) {
            throw ControlError(.badBinding, "expected_revisions: \(StrictJSON.quoted(id)) can't be an id", binding: id)
        }
        var checked: [Binding] = []
        checked.reserveCapacity(bindings.count)
        var places: [String: Int] = [:]
        for (index, message) in bindings.enumerated() {
            do throws(BindingError) {
                checked.append(try Binding(message, at: "bindings[\(index)]"))
            } catch {
                throw ControlError(.badBinding, "\(error)", binding: message.id)
            }
            if let other = places.updateValue(index, forKey: message.id) {
                throw ControlError(
                    .badBinding, "bindings[\(index)].id: \(message.id) is also the id of bindings[\(other)]",
                    binding: message.id)
            }
        }
        return checked
    }
}

extension ControlBindingPage {
    /// Prefixes in a page at the most, so that it fits a frame and takes little time whatever its bindings hold; a page
    /// has one binding at least.
    public static let prefixLimit = 8192
    /// Bindings in a page at the most.
    public static let bindingLimit = 1000
    /// Bindings in a page where the request names no limit.
    public static let usualLimit = 100

    /// The page that answers a request.
    /// - Parameter states: the bindings behind `request.after` in the order of their ids. No more of them are asked for
    ///   than the page holds, and one to know whether there are more.
    public init(answering request: ControlListBindings, from states: some Sequence<ControlBindingState>) {
        self.init()
        let limit = request.limit == 0 ? Self.usualLimit : min(Int(request.limit), Self.bindingLimit)
        var prefixes = 0
        for state in states {
            prefixes += state.binding.prefixes.count + state.binding.networks.count
            if bindings.count == limit || (!bindings.isEmpty && prefixes > Self.prefixLimit) {
                more = true
                return
            }
            bindings.append(state)
        }
    }
}
