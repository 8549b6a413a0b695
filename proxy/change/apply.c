/* APPLY and EXPAND: a definition becomes a transition, and its new columns come to be. */
#include "pairs.h"

#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

/* Two transitions on one column would each believe that they know what it holds. Asked once the
 * store is there and holds those of the same file that came before. */
static bool columns_are_free(struct work *work, const struct transition *transition,
                             struct error *error)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < transition->column_count[shape]; i++) {
            const char *names[] = {transition->columns[shape][i].name,
                                   transition->columns[shape][i].physical};
            for (size_t k = 0; k < 2; k++) {
                char *owner;
                if (!store_column_owner(work->connection, transition->table_oid, names[k], &owner,
                                        error))
                    return false;
                if (!owner)
                    continue;
                error_set(error, "55000", "column \"%s\" is in transition \"%s\" already", names[k],
                          owner);
                error_hint(error, "Take that one to its end first: CONTRACT and RETIRE, or REVERT "
                                  "and RETIRE.");
                free(owner);
                return false;
            }
        }
    }
    return true;
}

/* CONTRACT makes it anew, and the values that it holds may be wanted. */
static bool has_no_undo(struct work *work, const struct transition *transition, struct error *error)
{
    struct text name;
    text_init(&name, TEXT_UNBOUNDED);
    contract_add_undo_name(transition, &name);
    const char *parameters[] = {name.data};
    PGresult *result = query_run_with(work->connection, "SELECT pg_catalog.to_regclass($1) IS NULL",
                                      parameters, 1, error);
    bool none = result && query_boolean(result, 0, 0);
    if (result && !none) {
        error_set(error, "42P07", "%s still holds the old values of an earlier transition \"%s\"",
                  name.data, transition->name);
        error_hint(error, "DROP TABLE %s when nobody needs them, or choose another name.",
                   name.data);
    }
    PQclear(result);
    text_release(&name);
    return none;
}

/* Looked up and judged in a transaction that leaves nothing behind. */
static bool bind_and_fit(struct work *work, struct transition *transition, struct error *error)
{
    bool done = query_do(work->connection, "BEGIN", error) &&
                transition_bind(transition, work->connection, STAGE_APPLIED, error) &&
                transition_fit(transition, work->connection, error);
    query_rollback(work->connection);
    return done;
}

static bool owns_the_table(struct work *work, const struct transition *transition,
                           struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", transition->table_oid);
    const char *parameters[] = {oid};
    PGresult *result =
        query_run_with(work->connection,
                       "SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE'), current_user, "
                       "       pg_catalog.pg_get_userbyid(c.relowner) "
                       "  FROM pg_catalog.pg_class c WHERE c.oid = $1::oid",
                       parameters, 1, error);
    if (!result)
        return false;
    bool owns = PQntuples(result) == 1 && query_boolean(result, 0, 0);
    if (!owns) {
        error_set(error, "42501", "must be owner of table %s.%s", transition->schema,
                  transition->table);
        if (PQntuples(result) == 1)
            error_hint(error, "GRANT %s TO %s, or change control_user.", query_value(result, 0, 2),
                       query_value(result, 0, 1));
    }
    PQclear(result);
    return owns;
}

/* More than a snapshot can hold would keep the whole store from being loaded. */
static bool is_room_for(struct work *work, size_t count, struct error *error)
{
    struct snapshot *snapshot = fleet_snapshot(work->change->fleet, work->change->database);
    size_t present = snapshot ? snapshot->transition_count : 0;
    snapshot_put(snapshot);
    if (present + count <= SNAPSHOT_TRANSITIONS_MAX)
        return true;
    error_set(error, "54000", "a database may have at most %d transitions at a time",
              SNAPSHOT_TRANSITIONS_MAX);
    error_hint(error, "RETIRE those that have come to their end.");
    return false;
}

