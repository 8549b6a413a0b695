/* Backfills in the store: one row per transition, of the latest, so that a killed process's goes
 * on. */
#include "parts.h"

#include "segue/base/memory.h"
#include "segue/base/query.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

void store_backfill_release(struct store_backfill *backfill)
{
    free(backfill->transition);
    free(backfill->state);
    free(backfill->direction);
    free(backfill->relation);
    free(backfill->position);
    free(backfill->error);
    *backfill = (struct store_backfill){0};
}

bool store_backfill_write(struct pg_conn *connection, const struct store_backfill *backfill,
                          struct error *error)
{
    const uint64_t numbers[] = {backfill->epoch,        (uint64_t)backfill->pass,
                                backfill->blocks_done,  backfill->blocks_total,
                                backfill->rows_written, backfill->rows_seen,
                                backfill->started_ms,   backfill->worked_ms};
    enum { COUNT = sizeof numbers / sizeof numbers[0] };
    char text[COUNT][NUMBER_SIZE];
    for (size_t i = 0; i < COUNT; i++)
        snprintf(text[i], NUMBER_SIZE, "%llu", (unsigned long long)numbers[i]);
    const char *parameters[] = {
        backfill->transition,
        backfill->state,
        backfill->direction,
        text[0],
        text[1],
        backfill->relation ? backfill->relation : "",
        backfill->position ? backfill->position : "",
        text[2],
        text[3],
        text[4],
        text[5],
        text[6],
        text[7],
        backfill->error ? backfill->error : "",
    };
    return query_do_with(
        connection,
        "INSERT INTO segue.backfills (transition, state, direction, epoch, pass, relation, "
        "position,"
        "  blocks_done, blocks_total, rows_written, rows_seen, started_ms, worked_ms, error) "
        "VALUES ($1, $2, $3, $4::bigint, $5::int, $6, $7, $8::bigint, $9::bigint, $10::bigint, "
        "  $11::bigint, $12::bigint, $13::bigint, $14) "
        "ON CONFLICT (transition) DO UPDATE SET state = excluded.state, "
        "  direction = excluded.direction, epoch = excluded.epoch, pass = excluded.pass, "
        "  relation = excluded.relation, position = excluded.position, "
        "  blocks_done = excluded.blocks_done, blocks_total = excluded.blocks_total, "
        "  rows_written = excluded.rows_written, rows_seen = excluded.rows_seen, "
        "  started_ms = excluded.started_ms, worked_ms = excluded.worked_ms, "
        "  error = excluded.error, updated_at = now()",
        parameters, 14, error);
}

bool store_backfill_read(struct pg_conn *connection, const char *transition,
                         struct store_backfill **backfills, size_t *count, struct error *error)
{
    *backfills = NULL;
    *count = 0;
    uint64_t epoch;
    if (!store_epoch(connection, &epoch, error))
        return false;
    if (epoch == 0) /* there is no store */
        return true;
    PGresult *result = query_run_with(
        connection,
        "SELECT transition, state, direction, epoch, pass, relation, position, blocks_done, "
        "       blocks_total, rows_written, rows_seen, started_ms, worked_ms, error "
        "  FROM segue.backfills WHERE transition = $1 OR $1 IS NULL ORDER BY transition",
        &transition, 1, error);
    if (!result)
        return false;
    *count = (size_t)PQntuples(result);
    *backfills = NEW_ARRAY(struct store_backfill, *count);
    for (int row = 0; row < (int)*count; row++) {
        (*backfills)[row] = (struct store_backfill){
            .transition = memory_string(query_value(result, row, 0)),
            .state = memory_string(query_value(result, row, 1)),
            .direction = memory_string(query_value(result, row, 2)),
            .epoch = (uint64_t)query_integer(result, row, 3),
            .pass = (int)query_integer(result, row, 4),
            .relation = memory_string(query_value(result, row, 5)),
            .position = memory_string(query_value(result, row, 6)),
            .blocks_done = (uint64_t)query_integer(result, row, 7),
            .blocks_total = (uint64_t)query_integer(result, row, 8),
            .rows_written = (uint64_t)query_integer(result, row, 9),
            .rows_seen = (uint64_t)query_integer(result, row, 10),
            .started_ms = (uint64_t)query_integer(result, row, 11),
            .worked_ms = (uint64_t)query_integer(result, row, 12),
            .error = memory_string(query_value(result, row, 13)),
        };
    }
    PQclear(result);
    return true;
}
