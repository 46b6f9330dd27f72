// Programs of this project that the kernel runs on each packet of a device (CShims/PushProgram, CShims/TakeProgram). Loading
// one takes CAP_BPF and CAP_NET_ADMIN in the initial user namespace, attaching it Linux 6.6 (BPF_TCX_INGRESS, BPF_TCX_EGRESS).

import CLinuxNet
import Glibc

/// A program at its device, for as long as this lives.
struct KernelProgram: ~Copyable, Sendable {
    /// Which packets it sees, and when.
    enum Place: Sendable {
        /// What comes in, behind the programs that are there.
        case ingress
        /// What comes in, before those.
        case firstAtIngress
        /// What goes out, before those that are there.
        case firstAtEgress
    }

    private let program: Int32
    private let link: Int32

    /// Loads the program and attaches it.
    /// - Parameter name: by which `bpftool` shows it, of 15 bytes at the most.
    init(
        _ name: String, _ instructions: [UInt64], at place: Place, interfaceIndex: UInt32
    ) throws(KernelProgramError) {
        #if _endian(big)
            throw .unknownByteOrder
        #else
            let program = clinuxnet_bpf_load(
                CLINUXNET_BPF_SCHED_CLS, name, instructions, UInt32(instructions.count))
            guard program >= 0 else {
                switch -program {
                case EPERM, EACCES: throw .notPermitted
                default: throw .refused("bpf", errorNumber: -program)
                }
            }
            let link =
                switch place {
                case .ingress: clinuxnet_tcx_attach(program, interfaceIndex)
                case .firstAtIngress: clinuxnet_tcx_attach_first(program, interfaceIndex, false)
                case .firstAtEgress: clinuxnet_tcx_attach_first(program, interfaceIndex, true)
                }
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

/// A program can't be had at a device, or what belongs to it.
enum KernelProgramError: Error, Equatable, CustomStringConvertible {
    /// CAP_BPF is missing.
    case notPermitted
    /// CAP_NET_RAW is missing, or CAP_NET_ADMIN in the initial user namespace, by which a socket gets more memory than
    /// net.core.rmem_max (SO_RCVBUFFORCE).
    case noPacketSocket
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
        case .noPacketSocket:
            "no permission for a packet socket with its memory: give CAP_NET_RAW, and CAP_NET_ADMIN and CAP_BPF in the "
                + "initial user namespace, where those of another one do not count"
        case .tooOldKernel: "the kernel is older than 6.6"
        case .unknownByteOrder: "the machine is big-endian"
        case .refused(let call, let errorNumber): "\(call): \(String(cString: strerror(errorNumber)))"
        }
    }
}
