// Echo requests to the endpoint (RFC 792): the endpoint address belongs to no interface of the host, so the forwarder
// answers, and an operator who pings a tunnel endpoint learns that the forwarder behind it is alive.

import PacketBuffer
import Wire

extension Forwarder {
    /// Turns an echo request into its reply, in its own slot.
    /// - Throws: why the message is dropped instead.
    @inline(never)
    mutating func answerEcho(
        _ packet: inout Packet, _ request: IPv4View, _ message: ICMPv4View
    ) throws(DropReason) {
        guard message.type == ICMPv4.echoRequest, message.code == 0 else { throw .icmpv4Ignored }
        var header = IPv4Header(protocol: IPProtocol.icmpv4, source: request.destination, destination: request.source)
        header.trafficClass = request.trafficClass
        header.totalLength = UInt16(IPv4.minimumHeaderLength + message.length)
        header.identification = nextIdentification(to: request.source)
        header.timeToLive = timeToLive

        // Options are not sent back: the new header ends where the message begins.
        let options = request.headerLength - IPv4.minimumHeaderLength
        packet.length = request.totalLength
        packet.removeFirst(options)
        header.write(to: packet.start)
        let reply = packet.start + IPv4.minimumHeaderLength
        reply.storeByte(ICMPv4.echoReply, at: ICMPv4.Offset.type)
        // Made anew: a checksum that is only updated (RFC 1624) comes out wrong where all else is zero.
        reply.storeNetwork(UInt16(0), at: ICMPv4.Offset.checksum)
        var sum = InternetChecksum()
        sum.add(UnsafeRawBufferPointer(start: reply, count: message.length))
        reply.storeNetwork(sum.checksum, at: ICMPv4.Offset.checksum)

        count(CounterIndex.absorbed)
        count(CounterIndex.generated, .access)
        transmit(&packet, to: .access)
    }
}
