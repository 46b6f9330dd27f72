#define _GNU_SOURCE
#include "CLinuxNetThread.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

// As the kernel has it; glibc only since 2.41.
struct clinuxnet_attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

int clinuxnet_set_slice(int nice, unsigned long long slice) {
    struct clinuxnet_attributes attributes = {
        .size = sizeof attributes, .policy = SCHED_OTHER, .nice = nice, .runtime = slice};
    return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0 ? 0 : errno;
}

// More than the kernel can have (CONFIG_NR_CPUS).
#define PROCESSORS 8192

int clinuxnet_pin(unsigned int processor) {
    unsigned long set[PROCESSORS / (8 * sizeof(long))] = {0};
    if (processor >= PROCESSORS)
        return EINVAL;
    set[processor / (8 * sizeof(long))] = 1UL << processor % (8 * sizeof(long));
    return syscall(SYS_sched_setaffinity, 0, sizeof set, set) == 0 ? 0 : errno;
}

bool clinuxnet_may_run_on(unsigned int processor) {
    unsigned long set[PROCESSORS / (8 * sizeof(long))] = {0};
    if (processor >= PROCESSORS || syscall(SYS_sched_getaffinity, 0, sizeof set, set) < 0)
        return false;
    return set[processor / (8 * sizeof(long))] >> processor % (8 * sizeof(long)) & 1;
}
