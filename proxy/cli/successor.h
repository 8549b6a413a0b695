/*
 * The process that takes this one's place: the same program, by the path that it was started by (so
 * that it may be a newer one), with the same arguments. It inherits the listening sockets as
 * sd_listen_fds(3) says, and shows step by step that it can do the work (README.md).
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

enum successor_end {
    SUCCESSOR_DRAINS,  /* as by SIGTERM */
    SUCCESSOR_AT_ONCE, /* as by SIGINT */
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
/*
 * It may begin: whatever only one process can have has been let go of. Blocks until it serves
 * clients, with every database loaded or, unless `must_load`, ready to serve without. False with
 * `error` when it does not come to that; it is gone then, but where `cancelled` was set: then it
 * lives, for it may have clients.
 */
bool successor_begin(struct successor *successor, bool must_load, const _Atomic bool *cancelled,
                     struct error *error) MUST_CHECK;
/* Does it live still? */
bool successor_is_there(const struct successor *successor);
/* From now on it alone accepts connections. */
void successor_put_in_charge(const struct successor *successor);
void successor_tell_to_end(const struct successor *successor, enum successor_end how);
/* Blocks until it has ended; it may be told to still. */
void successor_await_end(const struct successor *successor);
/* Ends it where it still lives, and forgets it. */
void successor_forget(struct successor *successor);

#endif
