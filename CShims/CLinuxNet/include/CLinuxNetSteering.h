// Programs in the kernel: that by which a TUN device with several queues chooses one for a packet (TUNSETSTEERINGEBPF),
// that which pushes headers, and those that take tunnelled super-frames whole. bpf(2) has no function in the C library,
// and takes a union, neither of which Swift can call. It can go when Swift has bpf(2).
// Each returns what it was asked for or 0, or a negative error number.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What a program is run on: enum bpf_prog_type of linux/bpf.h.
enum clinuxnet_bpf_type { CLINUXNET_BPF_SOCKET_FILTER = 1, CLINUXNET_BPF_SCHED_CLS = 3 };

// Loads a program of so many instructions of eight bytes each (linux/bpf.h, struct bpf_insn); `name` has 15 bytes at most.
// Returns its descriptor, which is closed on exec.
int clinuxnet_bpf_load(enum clinuxnet_bpf_type type, const char *name, const uint64_t *instructions, uint32_t count);

// Has a CLINUXNET_BPF_SCHED_CLS program see all packets that come in by a device, behind those programs that are there.
// Returns a descriptor; the program is there until that is closed. -EINVAL before Linux 6.6.
int clinuxnet_tcx_attach(int program, uint32_t interface_index);

// The same before those programs that are there, of what comes in by the device or of what goes out.
int clinuxnet_tcx_attach_first(int program, uint32_t interface_index, bool is_egress);

// Runs a loaded program on a packet that begins with its IP header, and stores what it returns.
int clinuxnet_bpf_run(int program, const void *packet, size_t length, uint32_t *result);

// Has the device of an attached descriptor choose queues by a program; it keeps the program. -1 takes it away.
int clinuxnet_tun_steer(int descriptor, int program);
