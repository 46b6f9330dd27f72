// The forwarder: a verdict for every packet of a batch, nothing else. No input or output, no allocation, no lock, no
// reference counted in the loop. Three stages, so that what one packet waits for is fetched while others are worked on:
//
//   classify   views check the headers; what is left needs the binding of one IPv6 address
//   look up    the prefix table, for all of them
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
    /// What is left of a packet between the stages.
    @usableFromInline
    struct Pending: BitwiseCopyable {
        /// The key: the destination towards a tunnel, the inner source out of one.
        @usableFromInline var address: IPv6Address
        /// The binding's record, when it has been looked up.
        @usableFromInline var record: UInt32
        @usableFromInline var packet: UInt32
        /// Bytes of the outer header; 0 says that the packet is to be encapsulated.
        @usableFromInline var outerHeaderLength: UInt32
        /// Bytes of the IPv6 packet.
        @usableFromInline var innerLength: UInt32
    }

    /// Where this forwarder publishes its counters.
    public let published: PublishedCounters
    /// What it noted of packets that nobody had a right to send.
    public let securityExceptions: SecurityExceptionRing

    private let table: BindingTable.Reader
    // Copies of what stands in `table`: the loop uses only these pointers.
    @usableFromInline let prefixes: PrefixTable.Reader
    @usableFromInline let records: UnsafePointer<BindingRecord>
    @usableFromInline let traffic: UnsafeMutablePointer<TrafficCell>
    @usableFromInline let pending: UnsafeMutablePointer<Pending>
    @usableFromInline let batchCapacity: Int
    @usableFromInline let counters: UnsafeMutablePointer<UInt64>
    @usableFromInline let endpoints: UnsafeMutablePointer<IPv4Address>
    @usableFromInline let endpointCount: Int
    @usableFromInline let singleDevice: Bool
    @usableFromInline let timeToLive: UInt8
    private let errorSource: IPv6Address?
    private var errorLimit: TokenBucket
    @usableFromInline var identification: UInt16
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
            if var next = classify(&batch[index]) {
                next.packet = UInt32(truncatingIfNeeded: index)
                pending[left] = next
                left &+= 1
            }
        }
        for index in 0..<left {
            pending[index].record = prefixes.lookup(pending[index].address)
        }
        for index in 0..<left {
            let work = pending[index]
            let packet = Int(work.packet)
            if work.outerHeaderLength == 0 {
                encapsulate(&batch[packet], work, now: now)
            } else {
                decapsulate(&batch[packet], work)
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

    // MARK: Classify

    @inline(__always)
    private mutating func classify(_ packet: inout Packet) -> Pending? {
        guard packet.length > 0 else { return receivedAndDropped(&packet, .empty) }
        let version = UnsafeRawPointer(packet.start).byte(0) >> 4
        if singleDevice { packet.ingress = version == 4 ? .access : .home }
        count(CounterIndex.received, packet.ingress)
        count(CounterIndex.receivedBytes, packet.ingress, by: packet.length)
        do throws(DropReason) {
            switch (packet.ingress, version) {
            case (.home, 6): return try classifyFromHome(IPv6View(packet.bytes))
            case (.access, 4): return try classifyFromAccess(&packet, IPv4View(packet.bytes))
            case (.home, 4): throw .ipv4NotCarried
            case (.access, 6): throw .ipv6NotCarried
            default: throw .notIP
            }
        } catch {
            drop(&packet, error)
            return nil
        }
    }

    private mutating func receivedAndDropped(_ packet: inout Packet, _ reason: DropReason) -> Pending? {
        count(CounterIndex.received, packet.ingress)
        drop(&packet, reason)
        return nil
    }

    @inline(__always)
    private func classifyFromHome(_ view: IPv6View) throws(DropReason) -> Pending? {
        let destination = view.destination
        if destination.isMulticast { throw .multicastNotCarried }
        if destination.isLinkLocal || view.source.isLinkLocal { throw .linkLocal }
        return Pending(
            address: destination, record: PrefixTable.noValue, packet: 0, outerHeaderLength: 0,
            innerLength: UInt32(truncatingIfNeeded: view.totalLength))
    }

    @inline(__always)
    private mutating func classifyFromAccess(_ packet: inout Packet, _ outer: IPv4View) throws(DropReason) -> Pending? {
        if outer.isFragment { throw .outerFragment }
        guard outer.source.isUnicastSource else { throw .outerSourceInvalid }
        guard outer.protocol == IPProtocol.ipv6 else {
            guard isEndpoint(outer.destination) else { throw .notForEndpoint }
            guard outer.protocol == IPProtocol.icmpv4 else { throw .unsupportedProtocol }
            try answerEcho(&packet, outer)
            return nil
        }
        // The inner packet counts by its own length; what lies behind it is padding (RFC 4213, 3.6).
        guard let first = outer.payload.first, first >> 4 == 6 else { throw .innerVersion }
        let inner = try IPv6View(outer.payload)
        let source = inner.source
        if source.isForbiddenTunnelSource { throw .innerSourceInvalid }
        if source.isLinkLocal || inner.destination.isLinkLocal { throw .linkLocal }
        if inner.destination.isMulticast { throw .multicastNotCarried }
        return Pending(
            address: source, record: PrefixTable.noValue, packet: 0,
            outerHeaderLength: UInt32(truncatingIfNeeded: outer.headerLength),
            innerLength: UInt32(truncatingIfNeeded: inner.totalLength))
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

    /// Turns a packet from the home side that was dropped into an ICMPv6 error to its source, in its own slot, where
    /// RFC 4443 2.4 allows one.
    @inline(never)
    mutating func answerWithError(_ packet: inout Packet, innerLength: Int, _ error: ICMPv6Error, now: UInt64) {
        guard let view = try? IPv6View(UnsafeRawBufferPointer(start: packet.start, count: innerLength)),
            Self.mayBeAnsweredWithError(view)
        else { return }
        guard let errorSource, errorLimit.take(now: now) else { return count(CounterIndex.suppressedErrors) }
        let source = view.source
        let quoted = ICMPv6Error.quotedLength(of: innerLength)
        packet.length = quoted
        packet.prepend(ICMPv6Error.overhead)
        error.write(to: packet.start, source: errorSource, destination: source, quotedLength: quoted)
        count(CounterIndex.generated, .home)
        transmit(&packet, to: .home)
    }

    /// RFC 4443, 2.4 e: not to what is no single node, and not about an error or a redirect.
    private static func mayBeAnsweredWithError(_ view: IPv6View) -> Bool {
        guard !view.source.isForbiddenTunnelSource, let upper = try? view.upperLayer(), !upper.isLaterFragment else {
            return false
        }
        guard upper.protocol == IPProtocol.icmpv6 else { return true }
        let message = UnsafeRawBufferPointer(start: view.start + upper.offset, count: view.totalLength - upper.offset)
        guard let icmp = try? ICMPv6View(message) else { return false }
        return !icmp.forbidsErrors
    }
}
