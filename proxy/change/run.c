#include "run.h"

#include "segue/base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* Of all runs, guarded by `mutex`; `changed` when somebody wants something. */
struct run_state {
    pthread_t thread;
    enum want want;
    bool ended;
    struct store_backfill shown; /* what others see; the thread works on its own */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct run *runs;

void run_copy(struct store_backfill *to, const struct store_backfill *from)
{
    struct store_backfill copy = *from;
    copy.transition = memory_string(from->transition);
    copy.state = memory_string(from->state);
    copy.direction = memory_string(from->direction);
    copy.relation = memory_string(from->relation);
    copy.position = memory_string(from->position);
    copy.error = memory_string(from->error);
    store_backfill_release(to);
    *to = copy;
}

void run_set(char **field, const char *value)
{
    char *copy = memory_string(value);
    free(*field);
    *field = copy;
}

/* ---------------------------------------------------------------- for the thread */

enum want run_wanted(const struct run *run)
{
    pthread_mutex_lock(&mutex);
    enum want want = run->state->want;
    pthread_mutex_unlock(&mutex);
    return want;
}

void run_show(struct run *run, const struct store_backfill *state)
{
    pthread_mutex_lock(&mutex);
    run_copy(&run->state->shown, state);
    pthread_mutex_unlock(&mutex);
}

void run_rest(const struct run *run, unsigned milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&mutex);
    while (run->state->want == WANT_GO && pthread_cond_timedwait(&changed, &mutex, &until) == 0)
        ;
    pthread_mutex_unlock(&mutex);
}

static void *run_thread(void *context)
{
    struct run *run = context;
    run_fill(run);
    pthread_mutex_lock(&mutex);
    run->state->ended = true;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

/* ---------------------------------------------------------------- the list */

/* With the mutex held. */
static struct run *find(const struct fleet *fleet, size_t database, const char *transition)
{
    for (struct run *run = runs; run; run = run->next) {
        if (run->fleet == fleet && run->database == database &&
            strcmp(run->transition, transition) == 0)
            return run;
    }
    return NULL;
}

/* With the mutex held. */
static void unlink_run(struct run *run)
{
    struct run **link = &runs;
    while (*link != run)
        link = &(*link)->next;
    *link = run->next;
}

static void free_run(struct run *run)
{
    store_backfill_release(&run->state->shown);
    free(run->state);
    free(run->transition);
    free(run->who);
    free(run);
}

/* One that is in the list no more. */
static void join_run(struct run *run)
{
    if (!run)
        return;
    pthread_join(run->state->thread, NULL);
    free_run(run);
}

/* Takes out the run that has ended, so that another can take its place. */
static struct run *take_ended(const struct fleet *fleet, size_t database, const char *transition)
{
    pthread_mutex_lock(&mutex);
    struct run *run = find(fleet, database, transition);
    if (run && run->state->ended)
        unlink_run(run);
    else
        run = NULL;
    pthread_mutex_unlock(&mutex);
    return run;
}

bool run_begin(struct fleet *fleet, size_t database, const char *who,
               const struct store_backfill *state, struct error *error)
{
    join_run(take_ended(fleet, database, state->transition));
    struct run *run = NEW(struct run);
    run->fleet = fleet;
    run->database = database;
    run->transition = memory_string(state->transition);
    run->who = memory_string(who ? who : "");
    run->state = NEW(struct run_state);
    run_copy(&run->state->shown, state);
    pthread_mutex_lock(&mutex);
    bool other = find(fleet, database, state->transition) != NULL; /* a restart and a START */
    bool begun = !other && pthread_create(&run->state->thread, NULL, run_thread, run) == 0;
    if (begun) {
        run->next = runs;
        runs = run;
    }
    pthread_mutex_unlock(&mutex);
    if (begun)
        return true;
    free_run(run);
    return other ? error_set(error, "55006", "the backfill is running already")
                 : error_set(error, "53000", "no thread can be started for the backfill");
}

bool run_is_alive(const struct fleet *fleet, size_t database, const char *transition)
{
    pthread_mutex_lock(&mutex);
    const struct run *run = find(fleet, database, transition);
    bool alive = run && !run->state->ended;
    pthread_mutex_unlock(&mutex);
    return alive;
}

bool run_tell(const struct fleet *fleet, size_t database, const char *transition, enum want want)
{
    pthread_mutex_lock(&mutex);
    struct run *run = find(fleet, database, transition);
    bool alive = run && !run->state->ended;
    if (alive)
        run->state->want = want;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return alive;
}

bool run_look(const struct fleet *fleet, size_t database, const char *transition,
              struct store_backfill *state, bool *alive)
{
    pthread_mutex_lock(&mutex);
    const struct run *run = find(fleet, database, transition);
    *alive = run && !run->state->ended;
    if (run)
        run_copy(state, &run->state->shown);
    pthread_mutex_unlock(&mutex);
    return run != NULL;
}

static struct run *take_any(const struct fleet *fleet)
{
    pthread_mutex_lock(&mutex);
    struct run *run = runs;
    while (run && run->fleet != fleet)
        run = run->next;
    if (run) {
        run->state->want = WANT_STOP;
        unlink_run(run);
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return run;
}

void run_stop_all(const struct fleet *fleet)
{
    for (struct run *run = take_any(fleet); run; run = take_any(fleet))
        join_run(run);
}
