// The programs that lead packets of tunnels to sockets that take super-frames whole (CShims/TakeProgram/take.bpf.c).

/// The programs at the access device, for as long as this lives.
struct TakeProgram: ~Copyable, Sendable {
    /// What packets bear on their way to a socket (SO_MARK of socket(7)).
    static let mark: UInt32 = 0x4D6F_6F74

    private let end: KernelProgram
    private let lead: KernelProgram

    /// Loads the programs and attaches them, before those that are there. From then on packets of tunnels come by the
    /// sockets alone.
    init(interfaceIndex: UInt32) throws(KernelProgramError) {
        // Without it the host would take as well what the other leads in.
        let end = try KernelProgram(
            "mooring_end", Self.instructionsOfEnd, at: .firstAtIngress, interfaceIndex: interfaceIndex)
        lead = try KernelProgram(
            "mooring_lead", Self.instructionsOfLead, at: .firstAtEgress, interfaceIndex: interfaceIndex)
        self.end = end
    }
}
