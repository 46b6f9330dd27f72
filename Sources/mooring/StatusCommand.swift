import ArgumentParser
import ControlProtocol
import Glibc
import Wire

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Tell what mooringd runs, and on what.",
        discussion: """
            EXAMPLES:
              mooring status
              mooring status --json | jq .bindings
            """)

    @OptionGroup var common: ClientOptions

    func run() async throws {
        let client = try await common.connect()
        let status = try await client.status()
        await client.close()
        common.json ? Output.standard.json(Report(status)) : describe(status)
    }

    private func describe(_ status: ControlStatus) {
        let output = Output.standard
        output.line("mooringd \(status.version), process \(status.processID)")
        output.line("  up: \(durationText(seconds: status.uptimeMilliseconds / 1000))")
        let endpoints = status.endpoints.map { "\(IPv4Address(rawValue: $0))" }.joined(separator: ", ")
        output.line("  endpoints: \(endpoints.isEmpty ? "none" : endpoints)")
        output.line("  devices: home \(status.homeDevice), access \(status.accessDevice)")
        output.line("  io: \(status.io)\(status.ioReason.isEmpty ? "" : " (\(status.ioReason))")")
        if !status.offload.isEmpty {
            output.line(
                "  super-frames: \(status.offload)\(status.offloadReason.isEmpty ? "" : " (\(status.offloadReason))")")
        }
        if !status.accessOffload.isEmpty {
            let reason = status.accessOffloadReason
            output.line("  super-frames in tunnels: \(status.accessOffload)\(reason.isEmpty ? "" : " (\(reason))")")
        }
        if status.hasAccessReceiveDropped {
            output.line(
                "  dropped by the kernel on the way in by \(status.accessDevice): \(status.accessReceiveDropped)")
        }
        if !status.capabilities.isEmpty {
            output.line("  capabilities: \(status.capabilities), of workers \(status.workerCapabilities)")
        }
        let processors = status.processors.map(String.init).joined(separator: ", ")
        output.line("  workers: \(status.workers)" + (processors.isEmpty ? "" : ", on processors \(processors)"))
        output.line("  tunnel MTU: \(status.tunnelMtu) bytes")
        output.line("  bindings: \(status.bindings) of at most \(status.bindingLimit)")
        output.line("  prefixes: \(status.prefixes) of at most \(status.prefixLimit)")
        output.line(
            "  groups: \(status.groups), with \(countText(status.members, "member")) of at most \(status.memberLimit)")
        if status.hasCheckpoint { describe(status.checkpoint, output) }
    }

    private func describe(_ checkpoint: ControlCheckpointStatus, _ output: Output) {
        if let age = checkpoint.ageSeconds {
            output.line(
                "  checkpoint: \(durationText(seconds: age)) old, \(countText(checkpoint.bindings, "binding"))"
                    + (checkpoint.isOutdated ? ", changed since" : "") + ", \(checkpoint.path)")
        } else {
            output.line("  checkpoint: none written yet, \(checkpoint.path)")
        }
        if !checkpoint.error.isEmpty {
            output.line(
                "  checkpoint failed: \(checkpoint.error) (\(countText(checkpoint.failures, "failure")) so far)")
        }
    }

    private struct Report: Encodable {
        let version: String
        let processID: UInt64
        let uptimeMilliseconds: UInt64
        let endpoints: [String]
        let homeDevice: String
        let accessDevice: String
        let io: String
        let ioReason: String?
        let offload: String?
        let offloadReason: String?
        let accessOffload: String?
        let accessOffloadReason: String?
        let accessReceiveDropped: UInt64?
        let capabilities: String?
        let workerCapabilities: String?
        let workers: UInt32
        let processors: [UInt32]?
        let tunnelMTU: UInt32
        let bindings: UInt64
        let bindingLimit: UInt64
        let prefixes: UInt64
        let prefixLimit: UInt64
        let groups: UInt64
        let members: UInt64
        let memberLimit: UInt64
        let checkpoint: Checkpoint?

        struct Checkpoint: Encodable {
            let path: String
            let ageSeconds: UInt64?
            let timeMilliseconds: UInt64?
            let bindings: UInt64
            let bytes: UInt64
            let durationMilliseconds: UInt64
            let written: UInt64
            let failures: UInt64
            let error: String?
            let isOutdated: Bool

            init(_ checkpoint: ControlCheckpointStatus) {
                path = checkpoint.path
                ageSeconds = checkpoint.ageSeconds
                timeMilliseconds = checkpoint.timeMilliseconds == 0 ? nil : checkpoint.timeMilliseconds
                bindings = checkpoint.bindings
                bytes = checkpoint.bytes
                durationMilliseconds = checkpoint.durationMilliseconds
                written = checkpoint.written
                failures = checkpoint.failures
                error = checkpoint.error.isEmpty ? nil : checkpoint.error
                isOutdated = checkpoint.isOutdated
            }
        }

        init(_ status: ControlStatus) {
            version = status.version
            processID = status.processID
            uptimeMilliseconds = status.uptimeMilliseconds
            endpoints = status.endpoints.map { IPv4Address(rawValue: $0).description }
            homeDevice = status.homeDevice
            accessDevice = status.accessDevice
            io = status.io
            ioReason = status.ioReason.isEmpty ? nil : status.ioReason
            offload = status.offload.isEmpty ? nil : status.offload
            offloadReason = status.offloadReason.isEmpty ? nil : status.offloadReason
            accessOffload = status.accessOffload.isEmpty ? nil : status.accessOffload
            accessOffloadReason = status.accessOffloadReason.isEmpty ? nil : status.accessOffloadReason
            accessReceiveDropped = status.hasAccessReceiveDropped ? status.accessReceiveDropped : nil
            capabilities = status.capabilities.isEmpty ? nil : status.capabilities
            workerCapabilities = status.workerCapabilities.isEmpty ? nil : status.workerCapabilities
            workers = status.workers
            processors = status.processors.isEmpty ? nil : status.processors
            tunnelMTU = status.tunnelMtu
            bindings = status.bindings
            bindingLimit = status.bindingLimit
            prefixes = status.prefixes
            prefixLimit = status.prefixLimit
            groups = status.groups
            members = status.members
            memberLimit = status.memberLimit
            checkpoint = status.hasCheckpoint ? Checkpoint(status.checkpoint) : nil
        }
    }
}

extension ControlCheckpointStatus {
    /// Of the last that was written; nil where there is none.
    fileprivate var ageSeconds: UInt64? {
        guard timeMilliseconds > 0 else { return nil }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let milliseconds = UInt64(clamping: now.tv_sec) * 1000 + UInt64(now.tv_nsec) / 1_000_000
        return milliseconds > timeMilliseconds ? (milliseconds - timeMilliseconds) / 1000 : 0
    }
}
