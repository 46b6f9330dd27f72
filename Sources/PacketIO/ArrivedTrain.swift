// A super-frame of UDP that came by the access device (TUN_F_USO4): datagrams of a UDP tunnel that left their sender together,
// or that the kernel joined as they arrived. The one read is what it saves. They are cut here, each into a slot of its own
// with headers of its own, so from then on each is a packet as any other, and is judged by itself.

import PacketBuffer
import Wire

/// The train that is being cut, if there is one. Where a batch is full the rest of it waits, and all that came behind it.
@usableFromInline
struct ArrivedTrain {
    /// Its slot goes back when all is cut.
    private var packet: Packet?
    /// Payload that has been cut off, in bytes.
    private var payload = 0

    init() {}

    /// Whether there is one.
    @usableFromInline var isUnderWay: Bool { packet != nil }

    /// Whether a packet is one.
    static func isTrain(_ packet: Packet) -> Bool {
        guard packet.segmentKind == SegmentKind.udp.rawValue, packet.ingress == .access else { return false }
        let start = UnsafeRawPointer(packet.start)
        return start.byte(0) >> 4 == 4 && start.byte(IPv4.Offset.protocol) == IPProtocol.udp
            && start.networkUInt16(at: IPv4.Offset.fragment) & ~IPv4.dontFragment == 0
            && Int(start.networkUInt16(at: IPv4.Offset.totalLength)) == packet.length
            && Int(packet.transportOffset) == Int(start.byte(0) & 0xF) * 4
    }

    /// Adds a super-frame to a batch that has room; of a train the datagrams, as far as there is place.
    /// - Returns: as `cut`.
    mutating func place(
        _ superFrame: Packet, into batch: inout PacketBatch, _ pool: inout PacketPool
    ) -> UInt32? {
        guard Self.isTrain(superFrame) else {
            batch.append(superFrame)
            return nil
        }
        precondition(packet == nil, "trains are cut one behind the other")
        packet = superFrame
        payload = 0
        return cut(into: &batch, &pool)
    }

    /// Cuts datagrams off into the batch, as many as there are slots and places for.
    /// - Parameter pool: its slots are the batch's from then on.
    /// - Returns: the train's own slot, when it is cut as a whole.
    mutating func cut(into batch: inout PacketBatch, _ pool: inout PacketPool) -> UInt32? {
        guard let packet else { return nil }
        guard
            let view = SuperFrameView(
                packet.bytes, isTCP: false, segmentSize: Int(packet.segmentSize),
                transportOffset: Int(packet.transportOffset))
        else { preconditionFailure("it was one when it was received") }
        while payload < view.payloadLength {
            guard !batch.isFull, let slot = pool.take() else { return nil }
            let start = pool.packetStart(slot)
            let length = view.writeDatagram(at: payload, to: start)
            payload += view.segmentSize
            batch.append(Packet(start: start, length: length, slot: slot, ingress: .access))
        }
        self.packet = nil
        return packet.slot
    }
}
