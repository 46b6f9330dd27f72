// The forwarder: a verdict for every packet of a batch, nothing else. No input or output, no allocation, no lock, no
// reference counted in the loop. Three stages, so that what one packet waits for is fetched while others are worked on:
//
//   classify   views check the headers; what is left needs the binding of one address
//   look up    the tables of prefixes, home addresses, networks and groups, for all of them
//   finish     encapsulate or decapsulate in place, or drop
//
// Every packet that comes in, or is made here, ends in exactly one counter. What is made here beside the packets that came
// (copies, fragments) finds a bounded room in the batch; where that is full the last stage stops, and goes on with the
// same packet when the port has carried out what there is.

import CPrefetch
import PacketBuffer
import PrefixTable
import Synchronization
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
    /// Whether a super-frame may leave whole, with one set of headers before it. Then packets of a flow are joined into some.
    public var sendsSuperFrames = false
    /// Whether datagrams of a UDP tunnel may leave as one super-frame of UDP, where a super-frame can't leave whole.
    public var sendsTrains = false
    /// Whether the home side takes super-frames, so that packets of a flow may be joined.
    public var joinsSegments = false
    /// Whether the kernel knows super-frames of UDP: what is said of packets of a flow, to either side, holds for datagrams too.
    public var joinsDatagrams = false
    /// Whether the host forwards, so that nodes may take it for a router (RFC 4861, 4.4).
    public var isRouter = true
    /// Of fragments of tunnel packets.
    public var reassembly = ReassemblyLimits()

    /// The defaults, without endpoints.
    public init() {}
}

/// The forwarder of one worker. Methods of it that are not inlined are `mutating` though some change nothing: where it is lent
/// to a function that only reads it, Swift 6.3 copies it, which is 960 bytes a packet.
public struct Forwarder: ~Copyable {
    /// Where this forwarder publishes its counters.
    public let published: PublishedCounters
    /// What it noted of packets that nobody had a right to send.
    public let securityExceptions: SecurityExceptionRing
    /// What the control plane gets of it.
    public let punts: PuntQueue
    /// What the control plane gives it to send.
    public let injections: InjectQueue

    private let table: BindingTable.Reader
    // Copies of what stands in `table`: the loop uses only these pointers.
    let prefixes: PrefixTable.Reader
    let homeAddresses: AddressTable.Reader
    let nodeAddresses: AddressTable.Reader
    let networks: PrefixTable.Reader
    private let networkFlag: UnsafePointer<Atomic<Bool>>
    let careOfAddresses: AddressTable.Reader
    let sharedTunnels: AddressTable.Reader
    let groups: PrefixTable.Reader
    let members: UnsafePointer<GroupMember>
    let memberRecords: UnsafePointer<MemberRecord>
    let sequences: UnsafeMutablePointer<GRESequence>
    let pathMTUs: UnsafePointer<PathMTU>
    let paths: AddressTable.Reader
    let namedEndpoints: AddressTable.Reader
    let records: UnsafePointer<BindingRecord>
    let traffic: UnsafeMutablePointer<TrafficCell>
    /// Which of the table's workers this is.
    let place: WorkerPlace
    /// Whether there are others.
    let isShared: Bool
    let handoverSignal: UnsafeMutablePointer<Atomic<Bool>>
    /// A bit for each worker that something was handed to.
    var handedOverTo: UInt64 = 0
    let pending: UnsafeMutablePointer<PendingPacket>
    let batchCapacity: Int
    let counters: UnsafeMutablePointer<UInt64>
    let endpoints: UnsafeMutablePointer<IPv4Address>
    let endpointCount: Int
    let singleDevice: Bool
    let timeToLive: UInt8
    let sendsSuperFrames: Bool
    let sendsTrains: Bool
    private let joinsSegments: Bool
    let joinsDatagrams: Bool
    let isRouter: Bool
    let errorSource: IPv6Address?
    var memory: GeneratedMemory
    /// Of datagrams that were put together: they are packets of the batch, and stay when the rest is used again.
    var datagramMemory: GeneratedMemory
    var reassembler: Reassembler
    var reordering = ReorderBuffer()
    /// Of the super-frame that is being cut into segments.
    var superFrame = SuperFrameProgress()
    /// Of the batch, that are being joined.
    var frames: OpenFrames
    let firstPackets = FirstPackets()
    /// Of the batch.
    var now: UInt64 = 0
    /// How many packets of the batch need a binding, and how many of them have their verdict.
    var pendingCount = 0
    private var finishedCount = 0
    var errorLimit: TokenBucket
    let identifications: Identifications
    private var knownTransmitFailures = PortFailures()
    private var knownReceiveFailures = PortFailures()

