/*
 * Worker: its thread, its loop, and what other threads ask of it. Whatever comes from elsewhere is
 * left under the mutex and the loop is woken; the relay itself takes no lock.
 */
#include "worker_state.h"

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/memory.h"

#include "listeners.h"
#include "session.h"
#include "upstream.h"

#include <signal.h>
#include <stdlib.h>

enum {
    TICK_MS = 250,
    GRACE_MS = 5000 /* for those who were being let in when the worker began to hand over */
};

/* Sessions past the startup packet, over all workers: max_client_conn is for the process. */
static _Atomic int clients_admitted;

bool worker_admit_client(const struct settings *settings)
{
    if (atomic_fetch_add(&clients_admitted, 1) < settings->max_client_conn)
        return true;
    worker_dismiss_client();
    return false;
}

void worker_dismiss_client(void)
{
    atomic_fetch_sub(&clients_admitted, 1);
}

struct worker_database *worker_find_database(struct worker *worker, const char *name)
{
    for (size_t i = 0; i < worker->database_count; i++) {
        if (strcmp(worker->databases[i].name, name) == 0)
            return &worker->databases[i];
    }
    return NULL;
}

/* ---------------------------------------------------------------- snapshots */

static void snapshot_release(struct worker_database *database, struct worker_snapshot *snapshot)
{
    TAILQ_REMOVE(&database->snapshots, snapshot, link);
    name_scan_free(snapshot->scan);
    snapshot_put(snapshot->snapshot);
    free(snapshot);
}

static void tell_oldest(struct worker *worker, struct worker_database *database)
{
    uint64_t oldest = TAILQ_FIRST(&database->snapshots)->snapshot->serial;
    if (oldest == atomic_load(&database->oldest_serial))
        return;
    atomic_store(&database->oldest_serial, oldest);
    if (worker->events.on_adopted)
        worker->events.on_adopted(worker->events.context, database->index);
}

static uint64_t held_transitions(const struct snapshot *snapshot)
{
    uint64_t held = 0;
    for (size_t i = 0; i < snapshot->transition_count; i++) {
        if (snapshot->transitions[i].held)
            held |= UINT64_C(1) << i;
    }
    return held;
}

/* Takes over the reference. */
static void adopt(struct worker *worker, struct worker_database *database,
                  struct snapshot *snapshot)
{
    struct worker_snapshot *before = database->current;
    struct worker_snapshot *next = NEW(struct worker_snapshot);
    next->snapshot = snapshot;
    next->scan = name_scan_new(snapshot);
    next->held = held_transitions(snapshot);
    TAILQ_INSERT_TAIL(&database->snapshots, next, link);
    database->current = next;
    if (before && before->pins == 0)
        snapshot_release(database, before);
    struct session *session = LIST_FIRST(&worker->relaying);
    while (session) {
        struct session *following = LIST_NEXT(session, link);
        if (session->database == database)
            rewriting_on_publish(session);
        session = following;
    }
    tell_oldest(worker, database);
}

uint64_t worker_real_ms(struct worker *worker)
{
    uint64_t turn = uv_now(&worker->loop);
    if (turn != worker->real_ms_read || worker->real_ms == 0) {
        worker->real_ms_read = turn;
        worker->real_ms = clock_real_ms();
    }
    return worker->real_ms;
}

struct worker_snapshot *worker_pin(struct worker_database *database)
{
    database->current->pins++;
    return database->current;
}

void worker_unpin(struct worker *worker, struct worker_database *database,
                  struct worker_snapshot *snapshot)
{
    BUG_ON(snapshot->pins == 0);
    if (--snapshot->pins > 0 || snapshot == database->current)
        return;
    snapshot_release(database, snapshot);
    tell_oldest(worker, database);
}

static void adopt_incoming(struct worker *worker)
{
    for (size_t i = 0; i < worker->database_count; i++) {
        struct worker_database *database = &worker->databases[i];
        uv_mutex_lock(&worker->mutex);
        struct snapshot *incoming = database->incoming;
        database->incoming = NULL;
        uv_mutex_unlock(&worker->mutex);
        if (incoming)
            adopt(worker, database, incoming);
    }
}

void worker_publish(struct worker *worker, size_t database, struct snapshot *snapshot)
{
    BUG_ON(database >= worker->database_count);
    struct worker_database *receiver = &worker->databases[database];
    uv_mutex_lock(&worker->mutex);
    struct snapshot *overtaken = receiver->incoming;
    receiver->incoming = snapshot_get(snapshot);
    if (!worker->ended)
        uv_async_send(&worker->wake);
    uv_mutex_unlock(&worker->mutex);
    snapshot_put(overtaken);
}

uint64_t worker_oldest_serial(struct worker *worker, size_t database)
{
    BUG_ON(database >= worker->database_count);
    return atomic_load(&worker->databases[database].oldest_serial);
}

/* ---------------------------------------------------------------- settings */

struct configuration *configuration_get(struct configuration *configuration)
{
    configuration->references++;
    return configuration;
}

