// The program that has the kernel put outer headers before whole super-frames (CShims/PushProgram/push.bpf.c), on the
// ingress of the access device: what mooringd writes there passes it within the write.

/// The program at its device, for as long as this lives.
struct PushProgram: ~Copyable, Sendable {
    private let program: KernelProgram

    /// Loads the program and attaches it, behind those that are there.
    /// - Throws: where super-frames must be cut.
    init(interfaceIndex: UInt32) throws(KernelProgramError) {
        program = try KernelProgram(
            "mooring_push", Self.instructions, at: .ingress, interfaceIndex: interfaceIndex)
    }
}