    /// A forwarder that reads `table`.
    /// - Parameters:
    ///   - batchCapacity: packets in a batch at the most.
    ///   - place: which of the table's workers it is for. They share the limit of errors.
    ///   - identification: behind which those of packets that are made here begin; nil: anywhere, to each destination. Each of several
    ///     workers has its own.
    ///   - published: where it publishes its counters; no other forwarder may.
    ///   - securityExceptions: where it notes them; no other forwarder may.
    ///   - punts: where it puts packets for the control plane; no other forwarder may.
    ///   - injections: where it takes packets of the control plane from; no other forwarder may.
    public init(
        reading table: BindingTable.Reader, settings: ForwarderSettings, batchCapacity: Int,
        place: WorkerPlace = WorkerPlace(), identification: UInt16? = nil,
        published: PublishedCounters = PublishedCounters(),
        securityExceptions: SecurityExceptionRing = SecurityExceptionRing(), punts: PuntQueue = PuntQueue(),
        injections: InjectQueue = InjectQueue()
    ) {
        self.table = table
        prefixes = table.prefixes
        homeAddresses = table.homeAddresses
        nodeAddresses = table.nodeAddresses
        networks = table.networks
        networkFlag = table.networkFlag
        careOfAddresses = table.careOfAddresses
        sharedTunnels = table.sharedTunnels
        groups = table.groups
        members = table.members
        memberRecords = table.memberRecords
        sequences = table.sequences
        pathMTUs = table.pathMTUs
        paths = table.paths
        namedEndpoints = table.endpoints
        records = table.records
        traffic = table.traffic
        self.batchCapacity = batchCapacity
        // Each in a line of its own.
        pending = UnsafeMutableRawPointer.allocate(
            byteCount: batchCapacity * MemoryLayout<PendingPacket>.stride, alignment: 64
        ).bindMemory(to: PendingPacket.self, capacity: batchCapacity)
        counters = .allocate(capacity: CounterIndex.count)
        counters.initialize(repeating: 0, count: CounterIndex.count)
        endpointCount = settings.endpoints.count
        endpoints = .allocate(capacity: max(endpointCount, 1))
        _ = UnsafeMutableBufferPointer(start: endpoints, count: endpointCount).initialize(from: settings.endpoints)
        singleDevice = settings.singleDevice
        timeToLive = settings.timeToLive
        sendsSuperFrames = settings.sendsSuperFrames
        sendsTrains = settings.sendsTrains
        joinsSegments = settings.joinsSegments
        joinsDatagrams = settings.joinsDatagrams
        frames = OpenFrames(batchCapacity: batchCapacity)
        isRouter = settings.isRouter
        errorSource = settings.errorSource
        memory = GeneratedMemory(packets: 64)
        // A fragment can complete one in a tunnel, and with it one that lies in that.
        datagramMemory = GeneratedMemory(packets: batchCapacity * 2)
        reassembler = Reassembler(settings.reassembly)
        let share = { (number: UInt64) in (number + UInt64(place.count) - 1) / UInt64(place.count) }
        errorLimit = TokenBucket(perSecond: share(settings.errorsPerSecond), burst: share(settings.errorBurst))
        identifications = Identifications(behind: identification, of: place)
        self.place = place
        isShared = place.count > 1
        handoverSignal = place.handovers.signal(to: place.index)
        self.published = published
        self.securityExceptions = securityExceptions
        self.punts = punts
        self.injections = injections
    }

