// Many nodes at once, in one process: requests that were signed beforehand are sent as replies to earlier ones come, up
// to a window that is under way. A node has one request under way at a time. Each request has the node's care-of address
// as its source, all of which are this namespace's own.

import ArgumentParser
import CBenchmark
import Foundation
import MobileIP
import Wire

struct Registrants: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Registers nodes as fast as they are answered; used by registration inside its namespaces.",
        shouldDisplay: false)

    @Argument(help: "Nodes.") var nodes: Int
    @Argument(help: "Seconds.") var seconds: Int
    @Argument(help: "Prefixes of each.") var prefixesEach: Int
    @Argument(help: "Requests that are under way.") var window: Int

    /// What it prints as JSON, once nodes are registered (`ready`), and at the end.
    struct Figures: Codable {
        var registrations = 0
        var elapsedSeconds = 0.0
        var medianMilliseconds = 0.0
        var hundredthMilliseconds = 0.0
        var lost = 0
        var verified = 0
    }

    /// Of all seconds together; signing takes that long beforehand, some microseconds each.
    private static let mostRequestsPerSecond = 50_000

    func run() throws {
        let nodes = RegistrationNodes(count: nodes, prefixesEach: prefixesEach)
        let rounds = 1 + max(1, (seconds * Self.mostRequestsPerSecond + nodes.count - 1) / nodes.count)
        var registrants = try RegistrantLoop(nodes, rounds: rounds, window: min(window, nodes.count))
        // All are there before anything is measured.
        _ = try registrants.run(until: nodes.count, for: .seconds(120))
        print("ready")
        fflush(nil)
        guard readLine() != nil else { return }
        let figures = try registrants.run(until: rounds * nodes.count, for: .seconds(seconds))
        print(String(decoding: try JSONEncoder().encode(figures), as: UTF8.self))
    }
}

/// Requests, and what is under way.
private struct RegistrantLoop {
    private let nodes: RegistrationNodes
    private let window: Int
    private let socket: Int32
    /// All requests, one behind the other: those of every node, then the next of every node.
    private let requests: [UInt8]
    private let requestLength: Int
    private let firstIdentification: UInt64
    private var next = 0
    /// When the request was sent that a node has under way, in nanoseconds; 0 for none.
    private var sentAt: [UInt64]
    /// Which request that is.
    private var sent: [Int]
    private var underWay = 0
    /// Up to which request all are answered or lost.
    private var oldest = 0

    private var replies = [UInt8](repeating: 0, count: Int(MOORING_DATAGRAMS) * replyRoom)
    private var lengths = [UInt32](repeating: 0, count: Int(MOORING_DATAGRAMS))

    private static let replyRoom = 256
    private static let lostAfter: UInt64 = 2_000_000_000
    /// One reply of so many is checked.
    private static let sample = 64
    private static let port: UInt16 = 434

