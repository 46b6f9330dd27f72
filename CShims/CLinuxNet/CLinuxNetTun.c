#include "CLinuxNetTun.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

static int request_for(struct ifreq *request, const char *name)
{
    memset(request, 0, sizeof *request);
    if (strlen(name) >= IFNAMSIZ)
        return -ENAMETOOLONG;
    strcpy(request->ifr_name, name);
    return 0;
}

int clinuxnet_tun_attach(int descriptor, const char *name, bool exclusive, bool several_queues)
{
    struct ifreq request;
    int result = request_for(&request, name);
    if (result < 0)
        return result;
    request.ifr_flags =
        IFF_TUN | IFF_NO_PI | (exclusive ? IFF_TUN_EXCL : 0) | (several_queues ? IFF_MULTI_QUEUE : 0);
    if (ioctl(descriptor, TUNSETIFF, &request) < 0)
        return -errno;
    // A device that outlived its last user keeps that user's offloads, and would hand us super-frames.
    return ioctl(descriptor, TUNSETOFFLOAD, 0) < 0 ? -errno : 0;
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