    deinit {
        pending.deallocate()
        counters.deallocate()
        endpoints.deallocate()
        identifications.deallocate()
        firstPackets.deallocate()
    }

    /// Gives every packet of the batch its verdict, and writes headers where it is to be transmitted. Where it leaves the
    /// batch unfinished, `resume` must follow when the port has carried out the rest.
    /// - Parameters:
    ///   - now: in nanoseconds, on a clock that does not run backwards; limits of rates count on it.
    ///   - inFlight: packets of earlier batches that the kernel may still have to read.
    public mutating func process(_ batch: inout PacketBatch, now: UInt64, inFlight: Int = 0) {
        precondition(batch.count <= batchCapacity, "the batch is larger than the forwarder was made for")
        if inFlight == 0 {
            memory.clear()
            datagramMemory.clear()
        }
        self.now = now
        var left = 0
        for index in 0..<batch.count {
            if classify(&batch[index], into: pending + left) {
                pending[left].packet = UInt16(truncatingIfNeeded: index)
                left &+= 1
            }
        }
        lookUp(left)
        fetch(left)
        pendingCount = left
        finishedCount = 0
        if sendsSuperFrames { joinTowardsTunnels(&batch) }
        if reordering.count > 0 { releaseDue(into: &batch) }
        finish(&batch)
    }

    /// Looks the first packets that need a binding up, all of one table together.
    @inline(__always)
    private mutating func lookUp(_ count: Int) {
        var (byPrefix, byHomeAddress) = (0, 0)
        for index in 0..<count {
            byPrefix &+= pending[index].lookup == .prefix ? 1 : 0
            byHomeAddress &+= pending[index].lookup == .homeAddress ? 1 : 0
        }
        let stride = MemoryLayout<PendingPacket>.stride
        let records = UnsafeMutableRawPointer(pending) + PendingPacket.recordOffset
        if byHomeAddress == count {
            homeAddresses.lookup(count: count, mapped: pending, stride: stride, results: records)
            if knowsNetworks { lookUpNetworks(count) }
            return
        }
        // Of those that belong to another table the answer is written over.
        prefixes.lookup(count: count, addresses: pending, stride: stride, results: records, resultStride: stride)
        if byPrefix == count { return }
        for index in 0..<count {
            switch pending[index].lookup {
            case .prefix: break
            case .homeAddress:
                pending[index].record = homeAddresses.lookup(IPv4Address(unmapping: pending[index].address))
            case .nodeAddress:
                pending[index].record = nodeAddresses.lookup(IPv4Address(unmapping: pending[index].address))
            case .group:
                // To a group beyond the link the host's own report is sent, which its members are not to get.
                let isReport = pending[index].isListenerMessage && !pending[index].address.isLinkLocalMulticast
                pending[index].record = isReport ? PrefixTable.noValue : groups.lookup(pending[index].address)
                if pending[index].record == PrefixTable.noValue { findHomeAgent(of: pending + index) }
            }
        }
        if knowsNetworks { lookUpNetworks(count) }
    }

    /// Whether any binding has a network: if none does, none is asked for.
    @inline(__always)
    var knowsNetworks: Bool { networkFlag.pointee.load(ordering: .acquiring) }

    /// Looks the IPv4 packets up in networks whose address is no home address.
    @inline(never)
    private mutating func lookUpNetworks(_ count: Int) {
        for index in 0..<count where pending[index].isIPv4 && pending[index].record == PrefixTable.noValue {
            pending[index].record = networks.lookup(pending[index].address)
        }
    }

