// The forwarder: a verdict for every packet of a batch, nothing else. No input or output, no allocation, no lock, no
// reference counted in the loop. Three stages, so that what one packet waits for is fetched while others are worked on:
//
//   classify   views check the headers; what is left needs the binding of one address
//   look up    the tables of prefixes and of home addresses, for all of them
//   finish     encapsulate or decapsulate in place, or drop
//
// Every packet that comes in, or is made here, ends in exactly one counter.

import PacketBuffer
import PrefixTable
import Wire

/// What a forwarder is set to, for as long as it lives.
public struct ForwarderSettings: Sendable {
    /// The addresses at which the host's tunnels end: echo requests to them are answered. Tunnelled packets may also
    /// be for the endpoint of the binding that they belong to.
    public var endpoints: [IPv4Address] = []
    /// The source of ICMPv6 errors; nil: none are sent.
    public var errorSource: IPv6Address?
    /// ICMPv6 errors a second (RFC 4443, 2.4 f).
    public var errorsPerSecond: UInt64 = 100
    /// ICMPv6 errors at once.
    public var errorBurst: UInt64 = 50
    /// Whether one device serves both sides: an IPv4 packet is then from the access side.
    public var singleDevice = false
    /// Of IPv4 packets that the forwarder makes itself.
    public var timeToLive: UInt8 = 64

    /// The defaults, without endpoints.
    public init() {}
}

/// The forwarder of one worker.
public struct Forwarder: ~Copyable {
    /// Where this forwarder publishes its counters.
    public let published: PublishedCounters
    /// What it noted of packets that nobody had a right to send.
    public let securityExceptions: SecurityExceptionRing

    private let table: BindingTable.Reader
    // Copies of what stands in `table`: the loop uses only these pointers.
    let prefixes: PrefixTable.Reader
    let homeAddresses: PrefixTable.Reader
    let sequences: UnsafeMutablePointer<GRESequence>
    let records: UnsafePointer<BindingRecord>
    let traffic: UnsafeMutablePointer<TrafficCell>
    let pending: UnsafeMutablePointer<PendingPacket>
    let batchCapacity: Int
    let counters: UnsafeMutablePointer<UInt64>
    let endpoints: UnsafeMutablePointer<IPv4Address>
    let endpointCount: Int
    let singleDevice: Bool
    let timeToLive: UInt8
    let errorSource: IPv6Address?
    var errorLimit: TokenBucket
    var identification: UInt16
    private var knownTransmitFailures = PortFailures()
    private var knownReceiveFailures = PortFailures()

    /// A forwarder that reads `table`.
    /// - Parameters:
    ///   - batchCapacity: packets in a batch at the most.
    ///   - identification: where the outer headers' identifications begin.
    ///   - published: where it publishes its counters; no other forwarder may.
    ///   - securityExceptions: where it notes them; no other forwarder may.
    public init(
        reading table: BindingTable.Reader, settings: ForwarderSettings, batchCapacity: Int,
        identification: UInt16 = .random(in: .min ... .max), published: PublishedCounters = PublishedCounters(),
        securityExceptions: SecurityExceptionRing = SecurityExceptionRing()
    ) {
        self.table = table
        prefixes = table.prefixes
        homeAddresses = table.homeAddresses
        sequences = table.sequences
        records = table.records
        traffic = table.traffic
        self.batchCapacity = batchCapacity
        pending = .allocate(capacity: batchCapacity)
        counters = .allocate(capacity: CounterIndex.count)
        counters.initialize(repeating: 0, count: CounterIndex.count)
        endpointCount = settings.endpoints.count
        endpoints = .allocate(capacity: max(endpointCount, 1))
        _ = UnsafeMutableBufferPointer(start: endpoints, count: endpointCount).initialize(from: settings.endpoints)
        singleDevice = settings.singleDevice
        timeToLive = settings.timeToLive
        errorSource = settings.errorSource
        errorLimit = TokenBucket(perSecond: settings.errorsPerSecond, burst: settings.errorBurst)
        self.identification = identification
        self.published = published
        self.securityExceptions = securityExceptions
    }