void configuration_put(struct configuration *configuration)
{
    if (--configuration->references > 0)
        return;
    settings_put(configuration->settings);
    encryption_release(&configuration->encryption);
    free(configuration);
}

static struct configuration *configuration_new(struct settings *settings)
{
    struct configuration *configuration = NEW(struct configuration);
    configuration->references = 1;
    configuration->settings = settings_get(settings);
    return configuration;
}

struct configure_order {
    struct worker_order order;
    struct settings *settings;
    const struct encryption *encryption;
};

static void take_settings(struct worker *worker, const struct settings *settings)
{
    for (size_t i = 0; i < worker->opened_count; i++)
        worker->listeners[i].shape = settings->listeners[worker->listeners[i].index].shape;
    rewrite_cache_limit(worker->cache, settings->rewrite_cache_size);
    worker->pool.tcp = (struct stream_tcp){.keepalive = settings->tcp.keepalive,
                                           .keepidle = settings->tcp.keepidle,
                                           .keepintvl = settings->tcp.keepintvl,
                                           .keepcnt = settings->tcp.keepcnt,
                                           .user_timeout = settings->tcp.user_timeout};
    overtime_configure(worker);
    upstream_hosts_begin(settings);
}

static void configure(struct worker *worker, struct worker_order *order)
{
    const struct configure_order *wanted = (struct configure_order *)order;
    BUG_ON(wanted->settings->listener_count != worker->listener_count ||
           wanted->settings->database_count != worker->database_count);
    configuration_put(worker->configuration);
    worker->configuration = configuration_new(wanted->settings);
    worker->configuration->encryption = encryption_get(wanted->encryption);
    worker->settings = wanted->settings;
    take_settings(worker, worker->settings);
}

void worker_configure(struct worker *worker, struct settings *settings,
                      const struct encryption *encryption)
{
    struct configure_order order = {{.carry_out = configure}, settings, encryption};
    worker_give_order(worker, &order.order); /* one that has ended needs none */
}

/* ---------------------------------------------------------------- the end */

static void close_when_empty(struct worker *worker)
{
    if (worker->stopping == WORKER_RUNS || worker->session_count > 0 || worker->closing)
        return;
    worker->closing = true;
    uv_mutex_lock(&worker->mutex);
    worker->ended = true; /* from here on nobody may wake the loop */
    struct worker_order *orders = worker_take_orders(worker);
    uv_mutex_unlock(&worker->mutex);
    worker_carry_out(worker, orders);
    uv_close((uv_handle_t *)&worker->wake, NULL);
    uv_close((uv_handle_t *)&worker->tick, NULL);
    uv_close((uv_handle_t *)&worker->grace, NULL);
}

void worker_session_gone(struct worker *worker)
{
    worker->session_count--;
    close_when_empty(worker);
}

static void end_session(struct session *session)
{
    bool is_relaying = session->state == SESSION_READY || session->state == SESSION_RAW;
    if (is_relaying && worker_drains(session->worker) && session->state == SESSION_READY &&
        !session_is_idle(session))
        return; /* at its next transaction boundary */
    if (session->is_cancel && worker_drains(session->worker))
        return;
    if (!is_relaying && session->worker->stopping == WORKER_HANDS_OVER)
        return; /* it is being let in */
    session_drain(session);
}

static void end_sessions(struct session_list *list)
{
    struct session *session = LIST_FIRST(list);
    while (session) {
        struct session *following = LIST_NEXT(session, link);
        if (session->state != SESSION_ENDING)
            end_session(session);
        else if (session->worker->stopping == WORKER_ENDS)
            stream_close(&session->client);
        session = following;
    }
}

static void on_grace_over(uv_timer_t *timer);

static void begin_stop(struct worker *worker, enum worker_stopping how)
{
    if (how <= worker->stopping)
        return;
    worker->stopping = how;
    if (how == WORKER_HANDS_OVER)
        uv_timer_start(&worker->grace, on_grace_over, GRACE_MS, 0);
    listeners_close(worker, how == WORKER_HANDS_OVER);
    end_sessions(&worker->timed);
    end_sessions(&worker->relaying);
    close_when_empty(worker);
}

static void on_grace_over(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    if (!worker->closing)
        begin_stop(worker, WORKER_DRAINS);
}

void worker_stop(struct worker *worker, enum worker_stopping how)
{
    uv_mutex_lock(&worker->mutex);
    if (how > worker->stop_asked)
        worker->stop_asked = how;
    if (!worker->ended)
        uv_async_send(&worker->wake);
    uv_mutex_unlock(&worker->mutex);
}

