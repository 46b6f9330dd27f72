// What the kernel is told of an interface on which a foreign agent is the router, and what is taken back: that the home
// address is nothing to answer ARP for, or to ask with (RFC 5944, 4.6), and that what comes for the tunnel's end may go on
// to mooringd's device, which to the kernel is forwarding. The home address is on another device, so arp_ignore 1, which
// answers for the interface's own addresses alone, is enough.

import Glibc
import RouteNetlink

/// Settings of an interface while a foreign agent is reached by it.
struct AgentInterface {
    private static let wanted = [("arp_ignore", "1"), ("arp_announce", "2"), ("forwarding", "1")]

    let link: Link
    private var before: [(setting: String, value: String)] = []

    /// Makes the settings.
    /// - Throws: the first that can't be made; those before it are taken back.
    init(_ link: Link) throws(RouteError) {
        self.link = link
        let name = link.name
        for (setting, value) in Self.wanted {
            guard let present = Self.read(setting, of: name) else {
                restore()
                throw .noDevice(name)
            }
            // A higher number is stricter, and does as well.
            if present >= value { continue }
            guard Self.write(value, to: setting, of: name) else {
                let number = errno
                restore()
                throw .setting("net.ipv4.conf.\(name).\(setting)", to: value, number: number)
            }
            before.append((setting, present))
        }
    }

    /// Takes them back.
    mutating func restore() {
        for (setting, value) in before.reversed() { Self.write(value, to: setting, of: link.name) }
        before = []
    }

    private static func path(_ setting: String, _ name: String) -> String {
        "/proc/sys/net/ipv4/conf/\(name)/\(setting)"
    }

    private static func read(_ setting: String, of name: String) -> String? {
        guard let stream = fopen(path(setting, name), "re") else { return nil }
        defer { fclose(stream) }
        let character = fgetc(stream)
        return character < 0 ? nil : String(UnicodeScalar(UInt8(character)))
    }

    @discardableResult
    private static func write(_ value: String, to setting: String, of name: String) -> Bool {
        guard let stream = fopen(path(setting, name), "we") else { return false }
        let isWritten = fputs(value, stream) >= 0
        return fclose(stream) == 0 && isWritten
    }
}
