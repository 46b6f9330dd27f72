// Descriptors from one process to another (unix(7), SCM_RIGHTS), whose control messages are macros that Swift doesn't
// import, and files in memory (memfd_create(2)), which Swift's Glibc module leaves out. It can go when it has both.
// Each returns what it was asked for or 0, or a negative error number.
#pragma once
#include <stddef.h>
#include <stdint.h>

// How many descriptors a message has at the most.
enum { clinuxnet_rights_limit = 64 };

// Sends a message with descriptors, whole or not at all. A peer that is gone is -EPIPE, and no signal.
int clinuxnet_send_rights(int socket, const void *bytes, size_t length, const int *descriptors, uint32_t count);

// Receives a message: its length, 0 at the end. Stores its descriptors, `clinuxnet_rights_limit` at the most, which are
// closed on exec, and how many there are. Of a message that is longer or has more all are closed: -EMSGSIZE.
long clinuxnet_receive_rights(int socket, void *bytes, size_t capacity, int *descriptors, uint32_t *count);

// An empty file in memory, closed on exec. The name is for people who look at descriptors.
int clinuxnet_memory_file(const char *name);