    init(_ nodes: RegistrationNodes, rounds: Int, window: Int) throws {
        self.nodes = nodes
        self.window = window
        let day = ClockTime(CLOCK_REALTIME)
        let begin = NetworkTime(secondsSince1970: Int64(day.seconds), nanoseconds: UInt32(day.nanoseconds)).rawValue
        firstIdentification = begin
        requestLength = try nodes.request(0, registration: 0, identification: begin).count
        let length = requestLength
        requests = try Array(unsafeUninitializedCapacity: rounds * nodes.count * length) { buffer, written in
            for round in 0..<rounds {
                for node in 0..<nodes.count {
                    let bytes = try nodes.request(
                        node, registration: round, identification: begin + UInt64(round))
                    _ = UnsafeMutableBufferPointer(rebasing: buffer[written..<written + length]).update(from: bytes)
                    written += length
                }
            }
        }
        (sentAt, sent) = ([UInt64](repeating: 0, count: nodes.count), [Int](repeating: -1, count: nodes.count))
        socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = Self.port.bigEndian
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        var space: Int32 = 16 << 20
        setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &space, socklen_t(MemoryLayout<Int32>.size))
        guard socket >= 0, bound == 0 else { throw BenchError("UDP port 434: \(String(cString: strerror(errno)))") }
    }

    /// Sends requests up to that one, for that long at the most, and takes what is still under way.
    mutating func run(until last: Int, for duration: Duration) throws -> Registrants.Figures {
        var figures = Registrants.Figures()
        var latencies: [UInt64] = []
        latencies.reserveCapacity(last - next)
        var samples: [[UInt8]] = []
        let begin = ContinuousClock.now
        let end = begin + duration
        var lastReply = begin
        while true {
            let isOver = ContinuousClock.now >= end || next >= last
            if isOver, underWay == 0 { break }
            if !isOver { try send(last) }
            let now = Self.now()
            let taken = try receive(now, &latencies, &samples)
            if taken > 0 {
                lastReply = .now
            } else {
                figures.lost += forget(now)
                var wait = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
                poll(&wait, 1, 10)
            }
        }
        for reply in samples { try nodes.verify(reply: reply) }
        latencies.sort()
        figures.registrations = latencies.count
        figures.elapsedSeconds = begin.duration(to: lastReply) / .seconds(1)
        figures.verified = samples.count
        if !latencies.isEmpty {
            figures.medianMilliseconds = Double(latencies[latencies.count / 2]) / 1e6
            figures.hundredthMilliseconds = Double(latencies[latencies.count * 99 / 100]) / 1e6
        }
        return figures
    }

    private mutating func send(_ last: Int) throws {
        while underWay < window, next < last {
            var sources: [UInt32] = []
            let first = next
            let now = Self.now()
            let most = min(Int(MOORING_DATAGRAMS), window - underWay, last - next)
            while sources.count < most {
                let (round, node) = (first + sources.count).quotientAndRemainder(dividingBy: nodes.count)
                guard sentAt[node] == 0 else { break }  // The node before has not been answered yet.
                sources.append(nodes.careOfAddress(node, at: round).rawValue)
            }
            guard !sources.isEmpty else { return }
            let count = requests.withUnsafeBytes { bytes in
                mooring_send_from(
                    socket, bytes.baseAddress! + first * requestLength, UInt32(requestLength), sources,
                    UInt32(sources.count), IPv4Address(Network.endpoint)!.rawValue, Self.port)
            }
            guard count > 0 else {
                guard errno == ENOBUFS || errno == EAGAIN else {
                    throw BenchError("sending failed: \(String(cString: strerror(errno)))")
                }
                return
            }
            for request in first..<first + Int(count) {
                (sentAt[request % nodes.count], sent[request % nodes.count]) = (now, request)
            }
            next += Int(count)
            underWay += Int(count)
        }
    }

    /// - Returns: how many datagrams came.
    private mutating func receive(
        _ now: UInt64, _ latencies: inout [UInt64], _ samples: inout [[UInt8]]
    ) throws -> Int {
        let count = replies.withUnsafeMutableBytes {
            mooring_receive_many(
                socket, $0.baseAddress, UInt32(Self.replyRoom), &lengths, UInt32(MOORING_DATAGRAMS))
        }
        guard count > 0 else { return 0 }
        for index in 0..<Int(count) {
            let start = index * Self.replyRoom
            let reply = replies[start..<start + Int(lengths[index])]
            guard reply.count >= RegistrationReply.fixedLength, reply[start] == RegistrationReply.type.rawValue,
                let node = nodes.node(of: UInt32(truncatingIfNeeded: Self.number(reply[(start + 4)..<(start + 8)])))
            else { throw BenchError("what came is no reply: \(Array(reply))") }
            guard reply[start + 1] == ReplyCode.accepted.rawValue else {
                throw BenchError("node \(node) was refused with code \(reply[start + 1])")
            }
            let identification = Self.number(reply[(start + 12)..<(start + 20)])
            let expected = firstIdentification + UInt64(max(sent[node], 0) / nodes.count)
            // One that was given up may come late.
            guard sentAt[node] != 0, identification == expected else { continue }
            latencies.append(now > sentAt[node] ? now - sentAt[node] : 0)
            sentAt[node] = 0
            underWay -= 1
            if latencies.count % Self.sample == 0 { samples.append(Array(reply)) }
        }
        return Int(count)
    }

    /// Gives up what has got no answer for too long.
    /// - Returns: how many.
    private mutating func forget(_ now: UInt64) -> Int {
        var lost = 0
        while oldest < next {
            let node = oldest % nodes.count
            if sent[node] == oldest, sentAt[node] != 0 {
                guard now > sentAt[node] + Self.lostAfter else { break }
                sentAt[node] = 0
                underWay -= 1
                lost += 1
            }
            oldest += 1
        }
        return lost
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    private static func now() -> UInt64 {
        let time = ClockTime(CLOCK_MONOTONIC)
        return UInt64(time.seconds) * 1_000_000_000 + UInt64(time.nanoseconds)
    }
}
