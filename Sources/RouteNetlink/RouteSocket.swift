// A socket to the kernel's routing tables (rtnetlink(7)). Every request waits for its acknowledgement or its whole dump,
// so that there is never more than one under way; the kernel works on a request within `send`, and the answer is there
// when that returns. A socket sees the network namespace of the thread that made it, whichever thread uses it later.
//
// Bounds: a datagram of 64 KiB (the kernel makes dumps of 32 KiB at most), `maximumEntries` entries to a dump, five
// seconds for an answer, eight attempts at a dump that changed while it was made.

import CLinuxNet
import Glibc

/// An owned rtnetlink socket, closed with its owner.
public struct RouteSocket: ~Copyable {
    /// A dump with more entries than this is refused with `RouteError.Reason.tooMany`.
    public static let maximumEntries = 65_536

    static let maximumDatagram = 65_536
    private static let answerTimeout = timeval(tv_sec: 5, tv_usec: 0)
    private static let dumpAttempts = 8

    private let descriptor: Int32
    private var sequence: UInt32 = 0
    private var buffer = [UInt8](repeating: 0, count: maximumDatagram)

    /// Opens a socket in the calling thread's network namespace.
    /// - Parameter port: a netlink port number, of which a namespace has only one: it serves as a lock, which the
    ///   kernel releases with the process. Where another socket has it the error's reason is `portTaken`. 0, as
    ///   usual, leaves the choice to the kernel.
    public init(port: UInt32 = 0) throws(RouteError) {
        descriptor = try Self.open(port: port)
    }

    deinit {
        close(descriptor)
    }

