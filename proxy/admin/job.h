/*
 * Job: one run of one command. Those that block run on a thread of their own and tell the loop when
 * there is a notice, and when they have ended.
 *
 * `progress`, `result` and what `statement` points to belong to the thread until `job_is_done`.
 */
#ifndef SEGUE_PROXY_ADMIN_JOB_H
#define SEGUE_PROXY_ADMIN_JOB_H

#include "command.h"

#include <uv.h>

struct job {
    struct job *next; /* in the console's list */
    void *owner;      /* the client; NULL: nobody waits for it any more */
    struct arena arena;
    const struct statement *statement;
    struct call call;
    struct result result;
    _Atomic bool cancelled;
    bool threaded;
    uv_thread_t thread;
    uv_async_t *wake;    /* the loop, when something is new */
    uv_mutex_t mutex;    /* of what follows */
    struct text notices; /* whole NoticeResponse messages */
    bool done;
};

/* Everything a job needs to know; strings are copied. */
struct job_order {
    struct fleet *fleet;
    struct slice text; /* one command: the whole of it */
    const char *user, *who;
    const struct restart *restart;
    struct access *access;
    uv_async_t *wake;
};

/* Reads the text, which holds exactly one command that was read before. */
struct job *job_new(const struct job_order *order);
/* Runs it: at once, or on a thread (then false, and `wake` is sent when it is done). */
bool job_run(struct job *job);
/* It is not run: its result's error says why. */
void job_refuse(struct job *job);
/* Moves the notices so far to `out`. */
void job_take_notices(struct job *job, struct text *out);
bool job_is_done(struct job *job);
void job_free(struct job *job); /* only when done; joins the thread */

#endif
