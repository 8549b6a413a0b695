/*
 * A worker's second thread, for texts too large to be parsed between two events: while one of them
 * is looked at there, its session alone waits. Begun with the first such text.
 */
#ifndef SEGUE_SESSION_PARSE_THREAD_H
#define SEGUE_SESSION_PARSE_THREAD_H

#include "segue/rewrite/rewrite.h"

#include <sys/queue.h>
#include <uv.h>

enum { PARSE_THREAD_LARGE = 8 * 1024 /* bytes of a text: above it a parse takes milliseconds */ };

struct session;
struct worker;

struct parse_task {
    struct rewrite_job *job;
    struct session *session; /* NULL: it has ended, nobody waits */
    bool is_done;            /* it has a result; on no list */
    TAILQ_ENTRY(parse_task) link;
};
TAILQ_HEAD(parse_tasks, parse_task);

/* Under the worker's mutex, save for `handle`. */
struct parse_thread {
    uv_thread_t handle;
    uv_cond_t wake;
    bool is_started;
    bool is_stopping;
    struct parse_tasks waiting;  /* to be run, the next one first */
    struct parse_tasks finished; /* run: to be collected by the worker */
};

void parse_thread_init(struct parse_thread *thread);
/* What is running is waited for; the rest is dropped. The worker's thread has ended. */
void parse_thread_release(struct worker *worker);

/* The session's text goes to the thread; `session->parsing` holds it. */
void parse_thread_begin(struct session *session, const struct rewrite_context *context,
                        struct slice text);
/* The session needs it no more. */
void parse_thread_abandon(struct session *session);
/* On the worker's thread, woken: sessions whose texts are done go on. */
void parse_thread_collect(struct worker *worker);

#endif
