/* The kernel's IPVS as keepalived knows it before it speaks netlink, for kernels that have none: each command
 * succeeds, and nothing comes of it. keepalived runs no checks where there is no IPVS. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* IP_VS_BASE_CTL and all that is counted from it (linux/ip_vs.h). */
static int is_of_ipvs(int level, int name) { return level == IPPROTO_IP && name >= 1088 && name < 1188; }

int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict length) {
    if (is_of_ipvs(level, name)) {
        memset(value, 0, *length);
        return 0;
    }
    int (*next)(int, int, int, void *, socklen_t *) = dlsym(RTLD_NEXT, "getsockopt");
    return next(fd, level, name, value, length);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
    if (is_of_ipvs(level, name)) return 0;
    int (*next)(int, int, int, const void *, socklen_t) = dlsym(RTLD_NEXT, "setsockopt");
    return next(fd, level, name, value, length);
}
