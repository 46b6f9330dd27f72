// The program on the ingress of the access device that makes a tunnel of what mooringd writes there. A super-frame is written
// with its outer headers before it, as any packet; but the kernel would take it for a super-frame of those headers and refuse
// it. So the program takes them off and has the kernel put them on again as a tunnel's: then the super-frame stays whole on
// its way to the wire, and each segment gets the headers there (SKB_GSO_IPXIP4 and _GRE of linux/skbuff.h).
//
// The headers come with their packet, so none can meet another's, whatever was lost before. What is no super-frame passes, and
// so does a super-frame of UDP: it is a train of datagrams (Forwarder+Trains.swift), which the kernel takes as it is.
// What can't be made a tunnel of is dropped here: the kernel would not send it either.
//
// Scripts/compile-programs makes Sources/PacketIO/PushProgram+Instructions.swift of it.
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>

// What libbpf's bpf_helpers.h would say, of which no more is needed: functions of the kernel by their numbers.
static long (*bpf_skb_store_bytes)(struct __sk_buff *, __u32 offset, const void *, __u32 length, __u64 flags) =
    (void *)BPF_FUNC_skb_store_bytes;
static long (*bpf_skb_load_bytes)(const struct __sk_buff *, __u32 offset, void *, __u32 length) =
    (void *)BPF_FUNC_skb_load_bytes;
static long (*bpf_skb_adjust_room)(struct __sk_buff *, __s32 difference, __u32 mode, __u64 flags) =
    (void *)BPF_FUNC_skb_adjust_room;

// Since Linux 6.3; the headers of older distributions lack them.
#define DECAPSULATE_IPV4 (1ULL << 7)
#define DECAPSULATE_IPV6 (1ULL << 8)

// So that a super-frame is not taken apart twice where another mooringd takes over and both have this program there.
#define PUSHED 0x4D6F6F72

// Of all headers, in bytes: IPv4; with GRE; with GRE and a key.
enum { IN_IP = 20, IN_GRE = 24, IN_GRE_WITH_KEY = 28 };

static inline __attribute__((always_inline)) int push(struct __sk_buff *packet, const unsigned char *headers, int length, __u64 kind)
{
    unsigned char first;
    if (bpf_skb_load_bytes(packet, length, &first, 1))
        return TC_ACT_SHOT;
    __u64 inner = first >> 4 == 6 ? DECAPSULATE_IPV6 : DECAPSULATE_IPV4;
    if (bpf_skb_adjust_room(packet, -length, BPF_ADJ_ROOM_MAC, inner | BPF_F_ADJ_ROOM_FIXED_GSO))
        return TC_ACT_SHOT;
    if (bpf_skb_adjust_room(packet, length, BPF_ADJ_ROOM_MAC,
                            kind | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_FIXED_GSO))
        return TC_ACT_SHOT;
    return bpf_skb_store_bytes(packet, 0, headers, length, 0) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

__attribute__((section("tc"), used))
int mooring_push(struct __sk_buff *packet)
{
    if (packet->gso_size == 0 || packet->cb[4] == PUSHED)
        return TC_ACT_UNSPEC;
    packet->cb[4] = PUSHED;
    unsigned char headers[IN_GRE_WITH_KEY];
    if (bpf_skb_load_bytes(packet, 0, headers, sizeof headers))
        return TC_ACT_SHOT;
    switch (headers[9]) {
    case IPPROTO_IPIP:
    case IPPROTO_IPV6:
        return push(packet, headers, IN_IP, 0);
    case IPPROTO_GRE:
        if (headers[20] & 0x20)
            return push(packet, headers, IN_GRE_WITH_KEY, BPF_F_ADJ_ROOM_ENCAP_L4_GRE);
        return push(packet, headers, IN_GRE, BPF_F_ADJ_ROOM_ENCAP_L4_GRE);
    case IPPROTO_UDP:
        return TC_ACT_UNSPEC;
    default:
        return TC_ACT_SHOT;
    }
}
