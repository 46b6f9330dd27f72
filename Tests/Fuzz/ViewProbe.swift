// Every view of `Wire` on the same bytes, and of what is inside of those that it accepts; of each, every accessor is read.
// What is read goes into a sum, so that no reading is left out by the compiler.

import Wire

/// Reads packets by every view there is.
struct ViewProbe: ~Copyable {
    private let refused = UnsafeMutablePointer<UInt64>.allocate(capacity: DropReason.count)
    private let accepts = UnsafeMutablePointer<UInt64>.allocate(capacity: View.allCases.count)
    /// Of all that was read.
    private(set) var digest: UInt64 = 0
    /// What is wrong with what a view accepted; the first such thing.
    private(set) var wrong: StaticString?

    enum View: Int, CaseIterable { case ipv4, ipv6, upperLayer, udp, icmpv4, icmpv6, gre, minimal, mobileTunnelData }

    init() {
        refused.initialize(repeating: 0, count: DropReason.count)
        accepts.initialize(repeating: 0, count: View.allCases.count)
    }

    deinit {
        refused.deallocate()
        accepts.deallocate()
    }

    func refusals(_ reason: DropReason) -> UInt64 { refused[Int(reason.rawValue)] }
    func accepted(_ view: View) -> UInt64 { accepts[view.rawValue] }

    /// Reads all that can be read.
    /// - Returns: false where a view accepts what it must not; `wrong` then says what.
    mutating func read(_ bytes: UnsafeRawBufferPointer) -> Bool {
        readIPv4(bytes)
        readIPv6(bytes)
        readUpperLayers(bytes)
        return wrong == nil
    }

    private mutating func readIPv4(_ bytes: UnsafeRawBufferPointer) {
        do throws(DropReason) {
            let view = try IPv4View(bytes)
            accept(.ipv4)
            check(view.headerLength >= 20 && view.headerLength <= view.totalLength, "an IPv4 header beyond its packet")
            inside(view.payload, bytes, view.headerLength, view.totalLength, "an IPv4 payload outside")
            add(UInt64(view.trafficClass.rawValue) + UInt64(view.identification) + UInt64(view.timeToLive))
            add(UInt64(view.source.rawValue) &+ UInt64(view.destination.rawValue) &+ UInt64(view.protocol))
            add((view.isFragment ? 1 : 0) + (view.isLaterFragment ? 2 : 0) + (view.dontFragment ? 4 : 0))
            let payload = view.payload
            if let udp = try? UDPView(payload) {
                add(udp.verifies(source: view.source, destination: view.destination) ? 1 : 0)
            }
            readUpperLayers(payload)
        } catch { refuse(error) }
    }

    private mutating func readIPv6(_ bytes: UnsafeRawBufferPointer) {
        do throws(DropReason) {
            let view = try IPv6View(bytes)
            accept(.ipv6)
            check(view.totalLength >= 40, "an IPv6 packet without its header")
            inside(view.payload, bytes, 40, view.totalLength, "an IPv6 payload outside")
            add(UInt64(view.trafficClass.rawValue) + UInt64(view.nextHeader) + UInt64(view.hopLimit))
            add(view.source.high &+ view.source.low &+ view.destination.high &+ view.destination.low)
            let upper = try view.upperLayer()
            accept(.upperLayer)
            check(upper.offset >= 40 && upper.offset <= view.totalLength, "an upper layer outside")
            add(UInt64(upper.protocol) + (upper.isLaterFragment ? 1 : 0))
            let payload = UnsafeRawBufferPointer(rebasing: bytes[upper.offset..<view.totalLength])
            if let icmp = try? ICMPv6View(payload) {
                add(icmp.verifies(source: view.source, destination: view.destination) ? 1 : 0)
            }
            readUpperLayers(payload)
        } catch { refuse(error) }
    }

    private mutating func readUpperLayers(_ bytes: UnsafeRawBufferPointer) {
        do throws(DropReason) {
            let view = try UDPView(bytes)
            accept(.udp)
            check(view.length >= 8, "a UDP datagram without its header")
            inside(view.payload, bytes, 8, view.length, "a UDP payload outside")
            add(UInt64(view.sourcePort) + UInt64(view.destinationPort) + UInt64(view.checksum))
        } catch { refuse(error) }
        do throws(DropReason) {
            let view = try ICMPv4View(bytes)
            accept(.icmpv4)
            add(UInt64(view.type) + UInt64(view.code) + UInt64(view.checksum) + UInt64(view.mtu))
            let quote = view.quote
            inside(quote, bytes, 8, min(8 + quote.count, bytes.count), "a quote outside")
        } catch { refuse(error) }
        do throws(DropReason) {
            let view = try ICMPv6View(bytes)
            accept(.icmpv6)
            add(UInt64(view.type) + UInt64(view.code) + (view.forbidsErrors ? 1 : 0) + UInt64(view.length))
        } catch { refuse(error) }
        do throws(DropReason) {
            let view = try GREView(bytes)
            accept(.gre)
            inside(view.payload, bytes, view.headerLength, view.length, "a GRE payload outside")
            add(UInt64(view.protocolType) + UInt64(view.key ?? 0) + UInt64(view.sequence ?? 0))
        } catch { refuse(error) }
        do throws(DropReason) {
            let view = try MinimalEncapsulationView(bytes)
            accept(.minimal)
            inside(view.payload, bytes, view.headerLength, view.length, "a minimal payload outside")
            add(UInt64(view.protocol) + UInt64(view.destination.rawValue) + UInt64(view.source?.rawValue ?? 0))
        } catch { refuse(error) }
        do throws(DropReason) {
            let view = try MobileTunnelDataView(bytes)
            accept(.mobileTunnelData)
            inside(view.payload, bytes, 4, view.length, "a Mobile Tunnel Data payload outside")
            add(UInt64(view.nextHeader))
        } catch { refuse(error) }
    }

    // MARK: Notes

    @inline(__always)
    private func accept(_ view: View) { accepts[view.rawValue] &+= 1 }

    @inline(__always)
    private func refuse(_ reason: DropReason) { refused[Int(reason.rawValue)] &+= 1 }

    @inline(__always)
    private mutating func add(_ value: UInt64) { digest = digest &* 31 &+ value }

    @inline(__always)
    private mutating func check(_ holds: Bool, _ what: StaticString) { if !holds { wrong = wrong ?? what } }

    /// That a part goes from one offset of the whole to another; its ends are read.
    @inline(__always)
    private mutating func inside(
        _ part: UnsafeRawBufferPointer, _ whole: UnsafeRawBufferPointer, _ from: Int, _ to: Int, _ what: StaticString
    ) {
        guard let start = part.baseAddress, let base = whole.baseAddress, start == base + from,
            part.count == to - from, to <= whole.count
        else { return check(false, what) }
        if let first = part.first, let last = part.last { add(UInt64(first) + UInt64(last)) }
    }
}
