/*
 * VERIFY: every row, in one snapshot, so that each is seen exactly once wherever it moves
 * meanwhile.
 *
 * Its outcome outlasts it: while both columns are written, a row that is in parity stays so. Hence
 * the fence and the wait for sessions before the snapshot is taken, and the epoch that must still
 * be the same when the outcome is stored.
 */
#include "offenders.h"
#include "work.h"

#include "segue/base/clock.h"
#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

enum { ROWS_PER_RANGE = 50000, OFFENDERS_NAMED = 5, NOTICE_EVERY_MS = 2000 };

struct verification {
    struct work *work;
    struct scan scan;
    struct text parity;
    uint64_t rows, mismatches, blocks;
    size_t named;
    struct text offenders; /* "id = 42, id = 43" */
    char *first;
    uint64_t noticed;
};

static void name_offender(struct verification *verification, const char *row)
{
    if (verification->named == OFFENDERS_NAMED)
        return;
    if (verification->named++ == 0)
        verification->first = memory_string(row);
    else
        text_add_string(&verification->offenders, "; ");
    text_add_string(&verification->offenders, row);
}

static bool name_offenders(struct verification *verification, const struct scan_leaf *leaf,
                           const char *condition, struct error *error)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query, "SELECT %s FROM ONLY %s WHERE %s AND NOT (%s) ORDER BY %s LIMIT %zu",
                    verification->scan.row_name, leaf->name, condition, verification->parity.data,
                    verification->scan.key ? verification->scan.key : "ctid",
                    OFFENDERS_NAMED - verification->named);
    PGresult *result = query_run(verification->work->connection, query.data, error);
    text_release(&query);
    if (!result)
        return false;
    for (int row = 0; row < PQntuples(result); row++)
        name_offender(verification, query_value(result, row, 0));
    PQclear(result);
    return true;
}

static bool count_range(struct verification *verification, const struct scan_leaf *leaf,
                        const char *condition, struct error *error)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query,
                    "SELECT count(*), count(*) FILTER (WHERE NOT (%s)) FROM ONLY %s WHERE %s",
                    verification->parity.data, leaf->name, condition);
    PGresult *result = query_run(verification->work->connection, query.data, error);
    text_release(&query);
    if (!result)
        return false;
    uint64_t mismatches = (uint64_t)query_integer(result, 0, 1);
    verification->rows += (uint64_t)query_integer(result, 0, 0);
    verification->mismatches += mismatches;
    PQclear(result);
    return mismatches == 0 || verification->named == OFFENDERS_NAMED ||
           name_offenders(verification, leaf, condition, error);
}

static void tell_progress(struct verification *verification)
{
    uint64_t now = clock_monotonic_ns();
    if (now - verification->noticed < NOTICE_EVERY_MS * UINT64_C(1000000))
        return;
    verification->noticed = now;
    progress_notice(
        &verification->work->change->progress, "verified %llu rows (%llu %%), %llu not in parity",
        (unsigned long long)verification->rows,
        (unsigned long long)(verification->blocks * 100 / (verification->scan.blocks + 1)),
        (unsigned long long)verification->mismatches);
}

static void on_bad_value(void *context, const char *row, const char *ctid, const char *why)
{
    (void)ctid;
    struct text *text = context;
    text_add_format(text, "%sthe row with %s: %s", text->length ? "; " : "", row, why);
}

/* A value does not convert: the server says which value, this says in which row. */
static void blame_row(struct verification *verification, const struct scan_leaf *leaf,
                      const char *condition, struct error *error)
{
    if (!error || strncmp(error->sqlstate, "08", 2) == 0)
        return;
    query_rollback(verification->work->connection);
    struct text rows;
    struct error second;
    size_t found;
    text_init(&rows, sizeof error->detail - 1);
    if (offenders_find(verification->work->connection, &verification->scan, leaf, condition,
                       verification->parity.data, 1, on_bad_value, &rows, &found, &second) &&
        found)
        error_detail(error, "In %s", rows.data);
    text_release(&rows);
}

static bool scan_leaf(struct verification *verification, const struct scan_leaf *leaf,
                      struct error *error)
{
    struct scan_range range;
    struct text position;
    scan_range_init(&range);
    text_init(&position, TEXT_UNBOUNDED);
    bool done;
    do {
        done = work_go_on(verification->work, error) &&
               scan_next(&verification->scan, verification->work->connection, leaf, position.data,
                         ROWS_PER_RANGE, &range, error);
        if (done) {
            done = count_range(verification, leaf, range.condition.data, error);
            if (!done)
                blame_row(verification, leaf, range.condition.data, error);
        }
        text_clear(&position);
        text_add_string(&position, range.next.data);
        verification->blocks += range.blocks;
        tell_progress(verification);
    } while (done && !range.last);
    text_release(&position);
    scan_range_release(&range);
    return done;
}

