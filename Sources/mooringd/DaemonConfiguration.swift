// What mooringd is told: defaults, then the configuration file, then flags, the later over the earlier. Every key of
// the file has a flag. SIGHUP reads the file anew; what can't change while packets flow is reported, not half done.

import Bindings
import ControlProtocol
import Glibc
import Logging
import PacketIO
import RouteNetlink
import Wire

/// The whole configuration of a daemon.
struct DaemonConfiguration: Equatable {
    var endpoints: [IPv4Address] = []
    var sharedEndpoint = false
    var divert = TunnelProtocol.allCases
    var homeDevice = "mooring-home"
    var accessDevice = "mooring-access"
    var homeAddresses: [IPInterfaceAddress] = []
    var homeRoutes: [IPPrefix] = []
    var homeMTU = 1500
    var accessMTU = 1500
    var tunnelMTU = BindingLimits.tunnelMTU.lowerBound
    var outerTimeToLive: UInt8 = 64
    var errorsPerSecond: UInt32 = 100
    var io = IOChoice.automatic
    var offload = OffloadChoice.automatic
    var accessOffload = AccessOffloadChoice.automatic
    var workers = WorkerCount.exactly(1)
    var processors: ProcessorList?
    var setup = true
    var forwarding = true
    var socket = "/run/mooring/mooringd.sock"
    var socketGroup: String?
    var allowUsers: [String] = []
    var allowGroups: [String] = []
    var bindings: String?
    var checkpoint: String?
    var checkpointInterval = 10
    var maxBindings = 65_536
    var maxPrefixes = 262_144
    var maxMembers = 65_536
    var logLevel = Logger.Level.info

    /// Whether one device serves both sides.
    var singleDevice: Bool { homeDevice == accessDevice }

    /// How many workers that is on this machine.
    var workerCount: Int { workers.resolved }

    /// MTUs that a device may have, in bytes: what IPv6 needs, to the largest IPv4 packet.
    static let deviceMTU = 1280...65_535

    /// Checks what concerns more than one key.
    /// - Throws: the rule that is broken, with what to do.
    func validate() throws(ConfigurationError) {
        for endpoint in endpoints where !endpoint.isUnicastSource {
            throw ConfigurationError("endpoint \(endpoint) is no unicast address")
        }
        guard endpoints.count <= 64 else { throw ConfigurationError("there are more than 64 endpoints") }
        for address in homeAddresses where !address.address.isInterfaceAddress {
            throw ConfigurationError("home address \(address) is no unicast address")
        }
        guard accessMTU >= Int(tunnelMTU) + IPv4.minimumHeaderLength || singleDevice else {
            throw ConfigurationError(
                "the access device's MTU \(accessMTU) is too small for tunnel MTU \(tunnelMTU): "
                    + "it needs 20 bytes more for the outer header")
        }
        try processors?.check(workers: workerCount)
    }

    /// Where no endpoint is configured, takes that of the binding file.
    mutating func takeEndpointOfBindings() throws(ConfigurationError) {
        guard endpoints.isEmpty, let bindings else { return }
        do throws(BindingError) {
            if let endpoint = try BindingFile(contentsOf: bindings).endpoint { endpoints = [endpoint] }
        } catch {
            throw ConfigurationError("\(error)")
        }
    }

    /// The one group that is allowed to use the socket, where no user is.
    var onlyAllowedGroup: String? {
        allowUsers.isEmpty && allowGroups.count == 1 ? allowGroups.first : nil
    }

    /// Whether there are users or groups that are allowed to use the socket and whose its file can't be.
    var opensSocketToAll: Bool {
        !allowUsers.isEmpty || allowGroups.contains { $0 != socketGroup ?? onlyAllowedGroup }
    }

    /// Names of settings that differ from `other` and can't change while the daemon runs.
    func settingsThatNeedRestart(comparedTo other: DaemonConfiguration) -> [String] {
        var names: [String] = []
        func compare<Value: Equatable>(_ name: String, _ path: KeyPath<DaemonConfiguration, Value>) {
            if self[keyPath: path] != other[keyPath: path] { names.append(name) }
        }
        compare("endpoints", \.endpoints)
        compare("sharedEndpoint", \.sharedEndpoint)
        compare("divert", \.divert)
        compare("homeDevice", \.homeDevice)
        compare("accessDevice", \.accessDevice)
        compare("homeAddresses", \.homeAddresses)
        compare("homeRoutes", \.homeRoutes)
        compare("homeMTU", \.homeMTU)
        compare("accessMTU", \.accessMTU)
        compare("outerTimeToLive", \.outerTimeToLive)
        compare("errorsPerSecond", \.errorsPerSecond)
        compare("io", \.io)
        compare("offload", \.offload)
        compare("accessOffload", \.accessOffload)
        compare("workers", \.workers)
        compare("processors", \.processors)
        compare("setup", \.setup)
        compare("forwarding", \.forwarding)
        compare("socket", \.socket)
        compare("socketGroup", \.socketGroup)
        compare("allowUsers", \.allowUsers)
        compare("allowGroups", \.allowGroups)
        compare("checkpoint", \.checkpoint)
        compare("checkpointInterval", \.checkpointInterval)
        compare("maxBindings", \.maxBindings)
        compare("maxPrefixes", \.maxPrefixes)
        compare("maxMembers", \.maxMembers)
        return names
    }
}