    /// Has what the last stage reads and counts of bindings fetched, so that it need not wait for each by itself. All at
    /// once: in turns with the last stage, fewer are under way at a time, and a large table is slower for it.
    @inline(__always)
    private func fetch(_ count: Int) {
        for index in 0..<count {
            // Of a packet without a binding this is some address or other, which does no harm.
            CPrefetch_line(records + BindingReference(rawValue: pending[index].record).record)
        }
        for index in 0..<count where pending[index].record != PrefixTable.noValue && pending[index].lookup != .group {
            let record = records + BindingReference(rawValue: pending[index].record).record
            CPrefetch_line(traffic + Int(record.pointee.traffic))
            if !pending[index].isFromTunnel { identifications.prefetch(to: record.pointee.careOfAddress) }
        }
    }

    /// Goes on with a batch that is unfinished, when no packet is in flight.
    public mutating func resume(_ batch: inout PacketBatch) {
        precondition(batch.isUnfinished, "there is nothing to go on with")
        memory.clear()
        batch.isUnfinished = false
        finish(&batch)
    }

    @inline(__always)
    private mutating func finish(_ batch: inout PacketBatch) {
        for index in finishedCount..<pendingCount {
            let packet = Int(pending[index].packet)
            if pending[index].isFromTunnel {
                if decapsulate(&batch[packet], pending + index) || takeInSequence(&batch, pending[index]) { continue }
                suspend(&batch, at: index)
                break
            } else if pending[index].lookup != .group, encapsulate(&batch[packet], pending + index) {
                continue
            } else if !multiply(&batch, pending + index) {
                suspend(&batch, at: index)
                break
            }
        }
        if joinsSegments { joinSegments(&batch) }
    }

    /// Leaves a packet and those behind it for later.
    @inline(never)
    private mutating func suspend(_ batch: inout PacketBatch, at index: Int) {
        finishedCount = index
        for index in index..<pendingCount {
            let packet = Int(pending[index].packet)
            batch[packet].verdict = .unfinished
            if Self.isJoined(batch[packet], pending[index]) {
                Self.setOthers(joinedTo: packet, .unfinished, batch)
            }
        }
        batch.isUnfinished = true
    }

    /// Packets that wait for others, and go on when `process` is called after their time is up.
    public var waitingCount: Int { mutating get { reordering.count } }

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

    /// Whether an address is one of the daemon's own endpoints.
    @inline(__always)
    func isEndpoint(_ address: IPv4Address) -> Bool {
        for index in 0..<endpointCount where endpoints[index] == address { return true }
        return false
    }

    /// Whether tunnels end at an address: it is an endpoint of the daemon's own, or one that a binding names.
    mutating func isTunnelEnd(_ address: IPv4Address) -> Bool {
        isEndpoint(address) || namedEndpoints.lookup(address) != PrefixTable.noValue
    }

    // MARK: Counting and errors

    @inline(__always)
    func count(_ index: Int, _ side: Side, by amount: Int = 1) {
        counters[index &+ Int(side.rawValue)] &+= UInt64(truncatingIfNeeded: amount)
    }

    @inline(__always)
    func count(_ index: Int) { counters[index] &+= 1 }

    /// A super-frame counts as what it is made of, and is one packet from then on.
    @inline(__always)
    func drop(_ packet: inout Packet, _ reason: DropReason) {
        packet.verdict = .release
        counters[CounterIndex.dropped &+ Int(reason.rawValue)] &+= UInt64(packet.segmentCount)
        packet.becomeOnePacket()
    }

    @inline(__always)
    func transmit(_ packet: inout Packet, to side: Side) {
        packet.verdict = side == .home ? .transmitHome : .transmitAccess
        count(CounterIndex.transmitted, side, by: Int(packet.segmentCount))
        count(CounterIndex.transmittedBytes, side, by: packet.length)
    }

    @inline(__always)
    func nextIdentification(to destination: IPv4Address) -> UInt16 { identifications.next(to: destination) }

}
