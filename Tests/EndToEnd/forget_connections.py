"""Has the kernel forget all that it knows of connections in this namespace: what `conntrack --flush` does.

IPCTNL_MSG_CT_DELETE without attributes (linux/netfilter/nfnetlink_conntrack.h), by netlink.
"""
import os
import socket
import struct

NETLINK_NETFILTER = 12
NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE = 1, 2
NLM_F_REQUEST, NLM_F_ACK = 1, 4
NLMSG_ERROR = 2

with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
    family = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
    header = struct.pack("=IHHII", 16 + len(family), NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
                         NLM_F_REQUEST | NLM_F_ACK, 1, 0)
    kernel.send(header + family)
    answer = kernel.recv(4096)
    _, kind, _, _, _, error = struct.unpack("=IHHIIi", answer[:20])
    if kind != NLMSG_ERROR or error != 0:
        raise SystemExit(f"connections were not forgotten: {os.strerror(-error)}")
