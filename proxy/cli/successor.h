/*
 * The process that takes this one's place: the same program, by the path that it was started by (so
 * that it may be a newer one), with the same arguments. It inherits the listening sockets as
 * sd_listen_fds(3) says, says when it could begin, and is told when it may.
 */
#ifndef SEGUE_CLI_SUCCESSOR_H
#define SEGUE_CLI_SUCCESSOR_H

#include "segue/base/error.h"

#include <stddef.h>
#include <sys/types.h>

enum { SUCCESSOR_ARGUMENTS = 8 }; /* at most */

struct successor {
    pid_t pid;   /* 0: none */
    int channel; /* to it */
};

struct successor_sockets {
    const char **names;
    const int *sockets;
    size_t count;
};

/*
 * Blocks until it has read its configuration and could begin. False with `error`, which has its own
 * words, when it could not; it is gone then. `cancelled` may be set by another thread meanwhile.
 */
bool successor_start(struct successor *successor, const char *const *arguments,
                     const struct successor_sockets *sockets, const _Atomic bool *cancelled,
                     struct error *error) MUST_CHECK;
/* It may begin: whatever only one process can have has been let go of. */
void successor_release(struct successor *successor);

#endif