    private static func open(port: UInt32) throws(RouteError) -> Int32 {
        let descriptor = try openNetlink(
            port: port, opening: "open an rtnetlink socket", binding: "bind an rtnetlink socket")
        // Kernels that lack these go without the words, or without the filtering, which is repeated here.
        var on: Int32 = 1
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
            setsockopt(descriptor, SOL_NETLINK, option, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        var timeout = answerTimeout
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        return descriptor
    }

    /// A bound rtnetlink socket.
    /// - Parameters:
    ///   - flags: of socket(2), beside SOCK_CLOEXEC.
    ///   - port: as of `init`.
    ///   - groups: of which the kernel tells changes (RTMGRP_…, linux/rtnetlink.h).
    ///   - opening: what is attempted, for the error; and `binding`.
    static func openNetlink(
        flags: Int32 = 0, port: UInt32 = 0, groups: Int32 = 0, opening: String, binding: String
    ) throws(RouteError) -> Int32 {
        let type = Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue) | flags
        let descriptor = socket(AF_NETLINK, type, NETLINK_ROUTE)
        guard descriptor >= 0 else { throw RouteError(number: errno, doing: opening) }
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        address.nl_pid = port
        address.nl_groups = UInt32(groups)
        let bound = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
            }
        }
        guard bound == 0 else {
            let number = errno
            close(descriptor)
            throw RouteError(number: number, doing: binding)
        }
        return descriptor
    }

    /// Carries out a request and waits for the acknowledgement.
    /// - Parameter doing: what is attempted, for the error: "add the route …".
    mutating func perform(_ request: NetlinkRequest, doing: String) throws(RouteError) {
        let sequence = try send(request, flags: NLM_F_ACK, doing: doing)
        while true {
            for message in try receive(sequence: sequence, doing: doing) where Int32(message.type) == NLMSG_ERROR {
                let outcome = try message.outcome()
                guard outcome.number == 0 else {
                    throw RouteError(number: outcome.number, doing: doing, kernelText: outcome.text)
                }
                return
            }
        }
    }

    /// The one message that answers a request.
    mutating func answer(to request: NetlinkRequest, doing: String) throws(RouteError) -> NetlinkMessage {
        let sequence = try send(request, flags: 0, doing: doing)
        while true {
            for message in try receive(sequence: sequence, doing: doing) {
                guard Int32(message.type) == NLMSG_ERROR else { return message }
                let outcome = try message.outcome()
                throw RouteError(number: outcome.number, doing: doing, kernelText: outcome.text)
            }
        }
    }

    /// All entries of a table, as far as `read` makes something of them.
    /// - Parameter read: turns a message into an entry; nil leaves it out.
    mutating func dump<Entry>(
        _ request: NetlinkRequest, doing: String,
        _ read: (NetlinkMessage) throws(RouteError) -> Entry?
    ) throws(RouteError) -> [Entry] {
        for _ in 0..<Self.dumpAttempts {
            if let entries = try dumpOnce(request, doing: doing, read) { return entries }
        }
        throw RouteError(.refused(EAGAIN), "can't \(doing): the table kept changing while it was read; try again")
    }

    /// Nil where the table changed while it was read.
    private mutating func dumpOnce<Entry>(
        _ request: NetlinkRequest, doing: String,
        _ read: (NetlinkMessage) throws(RouteError) -> Entry?
    ) throws(RouteError) -> [Entry]? {
        let sequence = try send(request, flags: NLM_F_DUMP, doing: doing)
        var entries: [Entry] = []
        var interrupted = false
        // Once begun, a dump is read to its end: until then the kernel refuses the socket another (EBUSY).
        var failure: RouteError?
        while true {
            for message in try receive(sequence: sequence, doing: doing) {
                interrupted = interrupted || message.flags & NLM_F_DUMP_INTR != 0
                switch Int32(message.type) {
                case NLMSG_DONE, NLMSG_ERROR:
                    let outcome = try message.outcome()
                    guard outcome.number == 0 else {
                        throw RouteError(number: outcome.number, doing: doing, kernelText: outcome.text)
                    }
                    if let failure { throw failure }
                    return interrupted ? nil : entries
                default:
                    guard failure == nil else { continue }
                    do throws(RouteError) {
                        guard let entry = try read(message) else { continue }
                        guard entries.count < Self.maximumEntries else {
                            throw RouteError(.tooMany, "can't \(doing): there are more than \(Self.maximumEntries)")
                        }
                        entries.append(entry)
                    } catch {
                        failure = error
                    }
                }
            }
        }
    }

    private mutating func send(
        _ request: NetlinkRequest, flags: Int32, doing: String
    ) throws(RouteError) -> UInt32 {
        sequence &+= 1
        let message = request.message(sequence: sequence, extraFlags: flags)
        var kernel = sockaddr_nl()
        kernel.nl_family = sa_family_t(AF_NETLINK)
        var sent: Int
        repeat {
            sent = withUnsafePointer(to: kernel) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(
                        descriptor, message, message.count, Int32(MSG_NOSIGNAL), $0,
                        socklen_t(MemoryLayout<sockaddr_nl>.size))
                }
            }
        } while sent < 0 && errno == EINTR
        guard sent == message.count else { throw RouteError(number: errno, doing: doing) }
        return sequence
    }

    /// The next datagram's messages that answer the request of that number; what is left of an earlier request, whose
    /// reading an error ended, is passed over.
    private mutating func receive(sequence: UInt32, doing: String) throws(RouteError) -> [NetlinkMessage] {
        while true {
            var sender = sockaddr_nl()
            var senderLength = socklen_t(MemoryLayout<sockaddr_nl>.size)
            let received = withUnsafeMutablePointer(to: &sender) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { sender in
                    // With MSG_TRUNC the datagram's true length is told, also where it is longer than the buffer.
                    recvfrom(
                        descriptor, &buffer, buffer.count, Int32(MSG_TRUNC), sender, &senderLength)
                }
            }
            if received < 0 {
                switch errno {
                case EINTR: continue
                case EAGAIN:
                    throw RouteError(.noAnswer, "can't \(doing): the kernel did not answer within five seconds")
                default: throw RouteError(number: errno, doing: doing)
                }
            }
            guard received <= buffer.count else { throw .malformed("a datagram of \(received) bytes") }
            // Port 0 is the kernel; other processes may send to a netlink socket too.
            guard sender.nl_pid == 0 else { continue }
            let messages = try NetlinkMessage.parse(buffer[..<received]).filter { $0.sequence == sequence }
            if !messages.isEmpty { return messages }
        }
    }
}
