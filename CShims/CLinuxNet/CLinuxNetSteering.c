#include "CLinuxNetSteering.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/if_tun.h>

static int call(enum bpf_cmd command, union bpf_attr *arguments)
{
    long result = syscall(SYS_bpf, command, arguments, sizeof *arguments);
    return result < 0 ? -errno : (int)result;
}

// Since Linux 6.6; the headers of older distributions lack them.
enum { TCX_INGRESS = 46, TCX_EGRESS = 47, BEFORE_ALL = 1 << 3 };

int clinuxnet_bpf_load(enum clinuxnet_bpf_type type, const char *name, const uint64_t *instructions, uint32_t count)
{
    union bpf_attr arguments;
    memset(&arguments, 0, sizeof arguments);
    arguments.prog_type = (enum bpf_prog_type)type;
    arguments.insns = (uintptr_t)instructions;
    arguments.insn_cnt = count;
    arguments.license = (uintptr_t)"Apache-2.0";
    strncpy(arguments.prog_name, name, sizeof arguments.prog_name - 1);
    // The verifier gives up with EAGAIN where a signal waits, which has been handled when the call comes back.
    int result = -EAGAIN;
    for (int attempt = 0; attempt < 16 && result == -EAGAIN; attempt++)
        result = call(BPF_PROG_LOAD, &arguments);
    return result;
}

static int attach(int program, uint32_t interface_index, uint32_t type, uint32_t flags)
{
    union bpf_attr arguments;
    memset(&arguments, 0, sizeof arguments);
    arguments.link_create.prog_fd = program;
    arguments.link_create.target_fd = interface_index;
    arguments.link_create.attach_type = (enum bpf_attach_type)type;
    arguments.link_create.flags = flags;
    return call(BPF_LINK_CREATE, &arguments);
}

int clinuxnet_tcx_attach(int program, uint32_t interface_index)
{
    return attach(program, interface_index, TCX_INGRESS, 0);
}

int clinuxnet_tcx_attach_first(int program, uint32_t interface_index, bool is_egress)
{
    return attach(program, interface_index, is_egress ? TCX_EGRESS : TCX_INGRESS, BEFORE_ALL);
}

int clinuxnet_bpf_run(int program, const void *packet, size_t length, uint32_t *result)
{
    // The kernel wants an Ethernet header, and takes it off before the program runs. Of IP it would want whole headers.
    unsigned char frame[2048] = { [12] = 0x88, [13] = 0xB5 };
    if (length > sizeof frame - 14)
        return -EMSGSIZE;
    memcpy(frame + 14, packet, length);
    union bpf_attr arguments;
    memset(&arguments, 0, sizeof arguments);
    arguments.test.prog_fd = program;
    arguments.test.data_in = (uintptr_t)frame;
    arguments.test.data_size_in = length + 14;
    int status = call(BPF_PROG_TEST_RUN, &arguments);
    *result = arguments.test.retval;
    return status;
}

int clinuxnet_tun_steer(int descriptor, int program)
{
    return ioctl(descriptor, TUNSETSTEERINGEBPF, &program) < 0 ? -errno : 0;
}
