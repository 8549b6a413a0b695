/* SHOW: what this process knows, as rows. */
#include "command.h"

#include "segue/base/clock.h"
#include "segue/base/memory.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

static const char *number(struct call *call, uint64_t value)
{
    return arena_format(call->arena, "%" PRIu64, value);
}

static const char *truth(bool value)
{
    return value ? "t" : "f";
}

static const char *moment(struct call *call, uint64_t real_ms)
{
    char buffer[32];
    if (real_ms == 0)
        return NULL;
    clock_format(real_ms, buffer, sizeof buffer);
    return arena_string(call->arena, buffer);
}

static const char *none_if_empty(const char *text)
{
    return text && *text ? text : NULL;
}

static const char *database_name(struct call *call, size_t database)
{
    return fleet_database_name(call->fleet, database);
}

/* What SHOW leaves out must be said. */
static void tell_unloaded(struct call *call, size_t database)
{
    struct fleet_status status;
    fleet_status(call->fleet, database, &status);
    progress_notice(&call->progress, "database \"%s\" is not loaded: %s",
                    database_name(call, database), status.error.message);
}

/* ------------------------------------------------------------ clients, of all workers */

struct roll {
    size_t count;
    struct {
        struct worker_client client;
        size_t worker;
    } * entries;
    struct worker_client **lists; /* as the workers gave them */
    size_t *list_counts;
    size_t workers;
};

static void roll_call(struct call *call, struct roll *roll)
{
    *roll = (struct roll){.workers = fleet_worker_count(call->fleet)};
    roll->lists = NEW_ARRAY(struct worker_client *, roll->workers + 1);
    roll->list_counts = NEW_ARRAY(size_t, roll->workers + 1);
    size_t total = 0;
    for (size_t i = 0; i < roll->workers; i++) {
        roll->lists[i] = worker_clients(fleet_worker(call->fleet, i), &roll->list_counts[i]);
        total += roll->list_counts[i];
    }
    roll->entries = memory_zero(total + 1, sizeof *roll->entries);
    for (size_t i = 0; i < roll->workers; i++) {
        for (size_t k = 0; k < roll->list_counts[i]; k++) {
            roll->entries[roll->count].client = roll->lists[i][k];
            roll->entries[roll->count++].worker = i;
        }
    }
}

static void roll_release(struct roll *roll)
{
    for (size_t i = 0; i < roll->workers; i++)
        worker_clients_free(roll->lists[i], roll->list_counts[i]);
    free(roll->lists);
    free(roll->list_counts);
    free(roll->entries);
}

bool show_clients(struct call *call, struct result *result, struct error *error)
{
    (void)error;
    struct roll roll;
    roll_call(call, &roll);
    for (size_t i = 0; i < roll.count; i++) {
        const struct worker_client *c = &roll.entries[i].client;
        RESULT_ADD(result, number(call, c->id), c->user, c->database, c->application, c->address,
                   c->shape, c->state, c->epoch ? number(call, c->epoch) : NULL,
                   moment(call, c->connected_ms), number(call, c->queries),
                   c->server_pid ? number(call, (uint64_t)c->server_pid) : NULL,
                   number(call, roll.entries[i].worker));
    }
    roll_release(&roll);
    return true;
}

/* ------------------------------------------------------------ transitions */

static const char *columns_of(struct call *call, const struct transition *transition,
                              enum shape shape)
{
    struct text list;
    text_init(&list, TEXT_UNBOUNDED);
    for (size_t i = 0; i < transition->column_count[shape]; i++) {
        const struct transition_column *column = &transition->columns[shape][i];
        text_add_format(&list, "%s%s %s", i ? ", " : "", column->name, column->type);
    }
    const char *copy = arena_string(call->arena, list.data);
    text_release(&list);
    return copy;
}

static void count_shapes(const struct roll *roll, const char *database,
                         const struct snapshot *snapshot, size_t transition,
                         uint64_t counts[SHAPE_COUNT])
{
    for (size_t i = 0; i < roll->count; i++) {
        const struct worker_client *client = &roll->entries[i].client;
        struct shape_list shapes;
        if (!client->database || strcmp(client->database, database) != 0 || !client->shape ||
            !shape_list_parse(&shapes, client->shape, NULL))
            continue;
        bool is_new = shape_list_mask(&shapes, snapshot) >> transition & 1;
        counts[is_new ? SHAPE_NEW : SHAPE_OLD]++;
        shape_list_release(&shapes);
    }
}