static bool store_applied(struct work *work, struct transition **transitions, size_t count,
                          struct error *error)
{
    bool done = query_do(work->connection, "BEGIN", error) && store_create(work->connection, error);
    for (size_t i = 0; done && i < count; i++) {
        uint64_t epoch;
        struct store_move move = {.transition = transitions[i]->name,
                                  .action = "apply",
                                  .who = work->change->who,
                                  .from_phase = PHASE_OLD,
                                  .to_phase = PHASE_OLD,
                                  .from_stage = STAGE_APPLIED,
                                  .to_stage = STAGE_APPLIED,
                                  .result = "applied"};
        done = columns_are_free(work, transitions[i], error) &&
               store_insert(work->connection, transitions[i], error) &&
               store_move(work->connection, &move, &epoch, error);
    }
    done = done && query_do(work->connection, "COMMIT", error);
    if (!done)
        query_rollback(work->connection);
    return done;
}

bool change_apply(struct change *change, const char *definition, const char *file_name,
                  struct text *summary, struct error *error)
{
    size_t count;
    struct transition **transitions = transition_parse(definition, file_name, &count, error);
    if (!transitions)
        return false;
    struct work work;
    bool done = work_begin(&work, change, WORK_CHANGES, "apply", NULL, error);
    if (!done)
        goto parsed;
    for (size_t i = 0; done && i < count; i++)
        done = bind_and_fit(&work, transitions[i], error) &&
               owns_the_table(&work, transitions[i], error) &&
               has_no_undo(&work, transitions[i], error);
    done = done && is_room_for(&work, count, error) &&
           store_applied(&work, transitions, count, error) &&
           fleet_reload(change->fleet, change->database, error);
    for (size_t i = 0; done && i < count; i++) {
        const struct transition *transition = transitions[i];
        text_add_format(summary, "%stransition %s is applied to %s.%s, phase old; next: EXPAND %s",
                        i ? "; " : "", transition->name, transition->schema, transition->table,
                        transition->name);
    }
    work_end(&work);
parsed:
    for (size_t i = 0; i < count; i++)
        transition_put(transitions[i]);
    free(transitions);
    return done;
}

void expand_add_script(const struct transition *transition, struct text *out)
{
    text_add_string(out, "ALTER TABLE ");
    work_add_table(transition, out);
    for (size_t i = 0; i < transition->column_count[SHAPE_NEW]; i++) {
        const struct transition_column *column = &transition->columns[SHAPE_NEW][i];
        text_add_string(out, i ? ", ADD COLUMN " : " ADD COLUMN ");
        text_add_identifier(out, column->physical);
        text_add_format(out, " %s", column->type);
    }
}

bool change_expand(struct change *change, const char *transition, struct text *summary,
                   struct error *error)
{
    struct work work;
    if (!work_begin(&work, change, WORK_CHANGES, "expand", transition, error))
        return false;
    bool done = false;
    struct text script;
    text_init(&script, TEXT_UNBOUNDED);
    if (!work_needs_table(&work, error))
        goto out;
    if (work.stage != STAGE_APPLIED) {
        error_set(error, "55000", "transition \"%s\" is %s already", transition,
                  stage_name(work.stage));
        goto out;
    }
    /* Sessions that do not know the transition yet would see the new column in their stars. */
    if (!work_wait_for_sessions(&work, error))
        goto out;
    expand_add_script(work.transition, &script);
    if (!outfit_add_script(&work, &script, error))
        goto out;
    uint64_t epoch;
    struct store_move move = {.transition = transition,
                              .action = "expand",
                              .who = change->who,
                              .from_phase = work.phase,
                              .to_phase = work.phase,
                              .from_stage = STAGE_APPLIED,
                              .to_stage = STAGE_EXPANDED,
                              .result = script.data};
    done = work_alter(&work, script.data, &move, &epoch, error) &&
           fleet_reload(change->fleet, change->database, error);
    if (done)
        text_add_format(summary, "%s.%s has its new column%s; next: ADVANCE %s",
                        work.transition->schema, work.transition->table,
                        work.transition->column_count[SHAPE_NEW] == 1 ? "" : "s", transition);
out:
    text_release(&script);
    work_end(&work);
    return done;
}
