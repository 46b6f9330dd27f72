// What a tunnel costs where the kernel does all of it, as a peer of mooringd in the same run: IPv6 in IPv4 (RFC 4213,
// 3), the binding by longest-prefix match, super-frames left whole. `encapsulate` goes on the egress of the device
// towards the care-of addresses, `decapsulate` on its ingress, at both ends of the tunnel; they share the bindings. It
// does what no benchmark may leave out (the source check, DSCP and ECN into the outer header) and no more: no ICMP
// errors, no counters, no other tunnel, no ECN on the way out. `Bench tun` compiles it with Swift's own clang.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

// What libbpf's headers would say, of which no more is needed: how a map is described, and functions by their numbers.
#define NUMBER(name, value) int (*name)[value]
#define TYPE(name, value) value *name
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*bpf_skb_store_bytes)(struct __sk_buff *, __u32 offset, const void *, __u32 length, __u64 flags) =
    (void *)BPF_FUNC_skb_store_bytes;
static long (*bpf_skb_adjust_room)(struct __sk_buff *, __s32 difference, __u32 mode, __u64 flags) =
    (void *)BPF_FUNC_skb_adjust_room;

// Since Linux 6.3; the headers of older distributions lack it.
#define DECAPSULATE_IPV6 (1ULL << 8)

struct prefix {
    __u32 length;
    __u8 address[16];
};

// The outer addresses, in the order of the network.
struct binding {
    __u32 endpoint, care_of_address;
};

__attribute__((section(".maps"), used)) struct {
    NUMBER(type, BPF_MAP_TYPE_LPM_TRIE);
    NUMBER(max_entries, 1 << 20);
    NUMBER(map_flags, BPF_F_NO_PREALLOC);
    TYPE(key, struct prefix);
    TYPE(value, struct binding);
} bindings;

static inline __attribute__((always_inline)) struct binding *binding_of(const struct in6_addr *address)
{
    struct prefix key = {.length = 128};
    __builtin_memcpy(key.address, address, 16);
    return bpf_map_lookup_elem(&bindings, &key);
}

__attribute__((section("tc"), used))
int encapsulate(struct __sk_buff *packet)
{
    struct ethhdr *ethernet = (void *)(long)packet->data;
    struct ipv6hdr *inner = (void *)(ethernet + 1);
    if ((void *)(inner + 1) > (void *)(long)packet->data_end || ethernet->h_proto != __builtin_bswap16(ETH_P_IPV6))
        return TC_ACT_UNSPEC;
    struct binding *binding = binding_of(&inner->daddr);
    if (!binding)
        return TC_ACT_UNSPEC;
    struct iphdr outer = {
        .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_IPV6, .frag_off = __builtin_bswap16(0x4000),
        .tos = inner->priority << 4 | inner->flow_lbl[0] >> 4,
        .tot_len = __builtin_bswap16(__builtin_bswap16(inner->payload_len) + sizeof *inner + sizeof outer),
        .saddr = binding->endpoint, .daddr = binding->care_of_address};
    __u32 sum = 0;
    const __u16 *words = (const __u16 *)&outer;
#pragma unroll
    for (int i = 0; i < 10; i++)
        sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    outer.check = ~(sum + (sum >> 16));
    if (bpf_skb_adjust_room(packet, sizeof outer, BPF_ADJ_ROOM_MAC,
                            BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_FIXED_GSO))
        return TC_ACT_SHOT;
    __be16 type = __builtin_bswap16(ETH_P_IP);
    if (bpf_skb_store_bytes(packet, sizeof *ethernet, &outer, sizeof outer, 0)
        || bpf_skb_store_bytes(packet, sizeof *ethernet - sizeof type, &type, sizeof type, 0))
        return TC_ACT_SHOT;
    return TC_ACT_UNSPEC;
}

__attribute__((section("tc"), used))
int decapsulate(struct __sk_buff *packet)
{
    struct ethhdr *ethernet = (void *)(long)packet->data;
    struct iphdr *outer = (void *)(ethernet + 1);
    struct ipv6hdr *inner = (void *)(outer + 1);
    if ((void *)(inner + 1) > (void *)(long)packet->data_end || ethernet->h_proto != __builtin_bswap16(ETH_P_IP)
        || outer->protocol != IPPROTO_IPV6 || outer->ihl != 5)
        return TC_ACT_UNSPEC;
    struct binding *binding = binding_of(&inner->saddr);
    if (!binding || binding->care_of_address != outer->saddr || binding->endpoint != outer->daddr)
        return TC_ACT_UNSPEC;
    if (bpf_skb_adjust_room(packet, -(int)sizeof *outer, BPF_ADJ_ROOM_MAC, DECAPSULATE_IPV6 | BPF_F_ADJ_ROOM_FIXED_GSO))
        return TC_ACT_SHOT;
    __be16 type = __builtin_bswap16(ETH_P_IPV6);
    if (bpf_skb_store_bytes(packet, sizeof *ethernet - sizeof type, &type, sizeof type, 0))
        return TC_ACT_SHOT;
    return TC_ACT_UNSPEC;
}
