#define _GNU_SOURCE
#include "CBenchmark.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// glibc's own implementations, under the names that it keeps for programs that wrap them.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static _Thread_local uint64_t allocations;

uint64_t mooring_allocation_count(void) { return allocations; }

void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    allocations++;
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    allocations++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    allocations++;
    *result = __libc_memalign(alignment, size);
    return *result ? 0 : ENOMEM;
}

int mooring_send_many(int socket, const void *payload, uint32_t length, uint32_t count) {
    struct iovec piece = {.iov_base = (void *)payload, .iov_len = length};
    struct mmsghdr messages[64] = {{{0}}};
    if (count > 64) count = 64;
    for (uint32_t i = 0; i < count; i++) {
        messages[i].msg_hdr.msg_iov = &piece;
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    return sendmmsg(socket, messages, count, 0);
}

static int own_namespace = -1;

static int enter(const char *network_namespace) {
    own_namespace = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int other = open(network_namespace, O_RDONLY | O_CLOEXEC);
    int result = own_namespace < 0 || other < 0 ? -1 : setns(other, CLONE_NEWNET);
    if (other >= 0) close(other);
    return result;
}

static void leave(void) {
    if (own_namespace >= 0 && setns(own_namespace, CLONE_NEWNET) != 0) abort();
    if (own_namespace >= 0) close(own_namespace);
    own_namespace = -1;
}

int mooring_udp6_in(const char *network_namespace) {
    int result = enter(network_namespace);
    if (result == 0) result = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int error = errno;
    leave();
    errno = error;
    return result;
}

#define CAPTURE_BLOCK (1u << 20)
#define CAPTURE_BLOCKS 32u

struct mooring_capture {
    int socket;
    uint8_t *ring;
    uint32_t next;
};

struct mooring_capture *mooring_capture_in(const char *network_namespace, const char *interface_name, int version) {
    uint16_t protocol = htons(version == 6 ? ETH_P_IPV6 : ETH_P_IP);
    struct mooring_capture *capture = calloc(1, sizeof *capture);
    if (!capture) return NULL;
    capture->ring = MAP_FAILED;
    int result = enter(network_namespace);
    if (result == 0) result = capture->socket = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (result >= 0) {
        struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = protocol};
        address.sll_ifindex = (int)if_nametoindex(interface_name);
        struct tpacket_req request = {
            .tp_block_size = CAPTURE_BLOCK, .tp_block_nr = CAPTURE_BLOCKS, .tp_frame_size = MOORING_CAPTURE_FRAME,
            .tp_frame_nr = CAPTURE_BLOCK / MOORING_CAPTURE_FRAME * CAPTURE_BLOCKS};
        int layout = TPACKET_V2;
        if (address.sll_ifindex == 0
            || setsockopt(capture->socket, SOL_PACKET, PACKET_VERSION, &layout, sizeof layout) != 0
            || setsockopt(capture->socket, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0
            || (capture->ring = mmap(
                    NULL, (size_t)CAPTURE_BLOCK * CAPTURE_BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, capture->socket, 0))
                == MAP_FAILED
            || bind(capture->socket, (struct sockaddr *)&address, sizeof address) != 0) {
            int error = errno;
            close(capture->socket);
            errno = error;
            result = -1;
        }
    }
    int error = errno;
    leave();
    if (result < 0) {
        if (capture->ring != MAP_FAILED) munmap(capture->ring, (size_t)CAPTURE_BLOCK * CAPTURE_BLOCKS);
        free(capture);
        capture = NULL;
    }
    errno = error;
    return capture;
}

long mooring_capture_next(struct mooring_capture *capture, void *packet, int64_t *time) {
    struct tpacket2_hdr *frame = (void *)(capture->ring + (size_t)capture->next * MOORING_CAPTURE_FRAME);
    if (!(__atomic_load_n(&frame->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) return -1;
    long length = frame->tp_snaplen;
    if (length > MOORING_CAPTURE_FRAME) length = 0;
    memcpy(packet, (uint8_t *)frame + frame->tp_net, (size_t)length);
    *time = (int64_t)frame->tp_sec * 1000000000 + frame->tp_nsec;
    __atomic_store_n(&frame->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    capture->next = (capture->next + 1) % (CAPTURE_BLOCK / MOORING_CAPTURE_FRAME * CAPTURE_BLOCKS);
    return length;
}

int mooring_send_from(
    int socket, const void *payloads, uint32_t length, const uint32_t *sources, uint32_t count, uint32_t destination,
    uint16_t port) {
    struct mmsghdr messages[MOORING_DATAGRAMS] = {{{0}}};
    struct iovec pieces[MOORING_DATAGRAMS];
    union {
        char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
        struct cmsghdr aligned;
    } controls[MOORING_DATAGRAMS] = {{{0}}};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(destination)};
    if (count > MOORING_DATAGRAMS) count = MOORING_DATAGRAMS;
    for (uint32_t i = 0; i < count; i++) {
        pieces[i] = (struct iovec){.iov_base = (char *)payloads + (size_t)i * length, .iov_len = length};
        struct msghdr *message = &messages[i].msg_hdr;
        *message = (struct msghdr){
            .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &pieces[i], .msg_iovlen = 1,
            .msg_control = controls[i].bytes, .msg_controllen = sizeof controls[i].bytes};
        struct cmsghdr *header = CMSG_FIRSTHDR(message);
        *header = (struct cmsghdr){
            .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO, .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo))};
        struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(sources[i])};
        memcpy(CMSG_DATA(header), &info, sizeof info);
    }
    return sendmmsg(socket, messages, count, 0);
}

int mooring_receive_many(int socket, void *payloads, uint32_t room, uint32_t *lengths, uint32_t count) {
    struct mmsghdr messages[MOORING_DATAGRAMS] = {{{0}}};
    struct iovec pieces[MOORING_DATAGRAMS];
    if (count > MOORING_DATAGRAMS) count = MOORING_DATAGRAMS;
    for (uint32_t i = 0; i < count; i++) {
        pieces[i] = (struct iovec){.iov_base = (char *)payloads + (size_t)i * room, .iov_len = room};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    int result = recvmmsg(socket, messages, count, MSG_DONTWAIT, NULL);
    for (int i = 0; i < result; i++) lengths[i] = messages[i].msg_len;
    return result;
}