static bool scan_all(struct verification *verification, struct error *error)
{
    PGconn *connection = verification->work->connection;
    bool done =
        query_do(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1", error) &&
        scan_init(&verification->scan, connection, verification->work->transition->table_oid,
                  fleet_pace(verification->work->change->fleet).backfill_by_key, error);
    for (size_t i = 0; done && i < verification->scan.leaf_count; i++)
        done = scan_leaf(verification, &verification->scan.leaves[i], error);
    done = done && query_do(connection, "COMMIT", error);
    if (!done)
        query_rollback(connection);
    return done;
}

static void describe(const struct verification *verification, struct text *text)
{
    if (verification->mismatches == 0)
        text_add_format(text, "all %llu rows are in parity",
                        (unsigned long long)verification->rows);
    else
        text_add_format(text, "%llu row%s not in parity, the first has %s",
                        (unsigned long long)verification->mismatches,
                        verification->mismatches == 1 ? " is" : "s are",
                        verification->first ? verification->first : "no name");
}

static bool store_outcome(struct verification *verification, const char *outcome,
                          struct error *error)
{
    struct work *work = verification->work;
    bool kept = false;
    uint64_t epoch;
    struct store_move entry = {.transition = work->transition->name,
                               .action = "verify",
                               .who = work->change->who,
                               .from_phase = work->phase,
                               .to_phase = work->phase,
                               .from_stage = work->stage,
                               .to_stage = work->stage,
                               .result = outcome};
    bool done = query_do(work->connection, "BEGIN", error) &&
                store_verified(work->connection, work->transition->name, work->row.epoch,
                               verification->mismatches == 0, outcome, &kept, error) &&
                store_move(work->connection, &entry, &epoch, error) &&
                query_do(work->connection, "COMMIT", error);
    if (!done) {
        query_rollback(work->connection);
        return false;
    }
    if (kept)
        return true;
    error_set(error, "40001", "transition \"%s\" moved while it was verified",
              work->transition->name);
    error_hint(error, "Say VERIFY %s again.", work->transition->name);
    return false;
}

static bool can_verify(const struct work *work, struct error *error)
{
    if (!work_needs_table(work, error))
        return false;
    if (work->stage == STAGE_EXPANDED && phase_is_dual(work->phase))
        return true;
    error_set(error, "55000",
              "transition \"%s\" has nothing to compare: in phase %s%s only the %s "
              "columns are written",
              work->transition->name, phase_name(work->phase),
              work->stage == STAGE_CONTRACTED ? ", contracted," : "",
              work->phase == PHASE_NEW ? "new" : "old");
    error_hint(error, "VERIFY belongs to the phases dual_old, dual_own and dual_new.");
    return false;
}

bool change_verify(struct change *change, const char *transition, struct text *summary,
                   struct error *error)
{
    struct work work;
    if (!work_begin(&work, change, WORK_READS, "verify", transition, error))
        return false;
    struct verification verification = {.work = &work, .noticed = clock_monotonic_ns()};
    struct text outcome;
    text_init(&verification.parity, TEXT_UNBOUNDED);
    text_init(&verification.offenders, TEXT_UNBOUNDED);
    text_init(&outcome, TEXT_UNBOUNDED);
    bool done = can_verify(&work, error) && work_fence(&work, error) &&
                work_wait_for_sessions(&work, error);
    if (done) {
        transition_parity(work.transition, "", &verification.parity);
        done = scan_all(&verification, error);
    }
    if (done) {
        describe(&verification, &outcome);
        done = store_outcome(&verification, outcome.data, error);
    }
    if (done && verification.mismatches > 0) {
        done = error_set(error, "55000", "of %llu rows %s", (unsigned long long)verification.rows,
                         outcome.data);
        error_detail(error, "First offenders: %s.", verification.offenders.data);
        error_hint(error, "BACKFILL %s writes what is not in parity.", transition);
    } else if (done) {
        text_add_string(summary, outcome.data);
    }
    free(verification.first);
    scan_release(&verification.scan);
    text_release(&verification.parity);
    text_release(&verification.offenders);
    text_release(&outcome);
    work_end(&work);
    return done;
}