static void add_transition(struct call *call, struct result *result, size_t database,
                           const struct snapshot *snapshot, size_t index, const struct roll *roll)
{
    const struct snapshot_transition *state = &snapshot->transitions[index];
    const struct transition *t = state->transition;
    uint64_t clients[SHAPE_COUNT] = {0};
    count_shapes(roll, database_name(call, database), snapshot, index, clients);
    RESULT_ADD(result, database_name(call, database), t->name,
               arena_format(call->arena, "%s.%s", t->schema, t->table), phase_name(state->phase),
               stage_name(state->stage), truth(state->held), truth(t->lossless),
               guard_name(t->guard), columns_of(call, t, SHAPE_OLD), columns_of(call, t, SHAPE_NEW),
               number(call, clients[SHAPE_OLD]), number(call, clients[SHAPE_NEW]));
}

bool show_transitions(struct call *call, struct result *result, struct error *error)
{
    (void)error;
    struct roll roll;
    roll_call(call, &roll);
    for (size_t i = 0; i < fleet_database_count(call->fleet); i++) {
        struct snapshot *snapshot = fleet_snapshot(call->fleet, i);
        if (!snapshot)
            tell_unloaded(call, i);
        for (size_t k = 0; snapshot && k < snapshot->transition_count; k++)
            add_transition(call, result, i, snapshot, k, &roll);
        snapshot_put(snapshot);
    }
    roll_release(&roll);
    return true;
}

static void add_use(struct call *call, struct result *result, size_t database, struct transition *t)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++)
        RESULT_ADD(
            result, database_name(call, database), t->name, shape_name((enum shape)shape),
            number(call, atomic_load_explicit(&t->statements[shape], memory_order_relaxed)),
            moment(call, atomic_load_explicit(&t->last_used_ms[shape], memory_order_relaxed)),
            moment(call, atomic_load_explicit(&t->counted_since_ms, memory_order_relaxed)));
}

bool show_statements(struct call *call, struct result *result, struct error *error)
{
    (void)error;
    for (size_t i = 0; i < fleet_database_count(call->fleet); i++) {
        struct snapshot *snapshot = fleet_snapshot(call->fleet, i);
        if (!snapshot)
            tell_unloaded(call, i);
        for (size_t k = 0; snapshot && k < snapshot->transition_count; k++)
            add_use(call, result, i, snapshot->transitions[k].transition);
        snapshot_put(snapshot);
    }
    return true;
}

/* ------------------------------------------------------------ fleet */

static const char *state_name(enum fleet_state state)
{
    switch (state) {
    case FLEET_CONNECTING:
        return "connecting";
    case FLEET_READY:
        return "ready";
    case FLEET_LOST:
        return "lost";
    }
    BUG("fleet state %d", state);
}

static bool holds_up(const struct worker_client *client, const char *database, uint64_t epoch)
{
    return client->epoch != 0 && client->epoch < epoch && client->database &&
           strcmp(client->database, database) == 0;
}

bool show_fleet(struct call *call, struct result *result, struct error *error)
{
    (void)error;
    struct roll roll;
    roll_call(call, &roll);
    for (size_t i = 0; i < fleet_database_count(call->fleet); i++) {
        struct fleet_status status;
        fleet_status(call->fleet, i, &status);
        uint64_t laggards = 0;
        const struct worker_client *first = NULL;
        for (size_t k = 0; k < roll.count; k++) {
            const struct worker_client *client = &roll.entries[k].client;
            if (!holds_up(client, database_name(call, i), status.epoch))
                continue;
            laggards++;
            if (!first || client->epoch < first->epoch)
                first = client;
        }
        const char *named =
            first ? arena_format(call->arena,
                                 "C-%" PRIu64 " %s@%s %s, at epoch %" PRIu64 ", server process %d",
                                 first->id, first->user ? first->user : "?",
                                 first->address ? first->address : "?", first->state, first->epoch,
                                 first->server_pid)
                  : NULL;
        RESULT_ADD(
            result, database_name(call, i), state_name(status.state), number(call, status.epoch),
            number(call, status.epoch_adopted), number(call, laggards), named,
            status.error.message[0] ? arena_string(call->arena, status.error.message) : NULL);
    }
    roll_release(&roll);
    return true;
}

/* ------------------------------------------------------------ backfills */

