// What has come for the mobile node and was not taken yet. Sockets, signals and timers put in, one task takes out. What
// strangers can send is bounded: further datagrams are dropped and counted while `datagramLimit` wait.

import Synchronization
import Wire

/// What has come, and not been taken.
final class Inbox: Sendable {
    static let datagramLimit = 256
    static let echoLimit = 16
    static let advertisementLimit = 64

    /// A UDP datagram to the port of registrations.
    struct Datagram: Sendable {
        var payload: [UInt8]
        var source: IPv4Address
        var port: UInt16
        /// Whether it was seen on a link, and not by a socket or mooringd.
        var isFromLink = false
    }

    struct Content: Sendable {
        var datagrams: [Datagram] = []
        var droppedDatagrams = 0
        var advertisements: [HeardAdvertisement] = []
        /// Advertisements that are not among them.
        var droppedAdvertisements: [AdvertisementDrop: Int] = [:]
        /// Sequence numbers of echo replies.
        var echoes: [UInt16] = []
        var delegatedPrefixes: [IPv6Prefix]?
        var isNetworkChanged = false
        var isForwarderLost = false
        var isStopped = false

        mutating func count(_ drop: AdvertisementDrop) { droppedAdvertisements[drop, default: 0] += 1 }
    }

    /// Yields where something has come since the last time.
    let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation
    private let content = Mutex(Content())

    init() { (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func put(_ change: (inout Content) -> Void) {
        content.withLock { change(&$0) }
        wake.yield()
    }

    func put(_ datagram: Datagram) {
        put { content in
            if content.datagrams.count < Self.datagramLimit {
                content.datagrams.append(datagram)
            } else {
                content.droppedDatagrams += 1
            }
        }
    }

    func put(_ advertisement: HeardAdvertisement) {
        put { content in
            if content.advertisements.count < Self.advertisementLimit {
                content.advertisements.append(advertisement)
            } else {
                content.count(.tooManyWaiting)
            }
        }
    }

    func put(echo sequence: UInt16) {
        put { if $0.echoes.count < Self.echoLimit { $0.echoes.append(sequence) } }
    }

    /// A deadline has come: there may be nothing in it.
    func nudge() { wake.yield() }

    func take() -> Content {
        content.withLock { content in
            defer { content = Content() }
            return content
        }
    }
}
