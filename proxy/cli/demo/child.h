/*
 * A process that the demo starts: it never outlives the demo (the kernel ends it when the demo's
 * main thread dies, even by kill -9), writes to a log file of its own, and is in a process group of
 * its own, so that Ctrl-C reaches the demo alone, which then stops things in the right order.
 *
 * Start children on the main thread only: the kernel watches the thread that forked.
 */
#ifndef SEGUE_PROXY_CLI_DEMO_CHILD_H
#define SEGUE_PROXY_CLI_DEMO_CHILD_H

#include "segue/base/error.h"
#include "segue/base/text.h"

#include <sys/types.h>

/* Whom a child runs as. `switches` is false where that is the demo's own user. */
struct demo_user {
    bool switches;
    uid_t uid;
    gid_t gid;
    char name[64];
};

struct demo_child {
    const char *name; /* for messages */
    char log[256];    /* path of what it writes to stdout and stderr */
    pid_t pid;        /* 0: not running */
};

/* argv[0] is the path of the program and argv ends with NULL; `death_signal` is what it gets when
 * the demo dies. */
bool demo_child_start(struct demo_child *child, const char *const *argv,
                      const struct demo_user *user, int death_signal,
                      struct error *error) MUST_CHECK;
/* Waits until it ends; false with the end of its log in `error` when its status is not 0. */
bool demo_child_finish(struct demo_child *child, struct error *error) MUST_CHECK;
/* False when it has ended; `error` then says how, with the end of its log. */
bool demo_child_is_running(struct demo_child *child, struct error *error);
/* Sends `signal`, and SIGKILL after `patience_ms`; false when it did not end well. True when it was
 * not running. */
bool demo_child_stop(struct demo_child *child, int signal, unsigned patience_ms,
                     struct error *error);

#endif
