// The program by which a TUN device with several queues chooses one for a packet (TUNSETSTEERINGEBPF): bpf(2) has no
// function in the C library, and takes a union, neither of which Swift can call. It can go when Swift has bpf(2).
// Each returns what it was asked for or 0, or a negative error number.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Loads a socket filter of so many instructions of eight bytes each (linux/bpf.h, struct bpf_insn).
// Returns its descriptor, which is closed on exec.
int clinuxnet_bpf_load(const uint64_t *instructions, uint32_t count);

// Runs a loaded program on a packet that begins with its IP header, and stores what it returns.
int clinuxnet_bpf_run(int program, const void *packet, size_t length, uint32_t *result);

// Has the device of an attached descriptor choose queues by a program; it keeps the program. -1 takes it away.
int clinuxnet_tun_steer(int descriptor, int program);
