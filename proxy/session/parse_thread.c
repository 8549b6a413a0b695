/*
 * Tasks go back and forth between two lists: the worker fills `waiting` and empties `finished`, the
 * thread does the opposite. What a task needs of the worker (its cache, the counts of what is
 * shared) happens in parse_thread_collect, between two runs of the job.
 */
#include "parse_thread.h"

#include "segue/base/memory.h"

#include "session.h"

#include <signal.h>
#include <stdlib.h>

void parse_thread_init(struct parse_thread *thread)
{
    TAILQ_INIT(&thread->waiting);
    TAILQ_INIT(&thread->finished);
    BUG_ON(uv_cond_init(&thread->wake) != 0);
}

/* ---------------------------------------------------------------- the thread */

/* NULL when the thread is to end. */
static struct parse_task *next_task(struct worker *worker)
{
    struct parse_thread *thread = &worker->parse_thread;
    uv_mutex_lock(&worker->mutex);
    while (TAILQ_EMPTY(&thread->waiting) && !thread->is_stopping)
        uv_cond_wait(&thread->wake, &worker->mutex);
    struct parse_task *task = thread->is_stopping ? NULL : TAILQ_FIRST(&thread->waiting);
    if (task)
        TAILQ_REMOVE(&thread->waiting, task, link);
    uv_mutex_unlock(&worker->mutex);
    return task;
}

static void hand_back(struct worker *worker, struct parse_task *task)
{
    uv_mutex_lock(&worker->mutex);
    TAILQ_INSERT_TAIL(&worker->parse_thread.finished, task, link);
    if (!worker->ended)
        uv_async_send(&worker->wake);
    uv_mutex_unlock(&worker->mutex);
}

static void run(void *context)
{
    struct worker *worker = context;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    struct parse_task *task;
    while ((task = next_task(worker))) {
        rewrite_job_run(task->job);
        hand_back(worker, task);
    }
}

static void start_thread(struct worker *worker)
{
    struct parse_thread *thread = &worker->parse_thread;
    if (thread->is_started)
        return;
    const uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE,
                                         .stack_size = WORKER_STACK_SIZE};
    BUG_ON(uv_thread_create_ex(&thread->handle, &options, run, worker) != 0);
    thread->is_started = true;
}

/* ---------------------------------------------------------------- the worker */

static void queue_task(struct worker *worker, struct parse_task *task)
{
    uv_mutex_lock(&worker->mutex);
    TAILQ_INSERT_TAIL(&worker->parse_thread.waiting, task, link);
    uv_cond_signal(&worker->parse_thread.wake);
    uv_mutex_unlock(&worker->mutex);
}

static void task_free(struct worker *worker, struct parse_task *task)
{
    rewrite_job_free(task->job, worker->resolutions);
    free(task);
}

void parse_thread_begin(struct session *session, const struct rewrite_context *context,
                        struct slice text)
{
    struct parse_task *task = NEW(struct parse_task);
    task->job = rewrite_job_new(context, text);
    task->session = session;
    session->parsing = task;
    start_thread(session->worker);
    queue_task(session->worker, task);
}

void parse_thread_abandon(struct session *session)
{
    struct parse_task *task = session->parsing;
    session->parsing = NULL;
    if (!task)
        return;
    task->session = NULL;
    if (task->is_done)
        task_free(session->worker, task);
}

static void collect(struct worker *worker, struct parse_task *task)
{
    struct session *session = task->session;
    if (!session) {
        task_free(worker, task);
        return;
    }
    if (!rewrite_job_advance(task->job, worker->cache)) {
        queue_task(worker, task);
        return;
    }
    task->is_done = true;
    if (session->waiting == WAIT_PARSED) {
        session->waiting = WAIT_NONE;
        session_continue(session);
    }
}

void parse_thread_collect(struct worker *worker)
{
    struct parse_tasks finished = TAILQ_HEAD_INITIALIZER(finished);
    uv_mutex_lock(&worker->mutex);
    TAILQ_CONCAT(&finished, &worker->parse_thread.finished, link);
    uv_mutex_unlock(&worker->mutex);
    struct parse_task *task;
    while ((task = TAILQ_FIRST(&finished))) {
        TAILQ_REMOVE(&finished, task, link);
        collect(worker, task);
    }
}

static void free_all(struct worker *worker, struct parse_tasks *tasks)
{
    struct parse_task *task;
    while ((task = TAILQ_FIRST(tasks))) {
        TAILQ_REMOVE(tasks, task, link);
        task_free(worker, task);
    }
}

void parse_thread_release(struct worker *worker)
{
    struct parse_thread *thread = &worker->parse_thread;
    if (thread->is_started) {
        uv_mutex_lock(&worker->mutex);
        thread->is_stopping = true;
        uv_cond_signal(&thread->wake);
        uv_mutex_unlock(&worker->mutex);
        uv_thread_join(&thread->handle);
    }
    free_all(worker, &thread->waiting);
    free_all(worker, &thread->finished);
    uv_cond_destroy(&thread->wake);
}
