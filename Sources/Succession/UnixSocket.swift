// What both ends need of sockets (unix(7)).

import Glibc

/// Packets in their order, with descriptors.
enum UnixSocket {
    static func failure(_ what: String) -> SuccessionError {
        SuccessionError("\(what): \(String(cString: strerror(errno)))")
    }

    static func open() throws(SuccessionError) -> CInt {
        let descriptor = socket(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure("making a socket") }
        return descriptor
    }

    static func address(_ path: String) throws(SuccessionError) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path) - 1
        guard (1...capacity).contains(path.utf8.count), !path.utf8.contains(0) else {
            throw SuccessionError("the path of a socket has 1 to \(capacity) bytes: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return address
    }

    static func with(
        _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) -> CInt {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }
}
