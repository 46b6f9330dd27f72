#define _GNU_SOURCE
#include "CLinuxNetRights.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int clinuxnet_send_rights(int socket, const void *bytes, size_t length, const int *descriptors, uint32_t count)
{
    union {
        char space[CMSG_SPACE(sizeof(int) * clinuxnet_rights_limit)];
        struct cmsghdr aligned;
    } control;
    if (count > clinuxnet_rights_limit)
        return -EMSGSIZE;
    memset(&control, 0, sizeof control);
    struct iovec part = { .iov_base = (void *)bytes, .iov_len = length };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    if (count > 0) {
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

long clinuxnet_receive_rights(int socket, void *bytes, size_t capacity, int *descriptors, uint32_t *count)
{
    union {
        char space[CMSG_SPACE(sizeof(int) * clinuxnet_rights_limit)];
        struct cmsghdr aligned;
    } control;
    struct iovec part = { .iov_base = bytes, .iov_len = capacity };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space
    };
    *count = 0;
    ssize_t length;
    do
        length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        // There is room: all of them came within as much as the most of them take.
        size_t found = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(descriptors + *count, CMSG_DATA(header), found * sizeof(int));
        *count += found;
    }
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        while (*count > 0)
            close(descriptors[--*count]);
        return -EMSGSIZE;
    }
    return length;
}

int clinuxnet_memory_file(const char *name)
{
    int descriptor = memfd_create(name, MFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}