bool show_backfills(struct call *call, struct result *result, struct error *error)
{
    (void)error;
    size_t count;
    struct backfill_status *list = backfill_list(call->fleet, &count);
    for (size_t i = 0; i < count; i++) {
        const struct backfill_status *b = &list[i];
        double percent =
            b->blocks_total > 0 ? 100.0 * (double)b->blocks_done / (double)b->blocks_total : 100.0;
        RESULT_ADD(result, b->database, b->transition, b->state, b->direction,
                   arena_format(call->arena, "%.1f", percent), number(call, b->blocks_done),
                   number(call, b->blocks_total), number(call, b->rows_seen),
                   number(call, b->rows_written),
                   arena_format(call->arena, "%.1f", b->rows_per_second),
                   b->eta_seconds < 0 ? NULL : number(call, (uint64_t)b->eta_seconds),
                   none_if_empty(b->error));
    }
    backfill_list_free(list, count);
    return true;
}

/* ------------------------------------------------------------ counters */

static const struct {
    const char *name;
    size_t offset;
    const char *description;
} counters[] = {
#define COUNTER(field, description)                                                                \
    {                                                                                              \
#field, offsetof(struct worker_stats, field), description                                  \
    }
    COUNTER(clients_accepted, "client connections accepted"),
    COUNTER(clients_now, "client connections now"),
    COUNTER(queries, "Query, Execute and FunctionCall messages from clients"),
    COUNTER(bytes_from_client, "bytes read from clients"),
    COUNTER(bytes_from_server, "bytes read from servers"),
    COUNTER(rewritten, "texts sent changed"),
    COUNTER(refused, "texts refused because they could not be rewritten with certainty"),
    COUNTER(reprepared, "statements prepared again for a newer epoch"),
    COUNTER(enlisted, "enlist queries"),
    COUNTER(cancels, "cancel requests relayed"),
    COUNTER(cache_hits, "texts found in the cache of rewrites"),
    COUNTER(cache_shape_hits, "texts found there by their shape, with other constants"),
    COUNTER(cache_misses, "texts parsed and rewritten"),
    COUNTER(cache_evictions, "texts that left the cache for want of room"),
    COUNTER(cache_bytes, "bytes in the caches now"),
    COUNTER(cache_entries, "texts in the caches now"),
#undef COUNTER
};

static uint64_t read_counter(struct call *call, size_t worker, size_t offset)
{
    const char *stats = (const char *)worker_stats(fleet_worker(call->fleet, worker));
    const _Atomic uint64_t *counter = (const void *)(stats + offset); /* aligned: it is a field */
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_counter(struct call *call, struct result *result, const char *name, size_t offset,
                        const char *description)
{
    uint64_t total = 0;
    const char *by_worker = "";
    for (size_t w = 0; w < fleet_worker_count(call->fleet); w++) {
        uint64_t count = read_counter(call, w, offset);
        total += count;
        by_worker = arena_format(call->arena, "%s%s%" PRIu64, by_worker, w ? " " : "", count);
    }
    RESULT_ADD(result, name, number(call, total), by_worker, description);
}

bool show_stats(struct call *call, struct result *result, struct error *error)
{
    (void)error;
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        add_counter(call, result, counters[i].name, counters[i].offset, counters[i].description);
    for (int reason = 0; reason < SESSION_END_COUNT; reason++)
        add_counter(call, result,
                    arena_format(call->arena, "ended_%s",
                                 session_end_name((enum session_end_reason)reason)),
                    offsetof(struct worker_stats, ended[0]) + (size_t)reason * sizeof(uint64_t),
                    arena_format(call->arena, "client connections ended: %s",
                                 session_end_description((enum session_end_reason)reason)));
    return true;
}

/* ------------------------------------------------------------ settings, version, help */

struct config_rows {
    struct call *call;
    struct result *result;
};

static void add_setting(void *context, const struct settings_item *item)
{
    struct config_rows *rows = context;
    const char *name = item->name;
    if (item->title)
        name =
            arena_format(rows->call->arena, "%s \"%s\" %s", item->section, item->title, item->name);
    else if (*item->section)
        name = arena_format(rows->call->arena, "%s %s", item->section, item->name);
    RESULT_ADD(rows->result, name, item->value, item->fallback, item->expected, item->description,
               settings_applies_name(item->applies));
}

bool show_config(struct call *call, struct result *result, struct error *error)
{
    (void)error;
    struct settings *settings = fleet_settings(call->fleet);
    settings_each(settings, add_setting, &(struct config_rows){call, result});
    settings_put(settings);
    return true;
}

bool show_version(struct call *call, struct result *result, struct error *error)
{
    (void)call;
    (void)error;
    RESULT_ADD(result, "segue " SEGUE_VERSION);
    return true;
}

bool show_help(struct call *call, struct result *result, struct error *error)
{
    (void)call;
    (void)error;
    for (size_t i = 0; i < command_count; i++)
        if (commands[i].help)
            RESULT_ADD(result, commands[i].pattern, role_name(commands[i].needs), commands[i].help);
    return true;
}
