// Tells systemd what becomes of the service (sd_notify(3)): a datagram to the socket that the environment names. Where
// nobody asked for it nothing is done.

import Glibc

/// Messages for who started the service.
public enum ServiceNotification {
    /// The daemon is there, and this is its process: after a take-over another one than was started.
    public static func ready() { send("READY=1\nMAINPID=\(getpid())") }

    private static func send(_ text: String) {
        guard let name = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }), "/@".contains(name.prefix(1)) else {
            return
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        guard (2..<MemoryLayout.size(ofValue: address.sun_path)).contains(bytes.count) else { return }
        // An abstract name begins with a zero, and ends with its length.
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = sendto(descriptor, text, text.utf8.count, CInt(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
