#define _GNU_SOURCE
#include "CLinuxNetPacket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Offsets are from the IPv4 header. Fragments were put together before, so that the ports are there.
enum { port_of_filter = 4, type_of_filter = 8 };
static const struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 3),
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
    BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, 5),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 0, 4),
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFF),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

static int prepare(int descriptor, uint32_t interface, uint16_t udp_port, uint8_t icmp_type)
{
    struct sock_filter instructions[sizeof filter / sizeof filter[0]];
    memcpy(instructions, filter, sizeof filter);
    instructions[port_of_filter].k = udp_port;
    instructions[type_of_filter].k = icmp_type;
    struct sock_fprog program = { .len = sizeof filter / sizeof filter[0], .filter = instructions };
    if (setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        return -errno;
    int on = 1;
    if (setsockopt(descriptor, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0)
        return -errno;
    if (setsockopt(descriptor, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0)
        return -errno;
    // From here on packets come, and through the filter.
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = (int)interface
    };
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0)
        return -errno;
    // A group of one socket, for what groups can do: put fragments together.
    uint32_t group = (uint32_t)(PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_DEFRAG | PACKET_FANOUT_FLAG_UNIQUEID) << 16;
    if (setsockopt(descriptor, SOL_PACKET, PACKET_FANOUT, &group, sizeof group) != 0)
        return -errno;
    return 0;
}

int clinuxnet_packet_open(uint32_t interface, uint16_t udp_port, uint8_t icmp_type)
{
    int descriptor = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -errno;
    int result = prepare(descriptor, interface, udp_port, icmp_type);
    if (result < 0) {
        close(descriptor);
        return result;
    }
    return descriptor;
}

int clinuxnet_packet_join(int descriptor, uint32_t interface, const uint8_t *group, uint32_t group_length)
{
    if (group_length > clinuxnet_link_address_limit)
        return -EINVAL;
    struct packet_mreq request = {
        .mr_ifindex = (int)interface, .mr_type = PACKET_MR_MULTICAST, .mr_alen = (unsigned short)group_length
    };
    memcpy(request.mr_address, group, group_length);
    return setsockopt(descriptor, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) != 0 ? -errno : 0;
}

long clinuxnet_packet_receive(int descriptor, void *bytes, size_t capacity, uint8_t *address, uint32_t *address_length,
                              bool *needs_no_check)
{
    union {
        char space[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
        struct cmsghdr aligned;
    } control;
    struct sockaddr_ll source = { 0 };
    struct iovec part = { .iov_base = bytes, .iov_len = capacity };
    struct msghdr message = {
        .msg_name = &source, .msg_namelen = sizeof source, .msg_iov = &part, .msg_iovlen = 1,
        .msg_control = control.space, .msg_controllen = sizeof control.space
    };
    ssize_t length;
    do {
        message.msg_namelen = sizeof source;
        message.msg_controllen = sizeof control.space;
        length = recvmsg(descriptor, &message, 0);
        // What an interface that takes all frames hears of others is not for this machine.
    } while (length < 0 ? errno == EINTR : source.sll_pkttype == PACKET_OTHERHOST);
    if (length < 0)
        return -errno;
    *address_length = source.sll_halen < clinuxnet_link_address_limit ? source.sll_halen : clinuxnet_link_address_limit;
    memcpy(address, source.sll_addr, *address_length);
    *needs_no_check = false;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_PACKET || header->cmsg_type != PACKET_AUXDATA)
            continue;
        struct tpacket_auxdata data;
        memcpy(&data, CMSG_DATA(header), sizeof data);
        *needs_no_check = (data.tp_status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID)) != 0;
    }
    return length;
}

int clinuxnet_packet_send(int descriptor, uint32_t interface, const uint8_t *address, uint32_t address_length,
                          const void *bytes, size_t length)
{
    if (address_length > clinuxnet_link_address_limit)
        return -EINVAL;
    struct sockaddr_ll destination = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = (int)interface,
        .sll_halen = (unsigned char)address_length
    };
    memcpy(destination.sll_addr, address, address_length);
    ssize_t sent;
    do
        sent = sendto(descriptor, bytes, length, 0, (struct sockaddr *)&destination, sizeof destination);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

long clinuxnet_receive_unreachable(int descriptor, void *quote, size_t capacity, uint32_t *destination, uint8_t *code)
{
    while (true) {
        union {
            char space[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in)) + CMSG_SPACE(64)];
            struct cmsghdr aligned;
        } control;
        struct sockaddr_in sent_to = { 0 };
        struct iovec part = { .iov_base = quote, .iov_len = capacity };
        struct msghdr message = {
            .msg_name = &sent_to, .msg_namelen = sizeof sent_to, .msg_iov = &part, .msg_iovlen = 1,
            .msg_control = control.space, .msg_controllen = sizeof control.space
        };
        ssize_t length = recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return -errno;
        for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
            if (header->cmsg_level != IPPROTO_IP || header->cmsg_type != IP_RECVERR)
                continue;
            struct sock_extended_err error;
            memcpy(&error, CMSG_DATA(header), sizeof error);
            if (error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == ICMP_DEST_UNREACH) {
                *destination = sent_to.sin_addr.s_addr;
                *code = error.ee_code;
                return length;
            }
        }
    }
}
