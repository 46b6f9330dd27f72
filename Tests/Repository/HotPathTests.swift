// The code of the forwarding loop: what the optimiser has made of it must call no function that counts references,
// allocates, checks for exclusive access, initialises lazily, looks up metadata or calls through a table. The tests
// begin with the loop, for both kinds of port, and follow every call in it but those of the list of cold functions.

import Foundation
import TestSupport
import Testing

@Suite("Code of the hot path")
struct HotPathTests {
    /// A function by how its mangled name begins, for it ends with its types.
    struct Function {
        let name: String
        let prefix: String
        let why: String

        init(_ name: String, _ prefix: String, _ why: String = "") {
            (self.name, self.prefix, self.why) = (name, prefix, why)
        }
    }

    /// A kind of port.
    struct Loop: CustomTestStringConvertible {
        let port: String
        /// What the mangled name of the loop has of the port's, whose other words it abbreviates.
        let mangledPort: String
        /// What the loop for this port must lead to, so that the walk can't miss what it is for.
        let calls: Set<String>

        var testDescription: String { port }
    }

    static let loops = [
        Loop(
            port: "IOUringPort", mangledPort: "IOUring",
            calls: ["io_uring_submit_and_get_events@plt", "io_uring_submit_and_wait@plt"]),
        Loop(port: "SystemCallPort", mangledPort: "SystemCall", calls: ["read@plt", "write@plt", "writev@plt"]),
    ]

    /// What every loop must lead to. Other functions are inlined into these.
    static let passed = [
        Function("Forwarder.process", "$s10Forwarding9ForwarderV7process"),
        Function("Forwarder.multiply", "$s10Forwarding9ForwarderV8multiply"),
        Function("Forwarder.takeInSequence", "$s10Forwarding9ForwarderV14takeInSequence"),
        Function("Forwarder.reassemble", "$s10Forwarding9ForwarderV10reassemble"),
        Function("Forwarder.takeOfLink", "$s10Forwarding9ForwarderV10takeOfLink"),
        Function("Forwarder.answer", "$s10Forwarding9ForwarderV6answer_7dropped"),
        Function("Forwarder.joinSegments", "$s10Forwarding9ForwarderV12joinSegments"),
        Function("Forwarder.joinTowardsTunnels", "$s10Forwarding9ForwarderV18joinTowardsTunnels"),
        Function("Forwarder.leaveWhole", "$s10Forwarding9ForwarderV10leaveWhole"),
        Function("Forwarder.publishCounters", "$s10Forwarding9ForwarderV15publishCounters"),
    ]

    /// Functions that are not followed.
    static let cold = [
        Function("IOUringPort.start", "$s8PacketIO11IOUringPortV5start", "once, when the worker begins"),
        Function("IOUringPort.sortRare", "$s8PacketIO11IOUringPortV8sortRare", "wake-ups, ends of pauses, errors"),
        Function("IOUringPort.readEnded", "$s8PacketIO11IOUringPortV9readEnded", "a standing read is to be made anew"),
        Function("IOUringPort.awaitWrites", "$s8PacketIO11IOUringPortV11awaitWrites", "a batch was too much"),
        Function("LostFrames.count", "$s8PacketIO10LostFramesV5count", "once in 64 turns the kernel is asked"),
        Function("Forwarder.inject", "$s10Forwarding9ForwarderV6inject", "the control plane sends"),
        Function("Forwarder.takeHandovers", "$s10Forwarding9ForwarderV13takeHandovers", "from another worker"),
        Function("Forwarder.handOver", "$s10Forwarding9ForwarderV8handOver", "to another worker"),
        Function("ForwardingLoop.obey", "$s8mooringd14ForwardingLoopV4obey", "it is told to rest or to end"),
        Function("ForwardingLoop.wakeOthers", "$s8mooringd14ForwardingLoopV10wakeOthers", "they got packets"),
        Function("ForwardingLoop.tellOfPunts", "$s8mooringd14ForwardingLoopV11tellOfPunts", "it gets packets"),
        Function(
            "ForwardingLoop.tellOfWaiting", "$s8mooringd14ForwardingLoopV13tellOfWaiting", "packets begin to wait"),
        Function("IOUringPort.submissionError", "$s8PacketIO11IOUringPortV15submissionError", "the port has failed"),
        Function(
            "SystemCallPort.readFailed", "$s8PacketIO14SystemCallPortV10readFailed", "a device is gone or failing"),
        Function("SystemCallPort.sleep", "$s8PacketIO14SystemCallPortV5sleep", "nothing is to be done"),
        Function("witness table of PortError as Error", "$s12PacketBuffer9PortErrorVACs0D0AAWl", "the port has failed"),
        Function("witness table of DropReason as Error", "$s4Wire10DropReasonOACs5ErrorAAWl", "made once, then a load"),
    ]

