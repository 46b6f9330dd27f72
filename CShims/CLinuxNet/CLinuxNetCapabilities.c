#define _GNU_SOURCE
#include "CLinuxNetCapabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result_of(long result)
{
    return result < 0 ? -errno : (int)result;
}

int clinuxnet_capabilities(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct halves[_LINUX_CAPABILITY_U32S_3] = { { 0 } };
    int result = result_of(syscall(SYS_capget, &header, halves));
    if (result < 0)
        return result;
    *effective = halves[0].effective | (uint64_t)halves[1].effective << 32;
    *permitted = halves[0].permitted | (uint64_t)halves[1].permitted << 32;
    *inheritable = halves[0].inheritable | (uint64_t)halves[1].inheritable << 32;
    return 0;
}

int clinuxnet_set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct halves[_LINUX_CAPABILITY_U32S_3];
    for (int half = 0; half < _LINUX_CAPABILITY_U32S_3; half++) {
        halves[half].effective = (uint32_t)(effective >> 32 * half);
        halves[half].permitted = (uint32_t)(permitted >> 32 * half);
        halves[half].inheritable = (uint32_t)(inheritable >> 32 * half);
    }
    return result_of(syscall(SYS_capset, &header, halves));
}

int clinuxnet_is_in_bounding_set(int capability)
{
    return result_of(prctl(PR_CAPBSET_READ, capability, 0, 0, 0));
}

int clinuxnet_drop_from_bounding_set(int capability)
{
    return result_of(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0));
}

int clinuxnet_clear_ambient_set(void)
{
    return result_of(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
}

int clinuxnet_set_no_new_privileges(void)
{
    return result_of(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}
