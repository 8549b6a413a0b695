#include "segue/net/inherited.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/net/listener.h"
#include "segue/net/unix_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

struct inherited_sockets {
    size_t count;
    char **names;    /* NULL-terminated, as sd_listen_fds_with_names gives them */
    bool *was_asked; /* for each */
};

struct inherited_sockets *inherited_take(void)
{
    struct inherited_sockets *sockets = NEW(struct inherited_sockets);
    int count = sd_listen_fds_with_names(1, &sockets->names);
    if (count < 0)
        log_warning(NULL, "the sockets that were handed over cannot be had: %s", strerror(-count));
    sockets->count = count > 0 ? (size_t)count : 0;
    sockets->was_asked = NEW_ARRAY(bool, sockets->count + 1);
    return sockets;
}

static int descriptor(size_t index)
{
    return SD_LISTEN_FDS_START + (int)index;
}

static bool is_unix_socket(int fd, const char *directory, int port)
{
    struct unix_socket_name name;
    if (!unix_socket_name(directory, port, &name))
        return false;
    /* the length tells an abstract name, which is not NUL-terminated */
    size_t length = unix_socket_is_abstract(directory)
                        ? name.length - offsetof(struct sockaddr_un, sun_path)
                        : 0;
    return sd_is_socket_unix(fd, SOCK_STREAM, 1, name.address.sun_path, length) > 0;
}

static bool has_address(int fd, const char *address, int port)
{
    if (unix_socket_is_meant(address))
        return is_unix_socket(fd, address, port);
    struct sockaddr_storage place = {0};
    size_t length;
    return listener_address(address, port, &place, &length) &&
           sd_is_socket_sockaddr(fd, SOCK_STREAM, (struct sockaddr *)&place, (unsigned)length, 1) >
               0;
}

/* The address first: systemd names a socket by its unit where the unit gives no name. */
static bool is_for(const struct inherited_sockets *sockets, size_t index, const char *name,
                   const char *address, int port)
{
    return has_address(descriptor(index), address, port) ||
           (strcmp(sockets->names[index], name) == 0 &&
            sd_is_socket(descriptor(index), unix_socket_is_meant(address) ? AF_UNIX : AF_UNSPEC,
                         SOCK_STREAM, 1) > 0 &&
            (unix_socket_is_meant(address) ||
             sd_is_socket(descriptor(index), AF_UNIX, SOCK_STREAM, 1) == 0));
}

size_t inherited_count(const struct inherited_sockets *sockets, const char *name,
                       const char *address, int port)
{
    size_t count = 0;
    for (size_t i = 0; i < sockets->count; i++)
        count += is_for(sockets, i, name, address, port);
    return count;
}

int inherited_get(struct inherited_sockets *sockets, const char *name, const char *address,
                  int port, size_t index)
{
    for (size_t i = 0; i < sockets->count; i++) {
        if (!is_for(sockets, i, name, address, port) || index-- > 0)
            continue;
        sockets->was_asked[i] = true;
        return fcntl(descriptor(i), F_DUPFD_CLOEXEC, descriptor(sockets->count));
    }
    BUG("no inherited socket %zu of listener \"%s\"", index, name);
}

bool inherited_can_share(const struct inherited_sockets *sockets, const char *name,
                         const char *address, int port)
{
    for (size_t i = 0; i < sockets->count; i++) {
        int shared = 0;
        socklen_t length = sizeof shared;
        if (is_for(sockets, i, name, address, port) &&
            (getsockopt(descriptor(i), SOL_SOCKET, SO_REUSEPORT, &shared, &length) != 0 || !shared))
            return false;
    }
    return true;
}

void inherited_free(struct inherited_sockets *sockets)
{
    if (!sockets)
        return;
    for (size_t i = 0; i < sockets->count; i++) {
        if (!sockets->was_asked[i])
            log_warning(NULL,
                        "a socket that was handed over (\"%s\") belongs to no listener of "
                        "segue.conf, and is closed",
                        sockets->names[i]);
        close(descriptor(i));
        free(sockets->names[i]);
    }
    free(sockets->names);
    free(sockets->was_asked);
    free(sockets);
}
