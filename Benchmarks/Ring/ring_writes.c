// What a write to a TUN device costs by io_uring, and what its options save: success without a completion, buffers that are
// registered, a ring that is. Batches of 256 writes with one submission each, as mooringd's port makes them, in turns with
// the plain kind, on one thread; its processor time is divided by the packets. The kernel drops them behind the device.
//
//     cc -O2 -o ring_writes Benchmarks/Ring/ring_writes.c -luring
//     unshare -n ./ring_writes [ROUNDS [BATCHES]]
//     ./ring_writes 25 1000 /dev/null          what the ring alone takes
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include <liburing.h>

enum { SLOTS = 1024, SLOT = 2048, BATCH = 256, WARM_UP = 20, ROUNDS = 64, DEFER_TASKRUN = 1 << 13 };

struct kind {
    const char *name;
    // IOSQE_CQE_SKIP_SUCCESS; RWF_NOWAIT, so that what is submitted is done; io_uring_register_buffers(3);
    // io_uring_register_ring_fd(3).
    bool skip, no_wait, fixed, registered;
};

static const struct kind kinds[] = {
    {"as it is", .skip = false},
    {"no completion", .skip = true},
    {"no completion, no wait", .skip = true, .no_wait = true},
    {"registered buffers", .fixed = true},
    {"both", .skip = true, .no_wait = true, .fixed = true},
    {"registered ring", .registered = true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static uint8_t *slots;

static void check(long result, const char *what) {
    if (result >= 0) return;
    fprintf(stderr, "ring_writes: %s: %s\n", what, strerror(result == -1 ? errno : (int)-result));
    exit(2);
}

static double processor_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int open_device(void) {
    struct ifreq request = {.ifr_name = "ring-writes", .ifr_flags = IFF_TUN | IFF_NO_PI};
    int descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    check(descriptor, "/dev/net/tun");
    check(ioctl(descriptor, TUNSETIFF, &request), "TUNSETIFF");
    request.ifr_flags = IFF_UP;
    check(ioctl(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
    return descriptor;
}

// UDP from 2001:db8::1 to 2001:db8::2, which is nobody's.
static void fill_slots(uint32_t length) {
    for (int slot = 0; slot < SLOTS; slot++) {
        uint8_t *packet = slots + slot * SLOT;
        uint16_t payload = (uint16_t)(length - 40);
        memset(packet, 0, SLOT);
        memcpy(packet, (uint8_t[]){0x60, 0, 0, 0, (uint8_t)(payload >> 8), (uint8_t)payload, 17, 64}, 8);
        for (int address = 8; address <= 24; address += 16) {
            memcpy(packet + address, (uint8_t[]){0x20, 0x01, 0x0d, 0xb8}, 4);
            packet[address + 15] = address == 8 ? 1 : 2;
        }
    }
}

// Nanoseconds a packet.
static double measure(struct kind kind, int file, uint32_t length, int batches) {
    struct io_uring ring;
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL
            | IORING_SETUP_CQSIZE,
        .cq_entries = 2 * SLOTS,
    };
    check(io_uring_queue_init_params(BATCH, &ring, &parameters), "io_uring");
    check(io_uring_register_files(&ring, &file, 1), "files");
    struct iovec memory = {slots, SLOTS * SLOT};
    if (kind.fixed) check(io_uring_register_buffers(&ring, &memory, 1), "buffers");
    if (kind.registered) check(io_uring_register_ring_fd(&ring), "ring");
    double start = 0;
    for (int batch = -WARM_UP; batch < batches; batch++) {
        if (batch == 0) start = processor_time();
        for (int i = 0; i < BATCH; i++) {
            int slot = ((batch + WARM_UP) * BATCH + i) % SLOTS;
            struct io_uring_sqe *write = io_uring_get_sqe(&ring);
            io_uring_prep_rw(
                kind.fixed ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE, write, 0, slots + slot * SLOT, length,
                (uint64_t)-1);
            write->flags = IOSQE_FIXED_FILE | (kind.skip ? IOSQE_CQE_SKIP_SUCCESS : 0);
            if (kind.no_wait) write->rw_flags = RWF_NOWAIT;
            io_uring_sqe_set_data64(write, (uint64_t)slot);
        }
        if (io_uring_submit_and_get_events(&ring) != BATCH) check(-EIO, "submission");
        struct io_uring_cqe *completion;
        unsigned head, count = 0;
        io_uring_for_each_cqe(&ring, head, completion) {
            if (completion->res != (int)length) check(completion->res < 0 ? completion->res : -EIO, "write");
            count++;
        }
        if (count != (kind.skip ? 0 : BATCH)) check(-EIO, "completions");
        io_uring_cq_advance(&ring, count);
    }
    double result = (processor_time() - start) / batches / BATCH;
    io_uring_queue_exit(&ring);
    return result;
}

static int ascending(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

int main(int count, char **arguments) {
    int rounds = count > 1 ? atoi(arguments[1]) : 9, batches = count > 2 ? atoi(arguments[2]) : 400;
    if (rounds < 1 || rounds > ROUNDS || batches < 1) return 2;
    int file = count > 3 ? open(arguments[3], O_WRONLY | O_CLOEXEC) : open_device();
    check(file, "file");
    slots = mmap(NULL, SLOTS * SLOT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (slots == MAP_FAILED) check(-1, "memory");
    for (uint32_t length = 66; length <= 1500; length += 1434) {
        double times[KINDS][ROUNDS], ratios[KINDS][ROUNDS];
        fill_slots(length);
        for (int round = 0; round < rounds; round++) {
            for (int i = 0; i < KINDS; i++) {
                times[i][round] = measure(kinds[i], file, length, batches);
                ratios[i][round] = times[i][round] / times[0][round];
            }
        }
        for (int i = 0; i < KINDS; i++) {
            qsort(times[i], (size_t)rounds, sizeof(double), ascending);
            qsort(ratios[i], (size_t)rounds, sizeof(double), ascending);
            printf("%u bytes, %s: %.0f ns, %.3f of the first (%.3f to %.3f)\n", length, kinds[i].name,
                times[i][rounds / 2], ratios[i][rounds / 2], ratios[i][0], ratios[i][rounds - 1]);
        }
    }
}
