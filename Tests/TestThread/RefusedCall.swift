// System calls that fail, by a filter of seccomp(2) that holds for one thread and goes with it: so a test sees what
// happens where io_uring is forbidden or old, whatever the machine allows.

import Glibc

/// A system call and the error that it gets. The numbers of those here are the same on all architectures.
public struct RefusedCall: Sendable {
    let number: UInt32
    /// The second argument of the calls that are meant; nil for any.
    let operation: UInt32?
    let errorNumber: Int32

    /// io_uring_setup(2): no ring can be made.
    public static func ringSetup(_ errorNumber: Int32) -> RefusedCall {
        RefusedCall(number: 425, operation: nil, errorNumber: errorNumber)
    }

    /// io_uring_enter(2): nothing can be submitted or waited for.
    public static func ringEnter(_ errorNumber: Int32) -> RefusedCall {
        RefusedCall(number: 426, operation: nil, errorNumber: errorNumber)
    }

    /// io_uring_register(2) with one operation.
    public static func ringRegister(_ operation: Operation, _ errorNumber: Int32) -> RefusedCall {
        RefusedCall(number: 427, operation: operation.rawValue, errorNumber: errorNumber)
    }

    /// Operations of io_uring_register(2), from <linux/io_uring.h>.
    public enum Operation: UInt32, Sendable {
        /// Descriptors.
        case files = 2
        /// What the kernel knows.
        case probe = 8
        /// A ring that was made disabled.
        case enable = 12
        /// A ring of provided buffers.
        case bufferRing = 22
    }

    /// What to say where `isAvailable` is false.
    public static let reason = "needs a kernel with seccomp filters"

    /// Whether calls can be refused here, tried once.
    public static let isAvailable: Bool =
        (try? TestThread(refusing: [.ringSetup(EPERM)]) { true }.value()) ?? false

    /// Has the calls fail on the calling thread from now on.
    static func install(_ calls: [RefusedCall]) throws {
        // struct sock_filter of <linux/filter.h>.
        struct Instruction {
            var code: UInt16
            var jumpIfTrue: UInt8 = 0
            var jumpIfFalse: UInt8 = 0
            var value: UInt32
        }
        struct Program {
            var count: UInt16
            var instructions: UnsafeMutablePointer<Instruction>
        }
        let load: UInt16 = 0x20  // BPF_LD | BPF_W | BPF_ABS
        let jumpIfEqual: UInt16 = 0x15  // BPF_JMP | BPF_JEQ | BPF_K
        let give: UInt16 = 0x06  // BPF_RET | BPF_K
        var instructions: [Instruction] = []
        for call in calls {
            // Offsets into struct seccomp_data: the number, and the lower half of the second argument.
            instructions.append(Instruction(code: load, value: 0))
            instructions.append(
                Instruction(code: jumpIfEqual, jumpIfFalse: call.operation == nil ? 1 : 3, value: call.number))
            if let operation = call.operation {
                instructions.append(Instruction(code: load, value: 24))
                instructions.append(Instruction(code: jumpIfEqual, jumpIfFalse: 1, value: operation))
            }
            instructions.append(Instruction(code: give, value: 0x0005_0000 | UInt32(call.errorNumber)))
        }
        instructions.append(Instruction(code: give, value: 0x7fff_0000))

        typealias ProcessControl = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32
        guard let symbol = dlsym(nil, "prctl") else { throw TestThreadError(description: "no prctl") }
        let processControl = unsafeBitCast(symbol, to: ProcessControl.self)
        // PR_SET_NO_NEW_PRIVS, then PR_SET_SECCOMP with SECCOMP_MODE_FILTER; both hold for the calling thread.
        let status = instructions.withUnsafeMutableBufferPointer { buffer in
            var program = Program(count: UInt16(buffer.count), instructions: buffer.baseAddress!)
            return withUnsafeMutablePointer(to: &program) { program in
                processControl(38, 1, 0, 0, 0) == 0
                    && processControl(22, 2, UInt(bitPattern: program), 0, 0) == 0
            }
        }
        if !status { throw TestThreadError(description: "seccomp: \(String(cString: strerror(errno)))") }
    }
}
