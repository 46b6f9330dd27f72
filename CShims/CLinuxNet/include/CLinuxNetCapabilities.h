#pragma once
#include <stdint.h>

// Capabilities of the calling thread (capabilities(7)): system calls without a wrapper in the C library, and prctl(2),
// which is variadic, so that Swift can't call it. Bit n of a set is capability n. Each returns 0 or a negative error
// number, unless it says otherwise.

int clinuxnet_capabilities(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable);
int clinuxnet_set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable);

// 1 where the thread and what it executes may still come by the capability, 0 where not, -EINVAL behind the last that the
// kernel knows.
int clinuxnet_is_in_bounding_set(int capability);
int clinuxnet_drop_from_bounding_set(int capability);

int clinuxnet_clear_ambient_set(void);

// From now on no program that the thread executes gets more rights than it has (PR_SET_NO_NEW_PRIVS).
int clinuxnet_set_no_new_privileges(void);
