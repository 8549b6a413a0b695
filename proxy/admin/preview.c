/*
 * REWRITE: what would be sent for a text, by a client of a shape, in a phase. The text is resolved
 * as for a session of the console's user with PostgreSQL's default search path and no temporary
 * tables.
 */
#include "command.h"

#include "segue/base/memory.h"
#include "segue/rewrite/rewrite.h"

#include <stdlib.h>

/* Where a transition would stand in that phase. One that is contracted cannot go back. */
static struct snapshot_transition placed(struct snapshot_transition now, enum phase phase)
{
    now.held = false;
    if (now.stage == STAGE_CONTRACTED)
        return now;
    now.phase = phase;
    if (phase != PHASE_OLD)
        now.stage = STAGE_EXPANDED;
    return now;
}

static struct snapshot *snapshot_in(const struct snapshot *current, enum phase phase)
{
    size_t count = current->transition_count;
    struct snapshot_transition *transitions = NEW_ARRAY(struct snapshot_transition, count + 1);
    for (size_t i = 0; i < count; i++)
        transitions[i] = placed(current->transitions[i], phase);
    struct snapshot *next = snapshot_new(current->epoch, current->catalog, transitions, count);
    free(transitions);
    return next;
}

static const char *outcome_name(enum rewrite_outcome outcome)
{
    switch (outcome) {
    case REWRITE_UNTOUCHED:
        return "untouched";
    case REWRITE_CHANGED:
        return "changed";
    case REWRITE_REFUSED:
        return "refused";
    case REWRITE_NEEDS_RESOLUTION:
        BUG("the resolution was given");
    }
    BUG("rewrite outcome %d", outcome);
}

/* Do all transitions that the text touches stand in this phase at present? */
static bool is_now(const struct snapshot *current, uint64_t touched, enum phase phase)
{
    for (size_t i = 0; i < current->transition_count; i++)
        if ((touched >> i & 1) && current->transitions[i].phase != phase)
            return false;
    return touched != 0;
}

static void add_row(struct call *call, struct result *result, const struct snapshot *current,
                    const struct resolution *resolution, enum phase phase)
{
    struct snapshot *snapshot = snapshot_in(current, phase);
    struct rewrite_context context = {
        .snapshot = snapshot,
        .resolution = resolution,
        .new_shapes = call->arguments.shape == SHAPE_NEW ? UINT64_MAX : 0,
        .standard_conforming_strings = true,
        .encoding_is_safe = true,
    };
    struct slice text = slice_of(call->arguments.text);
    struct rewrite *rewrite = rewrite_text(&context, text);
    const char *sql = text.data, *hint = NULL;
    if (rewrite->outcome == REWRITE_CHANGED)
        sql = rewrite->text.data;
    if (rewrite->outcome == REWRITE_REFUSED) {
        sql = arena_format(call->arena, "ERROR %s: %s", rewrite->error->sqlstate,
                           rewrite->error->message);
        hint = rewrite->error->hint[0] ? rewrite->error->hint : NULL;
    }
    RESULT_ADD(result, shape_name(call->arguments.shape), phase_name(phase),
               is_now(current, rewrite->touched, phase) ? "t" : "f", outcome_name(rewrite->outcome),
               sql, hint);
    rewrite_put(rewrite);
    snapshot_put(snapshot);
}

bool preview_rewrite(struct call *call, struct result *result, struct error *error)
{
    size_t database;
    if (!find_database(call, &database, error))
        return false;
    struct snapshot *current = fleet_snapshot(call->fleet, database);
    if (!current) {
        struct fleet_status status;
        fleet_status(call->fleet, database, &status);
        *error = status.error;
        return false;
    }
    const char *schemas[] = {"pg_catalog", call->user, "public"};
    struct resolution_set *set = resolution_set_new();
    struct resolution *resolution = resolution_intern(set, schemas, 3, NULL, 0);
    if (call->arguments.has_phase)
        add_row(call, result, current, resolution, call->arguments.phase);
    else
        for (int phase = 0; phase < PHASE_COUNT; phase++)
            add_row(call, result, current, resolution, (enum phase)phase);
    resolution_put(set, resolution);
    resolution_set_free(set);
    snapshot_put(current);
    return true;
}