    deinit {
        pending.deallocate()
        counters.deallocate()
        endpoints.deallocate()
    }

    /// Gives every packet of the batch its verdict, and writes headers where it is to be transmitted.
    /// - Parameter now: in nanoseconds, on a clock that does not run backwards; limits of rates count on it.
    public mutating func process(_ batch: inout PacketBatch, now: UInt64) {
        precondition(batch.count <= batchCapacity, "the batch is larger than the forwarder was made for")
        var left = 0
        for index in 0..<batch.count {
            if classify(&batch[index], into: pending + left, now: now) {
                pending[left].packet = UInt32(truncatingIfNeeded: index)
                left &+= 1
            }
        }
        for index in 0..<left {
            let address = pending[index].address
            pending[index].record =
                pending[index].isIPv4 ? homeAddresses.lookup(address) : prefixes.lookup(address)
        }
        for index in 0..<left {
            let packet = Int(pending[index].packet)
            if pending[index].isFromTunnel {
                decapsulate(&batch[packet], pending[index])
            } else {
                encapsulate(&batch[packet], pending[index], now: now)
            }
        }
    }

    /// Makes the counters visible to others, where all packets have reached their end.
    /// - Parameters:
    ///   - inFlight: packets to transmit of which the port does not know yet whether the kernel took them.
    ///   - transmitFailures: those that it did not take, since the port was made.
    ///   - receiveFailures: packets that were lost on the way in, since the port was made.
    public mutating func publishCounters(
        inFlight: Int = 0, transmitFailures: PortFailures = PortFailures(),
        receiveFailures: PortFailures = PortFailures()
    ) {
        guard inFlight == 0 else { return }
        if transmitFailures != knownTransmitFailures {
            let home = transmitFailures.home - knownTransmitFailures.home
            let access = transmitFailures.access - knownTransmitFailures.access
            counters[CounterIndex.transmitted] -= home
            counters[CounterIndex.transmitted + 1] -= access
            counters[CounterIndex.dropped + Int(DropReason.transmitFailed.rawValue)] += home + access
            knownTransmitFailures = transmitFailures
        }
        if receiveFailures != knownReceiveFailures {
            let home = receiveFailures.home - knownReceiveFailures.home
            let access = receiveFailures.access - knownReceiveFailures.access
            counters[CounterIndex.received] += home
            counters[CounterIndex.received + 1] += access
            counters[CounterIndex.dropped + Int(DropReason.receiveFailed.rawValue)] += home + access
            knownReceiveFailures = receiveFailures
        }
        published.publish(counters)
    }

    @inline(__always)
    func isEndpoint(_ address: IPv4Address) -> Bool {
        for index in 0..<endpointCount where endpoints[index] == address { return true }
        return false
    }

    // MARK: Counting and errors

    @inline(__always)
    func count(_ index: Int, _ side: Side, by amount: Int = 1) {
        counters[index &+ Int(side.rawValue)] &+= UInt64(truncatingIfNeeded: amount)
    }

    @inline(__always)
    func count(_ index: Int) { counters[index] &+= 1 }

    @inline(__always)
    func drop(_ packet: inout Packet, _ reason: DropReason) {
        packet.verdict = .release
        count(CounterIndex.dropped &+ Int(reason.rawValue))
    }

    @inline(__always)
    func transmit(_ packet: inout Packet, to side: Side) {
        packet.verdict = side == .home ? .transmitHome : .transmitAccess
        count(CounterIndex.transmitted, side)
        count(CounterIndex.transmittedBytes, side, by: packet.length)
    }

    @inline(__always)
    mutating func nextIdentification() -> UInt16 {
        identification &+= 1
        return identification
    }
}
