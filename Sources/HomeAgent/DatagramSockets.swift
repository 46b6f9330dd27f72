// UDP sockets at port 434, where the home agent listens by itself: one for each of its addresses, which sends too, so
// that replies have that address as their source; and one for each broadcast address, which only receives (RFC 5944,
// 3.8.2.1). The kernel keeps a bounded queue of each; what it drops, `ss -u` shows.

import MobileIP
import NIOCore
import NIOPosix
import Wire

/// Sockets for datagrams.
final class DatagramSockets {
    /// Datagrams that one system call takes.
    private static let vectorLength = 64
    /// Of the kernel's queue, in bytes.
    private static let receiveBuffer: ChannelOptions.Types.SocketOption.Value = 4 << 20

    /// How long until a socket that can't be had again is tried once more.
    private static let retryInterval = TimeAmount.seconds(1)

    private let eventLoop: any EventLoop
    private let homeNetworks: [IPv4Prefix]
    private let received: (ReceivedDatagram) -> Void
    private var channels: [IPv4Address: any Channel] = [:]
    private var broadcasts: [IPv4Address: any Channel] = [:]
    private var isClosed = false

    private init(
        homeNetworks: [IPv4Prefix], eventLoop: any EventLoop, received: @escaping (ReceivedDatagram) -> Void
    ) {
        (self.homeNetworks, self.eventLoop, self.received) = (homeNetworks, eventLoop, received)
    }

    /// Opens the sockets.
    /// - Parameter received: called on the event loop for each datagram.
    /// - Throws: where a port can't be had.
    static func open(
        _ addresses: [IPv4Address], broadcasts: [IPv4Address], homeNetworks: [IPv4Prefix], on eventLoop: any EventLoop,
        received: @escaping (ReceivedDatagram) -> Void
    ) -> EventLoopFuture<NIOLoopBound<DatagramSockets>> {
        // Used on the event loop alone.
        nonisolated(unsafe) let sockets = DatagramSockets(
            homeNetworks: homeNetworks, eventLoop: eventLoop, received: received)
        let all = addresses.map { ($0, false) } + broadcasts.map { ($0, true) }
        let opened = all.map { address, isBroadcast in
            sockets.open(address, isBroadcast: isBroadcast).flatMapErrorThrowing { error in
                throw HomeAgentError(
                    "UDP port \(mobileIPPort) of \(address) can't be had: \(error); is the address there, does "
                        + "another program have it, and may this one (CAP_NET_BIND_SERVICE)?")
            }
        }
        return EventLoopFuture<Void>.andAllComplete(opened, on: eventLoop)
            .flatMap { EventLoopFuture<Void>.andAllSucceed(opened, on: eventLoop) }
            .map { NIOLoopBound(sockets, eventLoop: eventLoop) }
            .flatMapErrorThrowing { error in
                sockets.close()
                throw error
            }
    }

    /// Opens the socket of an address, and another whenever it was closed: NIO closes one that the kernel refuses a datagram
    /// from, be it that no route leads to one node, and others must not lose their home agent for that.
    private func open(_ address: IPv4Address, isBroadcast: Bool) -> EventLoopFuture<Void> {
        nonisolated(unsafe) let sockets = self
        return DatagramBootstrap(group: eventLoop)
            .channelOption(.socketOption(.so_reuseaddr), value: 0)
            .channelOption(.socketOption(.so_rcvbuf), value: Self.receiveBuffer)
            .channelOption(.datagramVectorReadMessageCount, value: Self.vectorLength)
            .channelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.vectorLength * 2048)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        DatagramReader(
                            destination: address, homeNetworks: sockets.homeNetworks, received: sockets.received))
                }
            }
            .bind(host: address.description, port: Int(mobileIPPort))
            .map { channel in
                guard !sockets.isClosed else { return channel.close(promise: nil) }
                if isBroadcast { sockets.broadcasts[address] = channel } else { sockets.channels[address] = channel }
                channel.closeFuture.whenComplete { _ in sockets.reopen(address, isBroadcast: isBroadcast) }
            }
    }

    private func reopen(_ address: IPv4Address, isBroadcast: Bool) {
        guard !isClosed else { return }
        if isBroadcast { broadcasts[address] = nil } else { channels[address] = nil }
        open(address, isBroadcast: isBroadcast).assumeIsolated().whenFailure { [self] _ in
            eventLoop.assumeIsolated().scheduleTask(in: Self.retryInterval) { [self] in
                reopen(address, isBroadcast: isBroadcast)
            }
        }
    }

    /// Sends datagrams.
    /// - Returns: how many can't be, for want of a socket; those that the kernel refuses are told to `failed`.
    func send(_ datagrams: [OutgoingDatagram], failed: @escaping (Int) -> Void) {
        var used: Set<IPv4Address> = []
        for datagram in datagrams {
            guard let channel = channels[datagram.source],
                let remote = try? SocketAddress(
                    ipAddress: datagram.destination.description, port: Int(datagram.destinationPort))
            else {
                failed(1)
                continue
            }
            used.insert(datagram.source)
            let promise = channel.eventLoop.makePromise(of: Void.self)
            promise.futureResult.assumeIsolated().whenFailure { _ in failed(1) }
            channel.write(
                AddressedEnvelope(remoteAddress: remote, data: ByteBuffer(bytes: datagram.payload)), promise: promise)
        }
        for address in used { channels[address]?.flush() }
    }

    /// Closes all.
    func close() {
        isClosed = true
        for channel in channels.values { channel.close(promise: nil) }
        for channel in broadcasts.values { channel.close(promise: nil) }
        (channels, broadcasts) = ([:], [:])
    }
}

/// Hands datagrams on.
private final class DatagramReader: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let destination: IPv4Address
    private let homeNetworks: [IPv4Prefix]
    private let received: (ReceivedDatagram) -> Void

    init(destination: IPv4Address, homeNetworks: [IPv4Prefix], received: @escaping (ReceivedDatagram) -> Void) {
        self.destination = destination
        self.homeNetworks = homeNetworks
        self.received = received
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard case .v4(let address) = envelope.remoteAddress else { return }
        let source = IPv4Address(rawValue: UInt32(bigEndian: address.address.sin_addr.s_addr))
        received(
            ReceivedDatagram(
                payload: Array(envelope.data.readableBytesView), source: source,
                sourcePort: UInt16(bigEndian: address.address.sin_port), destination: destination,
                side: homeNetworks.contains { $0.contains(source) } ? .home : .access))
    }

    /// Such as an ICMP error to something that was sent; the next datagram is not its fault.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
