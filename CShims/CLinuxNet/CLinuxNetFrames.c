#include "CLinuxNetFrames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

// Since Linux 6.6; the headers of older distributions lack it.
enum { VNET_HEADER_SIZE = 24 };

static int set(int descriptor, int level, int option, int value)
{
    return setsockopt(descriptor, level, option, &value, sizeof value) != 0 ? -errno : 0;
}

static int prepare(int descriptor, uint32_t interface_index, uint32_t mark, int receive_limit)
{
    struct sock_filter instructions[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_MARK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mark, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFF),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog filter = { .len = sizeof instructions / sizeof instructions[0], .filter = instructions };
    if (setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
        return -errno;
    int result = set(descriptor, SOL_PACKET, VNET_HEADER_SIZE, clinuxnet_frame_header);
    if (result == 0)
        result = set(descriptor, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
    if (result == 0)
        result = set(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, receive_limit);
    if (result != 0)
        return result;
    // All protocols: such a socket sees a packet before the device's programs do, others behind them.
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)interface_index
    };
    return bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0 ? -errno : 0;
}

int clinuxnet_frames_open(uint32_t interface_index, uint32_t mark, int receive_limit)
{
    int descriptor = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -errno;
    int result = prepare(descriptor, interface_index, mark, receive_limit);
    if (result == 0)
        return descriptor;
    close(descriptor);
    return result;
}

int clinuxnet_frames_join(int descriptor, int group, int program)
{
    uint32_t type = PACKET_FANOUT_EBPF | (group < 0 ? PACKET_FANOUT_FLAG_UNIQUEID : 0);
    uint32_t wanted = type << 16 | (group < 0 ? 0 : (uint32_t)group);
    if (setsockopt(descriptor, SOL_PACKET, PACKET_FANOUT, &wanted, sizeof wanted) != 0)
        return -errno;
    uint32_t joined = 0;
    socklen_t length = sizeof joined;
    if (getsockopt(descriptor, SOL_PACKET, PACKET_FANOUT, &joined, &length) != 0)
        return -errno;
    if (group < 0) {
        int result = set(descriptor, SOL_PACKET, PACKET_FANOUT_DATA, program);
        if (result != 0)
            return result;
    }
    return (int)(joined & 0xFFFF);
}

int clinuxnet_frames_check(int descriptor, uint32_t interface_index)
{
    int header = 0;
    socklen_t length = sizeof header;
    if (getsockopt(descriptor, SOL_PACKET, VNET_HEADER_SIZE, &header, &length) != 0)
        return -errno;
    struct sockaddr_ll address = { 0 };
    length = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &length) != 0)
        return -errno;
    return header == clinuxnet_frame_header && address.sll_ifindex == (int)interface_index ? 0 : -EPROTO;
}

int clinuxnet_frames_dropped(int descriptor, uint32_t *count)
{
    struct tpacket_stats statistics = { 0 };
    socklen_t length = sizeof statistics;
    if (getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) != 0)
        return -errno;
    *count = statistics.tp_drops;
    return 0;
}