    /// Functions of libraries that may be called.
    static let allowed: Set = [
        // The kernel and the clock.
        "clock_gettime@plt", "io_uring_submit@plt", "io_uring_submit_and_get_events@plt",
        "io_uring_submit_and_wait@plt", "read@plt", "write@plt", "writev@plt", "$s5Glibc5errnos5Int32Vvg@plt",
        // Memory.
        "memcpy@plt", "memmove@plt", "memset@plt",
        // Where `throw` stands: loads a pointer that a debugger may have set.
        "swift_willThrowTypedImpl@plt",
        // Does not return.
        "__stack_chk_fail@plt",
    ]

    /// Bytes of what may be copied: a header, a record. The forwarder itself is more.
    static let copyLimit = 256

    @Test("the loop calls only what it may", arguments: loops)
    func loop(_ loop: Loop) async throws {
        let code = try await Disassembly(of: ReleaseBuild.path(of: "mooringd"))
        let roots = code.symbols.filter {
            $0.hasPrefix("$s8mooringd14ForwardingLoopV7forward") && $0.contains(loop.mangledPort)
        }
        #expect(roots.count == 1, "the loop, specialised for \(loop.port): \(roots)")
        let walk = try await HotPath(from: roots, in: code, passing: Self.cold.map(\.prefix))
        for function in Self.passed {
            #expect(walk.callers.keys.contains { $0.hasPrefix(function.prefix) }, "\(function.name) was not come upon")
        }
        for name in loop.calls { #expect(walk.others.keys.contains(.function(name)), "\(name) was not come upon") }
        for (callee, callers) in walk.others {
            if case .function(let name) = callee, Self.allowed.contains(name) { continue }
            if case .copy(let bytes) = callee, bytes < Self.copyLimit { continue }
            Issue.record(
                "\(callee) is called by \(callers.map(walk.path(to:)).sorted().joined(separator: "\nand by "))")
        }
    }

    @Test("what the loop must not call is found where it is called")
    func control() async throws {
        let code = try await Disassembly(of: ReleaseBuild.path(of: "mooringd"))
        // The table's own code is built without checks of exclusivity; the daemon's is not.
        let puts = ["$s10Forwarding12BindingTableC3put", "$s8mooringd6DaemonC3put"]
        let roots = code.symbols.filter { symbol in puts.contains { symbol.hasPrefix($0) } }
        let walk = try await HotPath(from: roots, in: code, passing: [""])
        for name in ["swift_release@plt", "swift_beginAccess@plt", "swift_isUniquelyReferenced_nonNull_native@plt"] {
            #expect(walk.others.keys.contains(.function(name)), "\(name)")
        }
    }
}

/// What the code of some functions comes to.
struct HotPath {
    /// The functions that were followed, and from where each was come upon first; nil for those it began with.
    private(set) var callers: [String: String?] = [:]
    /// Callees that can't be followed, and who calls them.
    private(set) var others: [Disassembly.Callee: Set<String>] = [:]

    /// Follows all calls from `roots`, except into functions whose symbols begin with one of `cold`.
    init(from roots: Set<String>, in code: Disassembly, passing cold: [String]) async throws {
        for root in roots { callers[root] = .some(nil) }
        var waiting = Array(roots)
        while let function = waiting.popLast() {
            for callee in try await code.callees(of: function) {
                guard case .function(let name) = callee, code.symbols.contains(name) else {
                    others[callee, default: []].insert(function)
                    continue
                }
                if callers.keys.contains(name) || cold.contains(where: { name.hasPrefix($0) }) { continue }
                callers[name] = function
                waiting.append(name)
            }
        }
    }

    /// The way on which a function was come upon.
    func path(to function: String) -> String {
        guard let caller = callers[function] ?? nil else { return function }
        return "\(path(to: caller)) → \(function)"
    }
}