/// The daemon can't be configured as it is told.
struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension DaemonConfiguration {
    /// The keys of the configuration file.
    static let keys = [
        "endpoints", "sharedEndpoint", "divert", "homeDevice", "accessDevice", "homeAddresses", "homeRoutes",
        "homeMTU", "accessMTU", "tunnelMTU", "outerTimeToLive", "errorsPerSecond", "io", "offload",
        "accessOffload", "workers", "processors", "setup", "forwarding", "socket", "socketGroup", "allowUsers",
        "allowGroups",
        "bindings", "checkpoint", "checkpointInterval", "maxBindings", "maxPrefixes", "maxMembers", "logLevel",
    ]

    /// Takes over what stands in a configuration file.
    /// - Throws: the first thing that is wrong in it, with its place.
    mutating func read(file path: String) throws(ConfigurationError) {
        do throws(StrictJSON.Failure) {
            try take(StrictJSON.read(contentsOf: path).object(keys: Self.keys))
        } catch {
            throw ConfigurationError(error.place == path ? "\(error)" : "\(path): \(error)")
        }
    }

    private mutating func take(_ file: StrictJSON.Object) throws(StrictJSON.Failure) {
        if let value = file["endpoints"] { endpoints = try Self.list(value, "an IPv4 address") }
        if let value = file["sharedEndpoint"] { sharedEndpoint = try value.bool() }
        if let value = file["divert"] {
            divert = []
            for element in try value.array() { divert.append(try element.choice(of: TunnelProtocol.self)) }
        }
        if let value = file["homeDevice"] { homeDevice = try value.string() }
        if let value = file["accessDevice"] { accessDevice = try value.string() }
        if let value = file["homeAddresses"] {
            homeAddresses = try Self.list(value, "an address with its prefix length")
        }
        if let value = file["homeRoutes"] { homeRoutes = try Self.list(value, "a prefix without host bits") }
        if let value = file["homeMTU"] { homeMTU = try value.integer(in: Self.deviceMTU) }
        if let value = file["accessMTU"] { accessMTU = try value.integer(in: Self.deviceMTU) }
        if let value = file["tunnelMTU"] { tunnelMTU = try value.integer(in: BindingLimits.tunnelMTU) }
        if let value = file["outerTimeToLive"] { outerTimeToLive = try value.integer(in: 1...255) }
        if let value = file["errorsPerSecond"] { errorsPerSecond = try value.integer(in: 0...1_000_000) }
        if let value = file["io"] { io = try value.choice(of: IOChoice.self) }
        if let value = file["offload"] { offload = try value.choice(of: OffloadChoice.self) }
        if let value = file["accessOffload"] { accessOffload = try value.choice(of: AccessOffloadChoice.self) }
        if let value = file["workers"] { workers = try WorkerCount(value) }
        if let value = file["processors"] {
            processors = try value.parsed(ProcessorList.self, "a list of processors such as \"2-5,8\"")
        }
        if let value = file["setup"] { setup = try value.bool() }
        if let value = file["forwarding"] { forwarding = try value.bool() }
        if let value = file["socket"] { socket = try value.string() }
        if let value = file["socketGroup"] { socketGroup = try value.string() }
        if let value = file["allowUsers"] { allowUsers = try Self.list(value, "a user's name or number") }
        if let value = file["allowGroups"] { allowGroups = try Self.list(value, "a group's name or number") }
        if let value = file["bindings"] { bindings = try value.string() }
        if let value = file["checkpoint"] { checkpoint = try value.string() }
        if let value = file["checkpointInterval"] {
            checkpointInterval = try value.integer(in: DaemonLimits.checkpointInterval)
        }
        if let value = file["maxBindings"] { maxBindings = try value.integer(in: DaemonLimits.bindings) }
        if let value = file["maxPrefixes"] { maxPrefixes = try value.integer(in: DaemonLimits.prefixes) }
        if let value = file["maxMembers"] { maxMembers = try value.integer(in: DaemonLimits.members) }
        if let value = file["logLevel"] { logLevel = try value.choice(of: Logger.Level.self) }
    }

    private static func list<Element: LosslessStringConvertible>(
        _ value: StrictJSON.Value, _ meaning: String
    ) throws(StrictJSON.Failure) -> [Element] {
        var elements: [Element] = []
        for element in try value.array() { elements.append(try element.parsed(Element.self, meaning)) }
        return elements
    }
}

/// Bounds of what may be configured.
enum DaemonLimits {
    static let bindings = 1...5_000_000
    static let prefixes = 1...64_000_000
    static let members = 1...16_000_000
    /// In seconds.
    static let checkpointInterval = 1...86_400
}

extension ControlServer.Configuration {
    /// The socket, and who may use it.
    /// - Throws: where a user or group does not exist.
    init(_ settings: DaemonConfiguration) throws(ConfigurationError) {
        self.init(path: settings.socket)
        func group(_ name: String) throws(ConfigurationError) -> UInt32 {
            guard let number = ControlAccess.group(name) else {
                throw ConfigurationError("there is no group \"\(name)\": make it with groupadd, or name another")
            }
            return number
        }
        // A group that alone may use the socket can have its file. Whoever else is allowed must be able to open it, and
        // the kernel's word on who they are decides.
        if let name = settings.socketGroup ?? settings.onlyAllowedGroup { self.group = try group(name) }
        if settings.opensSocketToAll { mode = 0o666 }
        for name in settings.allowUsers {
            guard let number = ControlAccess.user(name) else {
                throw ConfigurationError("there is no user \"\(name)\": make it with useradd, or name another")
            }
            access.users.insert(number)
        }
        for name in settings.allowGroups { access.groups.insert(try group(name)) }
    }
}
