// The programs at the access device that have mooringd get tunnelled super-frames whole. What the kernel sends to a TUN
// device it cuts first, since such a device can't say that a frame is a tunnel's (netif_skb_features and skb_gso_ok of
// linux/netdevice.h). But a packet socket gets it as it is, and virtio_net_hdr_from_skb asks only for what is inside. So the
// first program, at the device's egress, before the kernel cuts, leads packets of tunnels back in by the same device, where
// the socket sees them (net/core/dev.c: taps come before programs); and the second, at its ingress, ends them there, so that
// the host does not take them as well.
//
// That is so of all packets of IP-in-IP, protocol 41, and GRE without checksum and number, whatever their size, and of their
// fragments, so that none overtakes another of its flow. Of GRE a fragment that is not the first does not say which it is, so
// all of them go that way. What else is for the endpoint comes by the device's queue as ever.
//
// Scripts/compile-programs makes Sources/PacketIO/TakeProgram+Instructions.swift of it.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>

// What libbpf's bpf_helpers.h would say, of which no more is needed: functions of the kernel by their numbers.
static long (*bpf_skb_load_bytes)(const struct __sk_buff *, __u32 offset, void *, __u32 length) =
    (void *)BPF_FUNC_skb_load_bytes;
static long (*bpf_redirect)(__u32 interface, __u64 flags) = (void *)BPF_FUNC_redirect;

// By which the socket and the second program know a packet (`TakeProgram.mark`). What a process writes to a TUN device has
// none.
#define TAKEN 0x4D6F6F74

// Of a GRE header with a checksum or a number (RFC 2890), the upper byte.
#define GRE_DIFFERS 0x90

__attribute__((section("tc/lead"), used))
int mooring_lead(struct __sk_buff *packet)
{
    unsigned char header[20], flags;
    if (packet->protocol != __builtin_bswap16(ETH_P_IP) || bpf_skb_load_bytes(packet, 0, header, sizeof header))
        return TC_ACT_UNSPEC;
    switch (header[9]) {
    case IPPROTO_IPIP:
    case IPPROTO_IPV6:
        break;
    case IPPROTO_GRE:
        // Some came before.
        if (header[6] & 0x1F || header[7])
            break;
        if (bpf_skb_load_bytes(packet, (header[0] & 0xF) * 4, &flags, sizeof flags) || flags & GRE_DIFFERS)
            return TC_ACT_UNSPEC;
        break;
    default:
        return TC_ACT_UNSPEC;
    }
    // Where the second program is missing the host sends it here again.
    if (packet->mark == TAKEN)
        return TC_ACT_SHOT;
    packet->mark = TAKEN;
    return bpf_redirect(packet->ifindex, BPF_F_INGRESS);
}

__attribute__((section("tc/end"), used))
int mooring_end(struct __sk_buff *packet)
{
    return packet->mark == TAKEN ? TC_ACT_STOLEN : TC_ACT_UNSPEC;
}
