// The program that has the kernel put outer headers before whole super-frames (CShims/PushProgram/push.bpf.c), on the
// ingress of the access device: what mooringd writes there passes it within the write. Loading it takes CAP_BPF and
// CAP_NET_ADMIN in the initial user namespace, attaching it Linux 6.6 (BPF_TCX_INGRESS).

import CLinuxNet
import Glibc

/// The program at its device, for as long as this lives.
public struct PushProgram: ~Copyable, Sendable {
    private let program: Int32
    private let link: Int32

    /// Loads the program and attaches it, behind those that are there.
    /// - Throws: `PushProgramError`, where super-frames must be cut.
    init(interfaceIndex: UInt32) throws(PushProgramError) {
        #if _endian(big)
            throw .unknownByteOrder
        #else
            let program = clinuxnet_bpf_load(
                CLINUXNET_BPF_SCHED_CLS, "mooring_push", Self.instructions, UInt32(Self.instructions.count))
            guard program >= 0 else {
                switch -program {
                case EPERM, EACCES: throw .notPermitted
                default: throw .refused("bpf", errorNumber: -program)
                }
            }
            let link = clinuxnet_tcx_attach(program, interfaceIndex)
            guard link >= 0 else {
                close(program)
                throw link == -EINVAL ? .tooOldKernel : .refused("BPF_LINK_CREATE", errorNumber: -link)
            }
            self.program = program
            self.link = link
        #endif
    }

    deinit {
        close(link)
        close(program)
    }
}

/// Headers can't be pushed.
enum PushProgramError: Error, Equatable, CustomStringConvertible {
    /// CAP_BPF is missing.
    case notPermitted
    /// Older than 6.6.
    case tooOldKernel
    /// The program was compiled for machines of the other byte order.
    case unknownByteOrder
    /// Anything else that the kernel said.
    case refused(String, errorNumber: Int32)

    /// Says what to do.
    var description: String {
        switch self {
        case .notPermitted:
            "no permission to load a program: give CAP_BPF and CAP_NET_ADMIN in the initial user namespace and let "
                + "seccomp pass bpf(2)"
        case .tooOldKernel: "the kernel is older than 6.6"
        case .unknownByteOrder: "the machine is big-endian"
        case .refused(let call, let errorNumber): "\(call): \(String(cString: strerror(errorNumber)))"
        }
    }
}
