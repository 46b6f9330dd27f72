// IP-in-IP (RFC 2003) for IPv4, and protocol 41 (RFC 4213) for IPv6: the inner packet follows the outer header.

import Wire

enum DirectTunnel {
    @inline(__always)
    static func open(_ outer: IPv4View) -> OpenedTunnel {
        OpenedTunnel(.direct, protocol: outer.protocol, inner: outer.payload)
    }
}
