#include "job.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"

#include <stdlib.h>

enum {
    NOTICES_MAX = 256 * 1024,     /* above it notices are dropped: nobody reads them */
    STACK_SIZE = 64 * 1024 * 1024 /* REWRITE and CHECK parse SQL, as workers do */
};

static void on_notice(void *context, const char *text)
{
    struct job *job = context;
    uv_mutex_lock(&job->mutex);
    wire_write_notice(&job->notices, "NOTICE", "00000", text);
    job->notices.overflow = false;
    uv_mutex_unlock(&job->mutex);
    uv_async_send(job->wake);
}

struct job *job_new(const struct job_order *order)
{
    struct job *job = NEW(struct job);
    arena_init(&job->arena);
    BUG_ON(uv_mutex_init(&job->mutex) != 0);
    text_init(&job->notices, NOTICES_MAX);
    result_init(&job->result);
    job->wake = order->wake;
    struct statement *statements;
    size_t count;
    struct error error;
    struct slice text = {arena_string_range(&job->arena, order->text.data, order->text.length),
                         order->text.length};
    if (!statements_read(&job->arena, text, &statements, &count, &error) || count != 1)
        BUG("a command that was read before is not one: %s", error.message);
    job->statement = &statements[0];
    job->call = (struct call){
        .fleet = order->fleet,
        .arena = &job->arena,
        .user = arena_string(&job->arena, order->user),
        .who = arena_string(&job->arena, order->who),
        .arguments = statements[0].arguments,
        .progress = {job, on_notice, &job->cancelled},
        .restart = order->restart,
        .access = order->access,
    };
    return job;
}

static void run(struct job *job)
{
    struct result *result = &job->result;
    result->failed = !job->statement->command->run(&job->call, result, &result->error);
    if (!result->failed && result->rows.overflow) {
        result->failed = true;
        error_set(&result->error, "54000", "the answer is too large");
    }
}

static void run_threaded(void *context)
{
    struct job *job = context;
    run(job);
    uv_mutex_lock(&job->mutex);
    job->done = true;
    uv_async_send(job->wake);
    uv_mutex_unlock(&job->mutex);
}

bool job_run(struct job *job)
{
    const uv_thread_options_t options = {UV_THREAD_HAS_STACK_SIZE, STACK_SIZE};
    if (job->statement->command->blocks) {
        job->threaded = uv_thread_create_ex(&job->thread, &options, run_threaded, job) == 0;
        if (job->threaded)
            return false;
        job->result.failed = true;
        error_set(&job->result.error, "53000", "no thread could be started for the command");
        error_hint(&job->result.error, "Check the limits on processes and memory of segue.");
    } else
        run(job);
    job->done = true;
    return true;
}

void job_refuse(struct job *job)
{
    job->result.failed = true;
    job->done = true;
}

void job_take_notices(struct job *job, struct text *out)
{
    uv_mutex_lock(&job->mutex);
    text_add(out, job->notices.data, job->notices.length);
    text_clear(&job->notices);
    uv_mutex_unlock(&job->mutex);
}

bool job_is_done(struct job *job)
{
    uv_mutex_lock(&job->mutex);
    bool done = job->done;
    uv_mutex_unlock(&job->mutex);
    return done;
}

void job_free(struct job *job)
{
    if (job->threaded)
        uv_thread_join(&job->thread);
    uv_mutex_destroy(&job->mutex);
    text_release(&job->notices);
    result_release(&job->result);
    arena_release(&job->arena);
    free(job);
}
