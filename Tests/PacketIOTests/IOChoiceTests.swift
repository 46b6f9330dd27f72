// Which port a choice makes where io_uring is there, forbidden or incomplete. What is forbidden is so by a filter on the
// test's thread.

import Glibc
import IOUring
import NetworkNamespace
import PacketBuffer
import TestThread
import Testing

@testable import PacketIO

@Suite(
    "Choice of a port",
    .enabled(if: NetworkNamespace.isAvailable, "\(NetworkNamespace.reason)"),
    .enabled(if: RefusedCall.isAvailable, "\(RefusedCall.reason)"))
struct IOChoiceTests {
    enum Outcome: Equatable, Sendable {
        case ioUring
        case systemCalls(fallback: IOUringError?)
        case error(String)
    }

    /// What the choice comes to, having moved a packet where there is a port.
    static func outcome(_ choice: IOChoice, refusing calls: [RefusedCall] = []) async throws -> Outcome {
        try await NetworkNamespace.run {
            let devices = Handover(try PortNetwork.makeDevices())
            let tap = try DeviceTap("home")
            return try TestThread(refusing: calls) {
                let chosen: ChosenPort
                do throws(PortError) {
                    chosen = try ChosenPort(
                        choice, devices: devices.take(), waker: try PortWaker(),
                        configuration: PortConfiguration(packetCapacity: 1500, slotCount: 8, batchCapacity: 4))
                } catch { return .error(error.description) }
                let outcome: Outcome =
                    switch chosen {
                    case .ioUring: .ioUring
                    case .systemCalls(_, let fallback): .systemCalls(fallback: fallback)
                    }
                var port = EitherPort(chosen)
                var batch = PacketBatch(capacity: 4)
                try tap.send(PortNetwork.packet(1))
                try port.receive(into: &batch, wait: true)
                guard batch.count == 1, Array(batch[0].bytes) == PortNetwork.packet(1) else {
                    return .error("no packet came")
                }
                port.complete(&batch)
                return outcome
            }.value()
        }
    }

    @Test("The names that operators use")
    func names() { #expect(IOChoice.allCases.map(\.rawValue) == ["automatic", "io_uring", "plain"]) }

    @Test("Where io_uring is there it is taken, unless plain system calls are asked for")
    func available() async throws {
        try PortNetwork.require(.ioUring)
        #expect(try await Self.outcome(.automatic) == .ioUring)
        #expect(try await Self.outcome(.ioUring) == .ioUring)
        #expect(try await Self.outcome(.systemCalls) == .systemCalls(fallback: nil))
    }

    @Test("Where io_uring is forbidden, automatic falls back and tells why", arguments: [EPERM, ENOSYS, ENOMEM])
    func forbidden(errorNumber: Int32) async throws {
        let calls = [RefusedCall.ringSetup(errorNumber)]
        let error = IOUringError(call: .setup, errorNumber: errorNumber)
        #expect(try await Self.outcome(.automatic, refusing: calls) == .systemCalls(fallback: error))
        #expect(try await Self.outcome(.systemCalls, refusing: calls) == .systemCalls(fallback: nil))
        #expect(try await Self.outcome(.ioUring, refusing: calls) == .error(error.description))
        if errorNumber == EPERM { #expect(error.description.contains("kernel.io_uring_disabled")) }
    }

    @Test(
        "Where the kernel lacks a part, automatic falls back and tells which",
        arguments: [
            (RefusedCall.Operation.probe, IOUringError(call: .multishotRead, errorNumber: ENOSYS)),
            (.bufferRing, IOUringError(call: .registerBufferRing, errorNumber: EINVAL)),
            (.files, IOUringError(call: .registerFiles, errorNumber: EINVAL)),
        ])
    func incomplete(operation: RefusedCall.Operation, error: IOUringError) async throws {
        try PortNetwork.require(.ioUring)
        let calls = [RefusedCall.ringRegister(operation, EINVAL)]
        #expect(try await Self.outcome(.automatic, refusing: calls) == .systemCalls(fallback: error))
        #expect(try await Self.outcome(.ioUring, refusing: calls) == .error(error.description))
    }

    @Test("A ring that can't be entered gives an error, and its port ends", arguments: [EPERM, EBADFD, EINVAL])
    func entering(errorNumber: Int32) async throws {
        try PortNetwork.require(.ioUring)
        let error = try await NetworkNamespace.run {
            let network = Handover(try PortNetwork(.ioUring))
            return try TestThread(refusing: [.ringEnter(errorNumber)]) { () -> String? in
                var network = network.take()
                do throws(PortError) { try network.port.receive(into: &network.batch, wait: true) } catch {
                    return error.description
                }
                return nil
            }.value()
        }
        #expect(error == IOUringError(call: .submit, errorNumber: errorNumber).description)
    }

    @Test("A kernel that is short of memory for now makes no error")
    func shortOfMemory() async throws {
        try PortNetwork.require(.ioUring)
        let isEmpty = try await NetworkNamespace.run {
            let network = Handover(try PortNetwork(.ioUring))
            return try TestThread(refusing: [.ringEnter(ENOMEM)]) {
                var network = network.take()
                try network.port.receive(into: &network.batch, wait: true)
                return network.batch.isEmpty
            }.value()
        }
        #expect(isEmpty)
    }

    @Test("A ring that can't be enabled gives an error")
    func enabling() async throws {
        try PortNetwork.require(.ioUring)
        let error = try await NetworkNamespace.run {
            let network = Handover(try PortNetwork(.ioUring))
            return try TestThread(refusing: [.ringRegister(.enable, EPERM)]) { () -> String? in
                var network = network.take()
                do throws(PortError) { try network.port.receive(into: &network.batch, wait: true) } catch {
                    return error.description
                }
                return nil
            }.value()
        }
        #expect(error == IOUringError(call: .enable, errorNumber: EPERM).description)
    }
}
