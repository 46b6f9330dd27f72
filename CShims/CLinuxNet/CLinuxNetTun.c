#include "CLinuxNetTun.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

// Since Linux 6.2; the headers of older distributions lack them.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static int request_for(struct ifreq *request, const char *name)
{
    memset(request, 0, sizeof *request);
    if (strlen(name) >= IFNAMSIZ)
        return -ENAMETOOLONG;
    strcpy(request->ifr_name, name);
    return 0;
}

int clinuxnet_tun_attach(int descriptor, const char *name, bool exclusive, bool several_queues, int header_length)
{
    struct ifreq request;
    int result = request_for(&request, name);
    if (result < 0)
        return result;
    request.ifr_flags =
        IFF_TUN | IFF_NO_PI | (exclusive ? IFF_TUN_EXCL : 0) | (several_queues ? IFF_MULTI_QUEUE : 0) |
        (header_length > 0 ? IFF_VNET_HDR : 0);
    if (ioctl(descriptor, TUNSETIFF, &request) < 0)
        return -errno;
    if (header_length > 0 && ioctl(descriptor, TUNSETVNETHDRSZ, &header_length) < 0)
        return -errno;
    // A device that outlived its last user keeps that user's offloads, and would hand us super-frames.
    return ioctl(descriptor, TUNSETOFFLOAD, 0) < 0 ? -errno : 0;
}

int clinuxnet_tun_offload(int descriptor, bool tcp, bool udp)
{
    unsigned int offloads = tcp || udp ? TUN_F_CSUM : 0;
    if (tcp)
        offloads |= TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    if (udp)
        offloads |= TUN_F_USO4 | TUN_F_USO6;
    return ioctl(descriptor, TUNSETOFFLOAD, offloads) < 0 ? -errno : 0;
}

int clinuxnet_tun_header_length(int descriptor)
{
    struct ifreq request;
    memset(&request, 0, sizeof request);
    int length = 0;
    if (ioctl(descriptor, TUNGETIFF, &request) < 0)
        return -errno;
    if ((request.ifr_flags & IFF_VNET_HDR) == 0)
        return 0;
    return ioctl(descriptor, TUNGETVNETHDRSZ, &length) < 0 ? -errno : length;
}

int clinuxnet_tun_check(int descriptor)
{
    struct ifreq request;
    memset(&request, 0, sizeof request);
    return ioctl(descriptor, TUNGETIFF, &request) < 0 ? -errno : 0;
}

int clinuxnet_interface_mtu(const char *name)
{
    struct ifreq request;
    int result = request_for(&request, name);
    if (result < 0)
        return result;
    int socket_descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_descriptor < 0)
        return -errno;
    result = ioctl(socket_descriptor, SIOCGIFMTU, &request) < 0 ? -errno : request.ifr_mtu;
    close(socket_descriptor);
    return result;
}
