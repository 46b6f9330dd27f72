// The least that a user-space forwarder on TUN devices can do, as a yardstick for mooringd in the same run: read a
// packet, put a fixed IPv4 header before it or take the outer header off, write it. No check, no look-up, no counter.
//
//     yardstick HOME-DEVICE ACCESS-DEVICE OUTER-SOURCE OUTER-DESTINATION plain|io_uring
//
// The devices must be there and set up. It forwards until it is told to end.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <liburing.h>

enum { HEADER = 20, HEADROOM = 64, SLOT = 2048, SLOTS = 512, BATCH = 128, READ_MULTISHOT = 49 };
enum { HOME = 0, ACCESS = 1, WRITE = 2 };

static uint8_t slots[2][SLOTS][SLOT];
static uint8_t outer_header[HEADER] = {0x45, [8] = 64, [9] = 41};
static uint16_t identification;

static void fail(const char *what) {
    fprintf(stderr, "yardstick: %s: %s\n", what, strerror(errno));
    exit(2);
}

static int open_device(const char *name) {
    struct ifreq request = {0};
    int descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0 || strlen(name) >= IFNAMSIZ) fail(name);
    strcpy(request.ifr_name, name);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    // The kernel lets go of a ring's device some time after its process has ended.
    for (int tries = 0; ioctl(descriptor, TUNSETIFF, &request) < 0; tries++) {
        if (errno != EBUSY || tries == 250) fail(name);
        usleep(20000);
    }
    return descriptor;
}

// Turns a packet in a slot into the one to be written; returns false where there is nothing to write.
static bool forward(int side, uint8_t **start, uint32_t *length) {
    if (side == ACCESS) {
        if (*length < HEADER + 40 || (*start)[9] != 41) return false;
        *start += HEADER;
        *length -= HEADER;
        return true;
    }
    if (*length < 40 || **start >> 4 != 6) return false;
    uint8_t *header = *start -= HEADER;
    *length += HEADER;
    memcpy(header, outer_header, HEADER);
    uint16_t fields[2] = {htons((uint16_t)*length), htons(++identification)};
    memcpy(header + 2, fields, sizeof fields);
    uint32_t sum = 0;
    for (int i = 0; i < HEADER; i += 2) sum += (uint32_t)header[i] << 8 | header[i + 1];
    sum = (sum & 0xFFFF) + (sum >> 16);
    uint16_t checksum = htons((uint16_t)~(sum + (sum >> 16)));
    memcpy(header + 10, &checksum, sizeof checksum);
    return true;
}

static void run_plain(const int devices[2]) {
    struct pollfd polled[2] = {{devices[HOME], POLLIN, 0}, {devices[ACCESS], POLLIN, 0}};
    for (;;) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR) fail("poll");
        for (int side = HOME; side <= ACCESS; side++) {
            for (int i = 0; i < BATCH; i++) {
                uint8_t *start = slots[side][0] + HEADROOM;
                ssize_t count = read(devices[side], start, SLOT - HEADROOM);
                if (count <= 0) break;
                uint32_t length = (uint32_t)count;
                if (forward(side, &start, &length) && write(devices[!side], start, length) < 0) continue;
            }
        }
    }
}

static struct io_uring ring;
static struct io_uring_buf_ring *buffers[2];

static struct io_uring_sqe *entry(void) {
    struct io_uring_sqe *result = io_uring_get_sqe(&ring);
    if (result) return result;
    if (io_uring_submit(&ring) < 0 || !(result = io_uring_get_sqe(&ring))) fail("submission queue");
    return result;
}

static void arm(int side) {
    struct io_uring_sqe *read = entry();
    io_uring_prep_rw(READ_MULTISHOT, read, side, NULL, 0, (uint64_t)-1);
    read->flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    read->buf_group = (uint16_t)side;
    io_uring_sqe_set_data64(read, (uint64_t)side);
}

static void give(int side, int slot) {
    io_uring_buf_ring_add(
        buffers[side], slots[side][slot] + HEADROOM, SLOT - HEADROOM, (uint16_t)slot,
        io_uring_buf_ring_mask(SLOTS), 0);
    io_uring_buf_ring_advance(buffers[side], 1);
}

static void complete(struct io_uring_cqe *completion) {
    uint64_t data = io_uring_cqe_get_data64(completion);
    int side = data & 1, slot = (int)(data >> 32);
    if (data & WRITE) {
        give(side, slot);
        return;
    }
    bool ended = !(completion->flags & IORING_CQE_F_MORE);
    if (completion->flags & IORING_CQE_F_BUFFER) {
        slot = (int)(completion->flags >> IORING_CQE_BUFFER_SHIFT);
        uint8_t *start = slots[side][slot] + HEADROOM;
        uint32_t length = completion->res > 0 ? (uint32_t)completion->res : 0;
        if (forward(side, &start, &length)) {
            struct io_uring_sqe *write = entry();
            io_uring_prep_write(write, !side, start, length, 0);
            write->flags = IOSQE_FIXED_FILE;
            io_uring_sqe_set_data64(write, (uint64_t)slot << 32 | WRITE | (uint64_t)side);
        } else {
            give(side, slot);
        }
    }
    if (ended) arm(side);
}

static void run_io_uring(const int devices[2]) {
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
        .cq_entries = 4 * SLOTS,
    };
    if ((errno = -io_uring_queue_init_params(2 * SLOTS, &ring, &parameters))) fail("io_uring");
    if ((errno = -io_uring_register_files(&ring, devices, 2))) fail("files");
    for (int side = HOME; side <= ACCESS; side++) {
        size_t size = SLOTS * sizeof(struct io_uring_buf);
        if (posix_memalign((void **)&buffers[side], 4096, size)) fail("memory");
        memset(buffers[side], 0, size);
        struct io_uring_buf_reg registration = {
            .ring_addr = (uintptr_t)buffers[side], .ring_entries = SLOTS, .bgid = (uint16_t)side};
        if ((errno = -io_uring_register_buf_ring(&ring, &registration, 0))) fail("buffers");
        for (int slot = 0; slot < SLOTS; slot++) give(side, slot);
        arm(side);
    }
    for (;;) {
        int result = io_uring_submit_and_wait(&ring, 1);
        if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY) {
            errno = -result;
            fail("submission");
        }
        struct io_uring_cqe *completion;
        unsigned head, count = 0;
        io_uring_for_each_cqe(&ring, head, completion) {
            complete(completion);
            count++;
        }
        io_uring_cq_advance(&ring, count);
    }
}

int main(int count, char **arguments) {
    if (count != 6) {
        fprintf(stderr, "usage: yardstick HOME ACCESS OUTER-SOURCE OUTER-DESTINATION plain|io_uring\n");
        return 2;
    }
    if (inet_pton(AF_INET, arguments[3], outer_header + 12) != 1
        || inet_pton(AF_INET, arguments[4], outer_header + 16) != 1)
        fail("not an IPv4 address");
    int devices[2] = {open_device(arguments[1]), open_device(arguments[2])};
    if (!strcmp(arguments[5], "io_uring")) run_io_uring(devices);
    run_plain(devices);
}
