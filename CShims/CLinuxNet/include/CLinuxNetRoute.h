// rtnetlink: the kernel's own headers for links, addresses, neighbours, routes and policy rules, which Swift's Glibc module leaves
// out. Structures and enumerations come through as they are; what Swift can't import (casts within a macro) is written
// out below. It can go when the Glibc module covers <linux/rtnetlink.h>.
#pragma once
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