void worker_free(struct worker *worker)
{
    for (size_t i = 0; i < worker->database_count; i++) {
        struct worker_database *database = &worker->databases[i];
        struct worker_snapshot *snapshot;
        while ((snapshot = TAILQ_FIRST(&database->snapshots)))
            snapshot_release(database, snapshot);
        snapshot_put(database->incoming);
        free(database->name);
    }
    parse_thread_release(worker);
    rewrite_cache_free(worker->cache);
    resolution_set_free(worker->resolutions);
    output_release(&worker->to_client);
    output_release(&worker->to_server);
    stream_pool_release(&worker->pool);
    configuration_put(worker->configuration);
    uv_mutex_destroy(&worker->mutex);
    listeners_free(worker);
    free(worker->databases);
    free(worker);
}

void worker_join(struct worker *worker)
{
    uv_thread_join(&worker->thread);
}

/* ---------------------------------------------------------------- the loop */

static void on_wake(uv_async_t *handle)
{
    struct worker *worker = handle->data;
    uv_mutex_lock(&worker->mutex);
    enum worker_stopping how = worker->stop_asked;
    struct worker_order *orders = worker_take_orders(worker);
    bool accept = worker->accept_asked;
    worker->accept_asked = false;
    uv_mutex_unlock(&worker->mutex);
    worker_carry_out(worker, orders);
    adopt_incoming(worker);
    parse_thread_collect(worker);
    begin_stop(worker, how);
    if (accept && worker->stopping == WORKER_RUNS)
        listeners_start(worker);
}

static void on_tick(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    uint64_t now = uv_now(&worker->loop);
    struct session *session = LIST_FIRST(&worker->timed);
    if (!session && (!worker->looks_for_overtime || LIST_EMPTY(&worker->relaying)))
        uv_timer_stop(timer);
    while (session) {
        struct session *following = LIST_NEXT(session, link);
        if (session->deadline && session->deadline <= now)
            session_on_deadline(session);
        session = following;
    }
    overtime_tick(worker);
}

void worker_need_tick(struct worker *worker)
{
    if (!uv_is_active((uv_handle_t *)&worker->tick) && !worker->closing)
        uv_timer_start(&worker->tick, on_tick, TICK_MS, TICK_MS);
}

static void run_to_the_end(struct worker *worker)
{
    stream_pool_run(&worker->pool);
    BUG_ON(uv_loop_close(&worker->loop) != 0);
}

static void run(void *context)
{
    /* Signals are for the main thread; a peer that is gone shows as EPIPE, not as SIGPIPE. */
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    run_to_the_end(context);
}

/* ---------------------------------------------------------------- start */

static struct worker *worker_new(struct settings *settings, size_t index,
                                 const struct worker_events *events)
{
    struct worker *worker = NEW(struct worker);
    worker->configuration = configuration_new(settings);
    worker->settings = settings;
    worker->listener_count = settings->listener_count;
    worker->database_count = settings->database_count;
    worker->index = index;
    if (events)
        worker->events = *events;
    worker->databases = NEW_ARRAY(struct worker_database, settings->database_count);
    for (size_t i = 0; i < settings->database_count; i++) {
        worker->databases[i].index = i;
        worker->databases[i].name = memory_string(settings->databases[i].name);
        TAILQ_INIT(&worker->databases[i].snapshots);
    }
    worker->cache = rewrite_cache_new(settings->rewrite_cache_size);
    worker->resolutions = resolution_set_new();
    LIST_INIT(&worker->relaying);
    LIST_INIT(&worker->timed);
    output_init(&worker->to_client);
    output_init(&worker->to_server);
    BUG_ON(uv_mutex_init(&worker->mutex) != 0);
    parse_thread_init(&worker->parse_thread);
    BUG_ON(uv_loop_init(&worker->loop) != 0);
    stream_pool_init(&worker->pool, &worker->loop);
    BUG_ON(uv_async_init(&worker->loop, &worker->wake, on_wake) != 0);
    BUG_ON(uv_timer_init(&worker->loop, &worker->tick) != 0);
    BUG_ON(uv_timer_init(&worker->loop, &worker->grace) != 0);
    worker->wake.data = worker->tick.data = worker->grace.data = worker;
    return worker;
}

struct worker *worker_start(struct settings *settings, size_t index,
                            const struct worker_events *events, struct inherited_sockets *inherited,
                            struct error *error)
{
    struct worker *worker = worker_new(settings, index, events);
    bool opened = encryption_load(&worker->configuration->encryption, settings, error) &&
                  listeners_open(worker, inherited, error);
    take_settings(worker, settings);
    if (!opened) {
        begin_stop(worker, WORKER_ENDS);
        run_to_the_end(worker);
        worker_free(worker);
        return NULL;
    }
    const uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE,
                                         .stack_size = WORKER_STACK_SIZE};
    BUG_ON(uv_thread_create_ex(&worker->thread, &options, run, worker) != 0);
    return worker;
}

void worker_accept(struct worker *worker)
{
    uv_mutex_lock(&worker->mutex);
    worker->accept_asked = true;
    if (!worker->ended)
        uv_async_send(&worker->wake);
    uv_mutex_unlock(&worker->mutex);
}

const struct worker_stats *worker_stats(const struct worker *worker)
{
    return &worker->stats;
}
