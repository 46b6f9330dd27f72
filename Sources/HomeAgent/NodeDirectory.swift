// The directory of nodes: files `*.toml` of the form of the nodes file, which operators write by hand or by
// `mooring node add`, one file a node then. A file is written beside its place, read as the next start will read it, and
// only then linked to its name, so that a crash leaves all of it or nothing. Only its owner can use it, since it has the
// key; and nobody else can put one there, since the directory is the owner's to change.

import Bindings
import ConfigurationFile
import Glibc
import MobileIP
import OperatorProtocol

/// Where operators' nodes are kept.
struct NodeDirectory: Sendable {
    /// What is being written; not read, as all names that begin with a dot.
    private static let draftName = ".adding"
    private static let suffix = ".toml"
    /// Of a name's part before the suffix and what tells it from others, in bytes.
    private static let nameLimit = 128

    let path: String

    func path(of name: String) -> String { "\(path)/\(name)" }

    // MARK: - Reading

    /// The names of its files, sorted.
    /// - Parameter limit: of them.
    func names(limit: Int) throws(StrictJSON.Failure) -> [String] {
        let directory = try opened()
        defer { closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(directory) else { break }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            guard name.hasSuffix(Self.suffix), !name.hasPrefix(".") else { continue }
            guard names.count < limit else {
                throw StrictJSON.Failure(path, "has more than \(limit) files, as many as limits.nodes is")
            }
            names.append(name)
        }
        guard errno == 0 else { throw failure("can't be read") }
        return names.sorted()
    }

    /// The directory, which nobody else can change; to be closed.
    private func opened() throws(StrictJSON.Failure) -> OpaquePointer {
        guard let directory = opendir(path) else { throw failure("can't be read") }
        do throws(StrictJSON.Failure) {
            try check(dirfd(directory))
            return directory
        } catch {
            closedir(directory)
            throw error
        }
    }

    private func check(_ descriptor: CInt) throws(StrictJSON.Failure) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("can't be read") }
        guard status.st_mode & 0o022 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw StrictJSON.Failure(path, "can be changed by others (mode \(mode)); chmod 700 it")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw StrictJSON.Failure(path, "belongs to another user; chown it to the one that the program runs as")
        }
    }

    // MARK: - Writing

    /// Writes a node beside its place, and reads it again.
    /// - Returns: the node, as the next start will have it.
    func draft(_ definition: NodeDefinition, _ policies: [String: NodePolicy]) throws(StrictJSON.Failure) -> ServedNode
    {
        try write(definition.text)
        var reader = NodeReader(policies, limit: 1)
        do throws(StrictJSON.Failure) {
            try reader.add(contentsOf: path(of: Self.draftName))
        } catch {
            unlink(path(of: Self.draftName))
            // What is wrong is what was asked for, not the file.
            let place = error.place.split(separator: "node[0]", maxSplits: 1).dropFirst().first ?? ""
            throw StrictJSON.Failure(String(place.drop { $0 == "." }), error.problem)
        }
        return reader.nodes[0]
    }

    /// Gives the draft a name.
    func keep(as identity: NodeIdentity) throws(StrictJSON.Failure) -> String {
        let draft = path(of: Self.draftName)
        defer { unlink(draft) }
        let base = Self.base(of: identity)
        var name = base + Self.suffix
        var number = 1
        while link(draft, path(of: name)) != 0 {
            guard errno == EEXIST, number < 1000 else { throw failure("can't be written") }
            number += 1
            name = "\(base)~\(number)\(Self.suffix)"
        }
        do throws(StrictJSON.Failure) {
            try settle()
        } catch {
            unlink(path(of: name))
            throw error
        }
        return name
    }

    /// Takes the draft away.
    func discard() { unlink(path(of: Self.draftName)) }

    /// Throws where a file has got something else than that node since it was read.
    func checkAlone(
        _ identity: NodeIdentity, in name: String, _ policies: [String: NodePolicy]
    ) throws(StrictJSON.Failure) {
        guard access(path(of: name), F_OK) == 0 else { return }
        var reader = NodeReader(policies, limit: 2)
        try reader.add(contentsOf: path(of: name))
        guard reader.nodes.map(\.identity) == [identity] else {
            throw StrictJSON.Failure(
                path(of: name), "has changed since it was read, and does not have \(identity) alone; send SIGHUP first")
        }
    }

    /// Removes a node's file; one that is gone is no error.
    func remove(_ name: String) throws(StrictJSON.Failure) {
        guard unlink(path(of: name)) == 0 || errno == ENOENT else { throw failure("can't be written") }
        try settle()
    }

    private func write(_ text: String) throws(StrictJSON.Failure) {
        // What the next start would refuse is not written.
        closedir(try opened())
        let draft = path(of: Self.draftName)
        unlink(draft)
        let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("can't be written") }
        defer { close(file) }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("can't be written") }
            bytes = bytes.dropFirst(count)
        }
        guard fsync(file) == 0 else { throw failure("can't be written") }
    }

    /// Has the disk keep the directory as it is.
    private func settle() throws(StrictJSON.Failure) {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw failure("can't be written") }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw failure("can't be written") }
    }

    private func failure(_ what: String) -> StrictJSON.Failure {
        StrictJSON.Failure(path, "\(what): \(String(cString: strerror(errno)))")
    }

    /// What a node's file is called: the identity, with other bytes than those of names as `%2F`.
    private static func base(of identity: NodeIdentity) -> String {
        let bytes =
            switch identity {
            case .homeAddress(let address): Array(address.description.utf8)
            case .accessIdentifier(let identifier): identifier.bytes
            }
        var name = ""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "@"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                name.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: ".") where !name.isEmpty: name += "."
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                name += "%" + (digits.count < 2 ? "0" : "") + digits
            }
            if name.utf8.count >= nameLimit { break }
        }
        return name
    }
}

extension NodeDefinition {
    /// As a file has it.
    fileprivate var text: String {
        var lines = ["[[node]]"]
        func add(_ key: String, _ value: String?) {
            if let value { lines.append("\(key) = \(StrictTOML.quoted(value))") }
        }
        func add(_ key: String, _ values: [String]) {
            guard !values.isEmpty else { return }
            lines.append("\(key) = [")
            lines += values.map { "    \($0)," }
            lines.append("]")
        }
        add("home-address", homeAddress)
        add("access-identifier", accessIdentifier)
        lines.append("spi = \(securityParameterIndex)")
        add("key", key)
        add("algorithm", algorithm)
        add("replay", replay)
        if let tolerance { lines.append("tolerance = \(tolerance)") }
        add("policy", policy)
        add(
            "prefixes",
            prefixes.map { permission in
                let range = StrictTOML.quoted(permission.within)
                guard let lengths = permission.lengths else { return range }
                return "{ within = \(range), lengths = [\(lengths.map(String.init).joined(separator: ", "))] }"
            })
        add("implicit-prefixes", implicitPrefixes.map(StrictTOML.quoted))
        add("networks", networks.map(StrictTOML.quoted))
        add("implicit-networks", implicitNetworks.map(StrictTOML.quoted))
        return lines.joined(separator: "\n") + "\n"
    }
}
