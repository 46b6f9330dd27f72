// Settings of the kernel below /proc/sys/net, as sysctl(8) shows them. They are those of the network namespace of the
// thread that reads or writes them.

import Glibc

/// A number below /proc/sys/net.
struct SetupSetting: Sendable, Hashable {
    /// What counts as set.
    enum Wanted: Sendable, Hashable {
        case exactly(Int)
        /// The kernel takes every number above zero for yes, and some mean more; these are left as they are.
        case yes

        var number: Int {
            switch self {
            case .exactly(let number): number
            case .yes: 1
            }
        }
    }

    /// As `["net", "ipv4", "conf", "mooring0", "forwarding"]`.
    let path: [String]
    let wanted: Wanted

    /// A setting of one device.
    static func device(_ family: String, _ device: String, _ name: String, _ wanted: Wanted) -> SetupSetting {
        SetupSetting(path: ["net", family, "conf", device, name], wanted: wanted)
    }

    /// Whether there is IPv6 in the kernel; it can be left out at boot.
    static var kernelHasIPv6: Bool { access("/proc/sys/net/ipv6", F_OK) == 0 }

    private var file: String { "/proc/sys/" + path.joined(separator: "/") }

    /// `sysctl -w net.ipv4.ip_forward=1`. A device with a dot in its name needs slashes between the parts.
    var command: String {
        let separator = path.contains { $0.contains(".") } ? "/" : "."
        return "sysctl -w \(shellWord("\(path.joined(separator: separator))=\(wanted.number)"))"
    }

    /// The present number; nil where this kernel has no such setting, or the device is not there.
    func read() throws(SetupError) -> Int? {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("read", errno)
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw failure("read", errno) }
        let text = String(decoding: bytes[..<count].prefix { $0 > 0x20 }, as: UTF8.self)
        guard let number = Int(text) else { throw SetupError("\(file) holds \"\(text)\", which is no number") }
        return number
    }

    func isSatisfied() throws(SetupError) -> Bool {
        guard let number = try read() else { return false }
        switch wanted {
        case .exactly(let wanted): return number == wanted
        case .yes: return number > 0
        }
    }

    func apply() throws(SetupError) {
        let descriptor = open(file, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("set", errno) }
        defer { close(descriptor) }
        let text = "\(wanted.number)\n"
        guard write(descriptor, text, text.utf8.count) == text.utf8.count else { throw failure("set", errno) }
    }

    private func failure(_ verb: String, _ number: Int32) -> SetupError {
        let advice =
            switch number {
            case EACCES, EPERM, EROFS:
                "; start as root, or where /proc/sys is read-only, as in containers, set it from outside: \(command)"
            case ENOENT where path[1] == "ipv6":
                "; this kernel runs without IPv6 (ipv6.disable=1?), or the device is gone"
            case ENOENT: "; the device is gone, or the kernel has no such setting"
            default: ""
            }
        return SetupError("can't \(verb) \(file): \(String(cString: strerror(number)))\(advice)")
    }
}

/// The text as one word of a shell command.
func shellWord(_ text: String) -> String {
    let plain = text.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "="):
            true
        default: false
        }
    }
    if plain, !text.isEmpty { return text }
    let parts = text.split(separator: "'", omittingEmptySubsequences: false)
    return "'" + parts.joined(separator: "'\\''") + "'"
}
