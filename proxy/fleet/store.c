/*
 * The schema `segue`: how it is made, who has claimed the database, and where its transitions
 * stand.
 */
#include "parts.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/base/query.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the layout: one more with each change of schema_script. */
#define STORE_VERSION "3"

#define CREATE_KEY "1936025462"

static const char schema_script[] =
    "SELECT pg_advisory_xact_lock(" CREATE_KEY ");"
    "CREATE SCHEMA IF NOT EXISTS segue;"
    "CREATE TABLE IF NOT EXISTS segue.meta ("
    "  single boolean PRIMARY KEY DEFAULT true CHECK (single),"
    "  version int NOT NULL,"
    "  epoch bigint NOT NULL);"
    "INSERT INTO segue.meta (version, epoch) VALUES (" STORE_VERSION ", 1) ON CONFLICT DO NOTHING;"
    "CREATE TABLE IF NOT EXISTS segue.transitions ("
    "  name text PRIMARY KEY,"
    "  relation regclass NOT NULL,"
    "  source text NOT NULL,"
    "  phase text NOT NULL,"
    "  stage text NOT NULL,"
    "  epoch bigint NOT NULL," /* of the last move */
    "  old_complete boolean NOT NULL,"
    "  new_complete boolean NOT NULL,"
    "  verification text,"
    "  depends_on_styles boolean NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now());"
    "CREATE TABLE IF NOT EXISTS segue.transition_columns ("
    "  transition text NOT NULL REFERENCES segue.transitions ON DELETE CASCADE,"
    "  shape text NOT NULL,"
    "  position int NOT NULL,"
    "  name text NOT NULL,"
    "  physical text NOT NULL,"
    "  type text NOT NULL,"
    "  default_expression text,"
    "  default_is_volatile boolean NOT NULL,"
    "  not_null boolean NOT NULL,"
    "  attnum smallint NOT NULL,"
    "  identity text NOT NULL," /* as attidentity */
    "  collation_oid oid NOT NULL,"
    "  PRIMARY KEY (transition, shape, position));"
    "CREATE TABLE IF NOT EXISTS segue.transition_pairs ("
    "  transition text NOT NULL REFERENCES segue.transitions ON DELETE CASCADE,"
    "  position int NOT NULL,"
    "  kind text NOT NULL,"
    "  relation regclass NOT NULL,"
    "  is_deferrable boolean NOT NULL,"
    "  is_deferred boolean NOT NULL,"
    "  old_name text NOT NULL,"
    "  new_name text NOT NULL,"
    "  final_name text NOT NULL,"
    "  old_definition text NOT NULL,"
    "  new_definition text NOT NULL,"
    "  old_inference text,"
    "  new_inference text,"
    "  final_inference text,"
    "  part_of int," /* the position of the pair that it is a partition's part of */
    "  PRIMARY KEY (transition, position));"
    "CREATE TABLE IF NOT EXISTS segue.backfills ("
    "  transition text PRIMARY KEY REFERENCES segue.transitions ON DELETE CASCADE,"
    "  state text NOT NULL,"
    "  direction text NOT NULL,"
    "  epoch bigint NOT NULL,"
    "  pass int NOT NULL,"
    "  relation text NOT NULL,"
    "  position text NOT NULL,"
    "  blocks_done bigint NOT NULL,"
    "  blocks_total bigint NOT NULL,"
    "  rows_written bigint NOT NULL,"
    "  rows_seen bigint NOT NULL,"
    "  started_ms bigint NOT NULL,"
    "  worked_ms bigint NOT NULL,"
    "  error text NOT NULL,"
    "  updated_at timestamptz NOT NULL DEFAULT now());"
    "CREATE TABLE IF NOT EXISTS segue.audit ("
    "  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    "  at timestamptz NOT NULL DEFAULT clock_timestamp(),"
    "  epoch bigint NOT NULL,"
    "  transition text NOT NULL,"
    "  action text NOT NULL,"
    "  who text NOT NULL,"
    "  from_phase text NOT NULL, to_phase text NOT NULL,"
    "  from_stage text NOT NULL, to_stage text NOT NULL,"
    "  result text NOT NULL)";

bool store_create(struct pg_conn *connection, struct error *error)
{
    bool done = query_do(connection, schema_script, error);
    if (!done && error && strcmp(error->sqlstate, "42501") == 0)
        error_hint(error, "Segue keeps its transitions in the schema segue of the database itself: "
                          "GRANT CREATE ON DATABASE .. TO the control user.");
    return done;
}

bool store_claim(struct pg_conn *connection, struct error *error)
{
    PGresult *result =
        query_run(connection, "SELECT pg_try_advisory_lock(" STORE_CLAIM_KEY ")", error);
    if (!result)
        return false;
    bool claimed = query_boolean(result, 0, 0);
    PQclear(result);
    if (claimed)
        return true;
    result = query_run(
        connection,
        "SELECT a.pid, a.usename, coalesce(host(a.client_addr), 'a local socket'), a.backend_start "
        "  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
        " WHERE l.locktype = 'advisory' AND l.classid = 0 AND l.objid = " STORE_CLAIM_KEY
        "   AND l.objsubid = 1 AND l.granted AND l.database = "
        "       (SELECT oid FROM pg_database WHERE datname = current_database())",
        error);
    if (!result)
        return false;
    error_set(error, "55006", "another Segue process serves this database");
    if (PQntuples(result) > 0)
        error_detail(error,
                     "Its control connection is server process %s, user %s from %s, since %s.",
                     query_value(result, 0, 0), query_value(result, 0, 1),
                     query_value(result, 0, 2), query_value(result, 0, 3));
    error_hint(error, "Stop the other process; this one goes on by itself then.");
    PQclear(result);
    return false;
}

/* ---------------------------------------------------------------- loading */

enum { FIELD_NAME, FIELD_RELATION, FIELD_SOURCE, FIELD_PHASE, FIELD_STAGE, FIELD_STYLES };

static struct transition *parse_stored(const char *name, const char *source, struct error *error)
{
    size_t count;
    char file_name[96];
    snprintf(file_name, sizeof file_name, "stored transition %s", name);
    struct transition **parsed = transition_parse(source, file_name, &count, error);
    if (!parsed)
        return NULL;
    struct transition *transition = parsed[0];
    for (size_t i = 1; i < count; i++)
        transition_put(parsed[i]);
    free(parsed);
    return transition;
}

static bool relation_exists(PGconn *connection, const char *oid, bool *exists, struct error *error)
{
    const char *parameters[] = {oid};
    PGresult *result = query_run_with(
        connection, "SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = $1::oid)",
        parameters, 1, error);
    if (result)
        *exists = query_boolean(result, 0, 0);
    PQclear(result);
    return result != NULL;
}

/* A table that was dropped has nothing to be rewritten: its transition is left out, and RETIRE
 * takes it out of the store. Anything else that does not fit fails the load. */
static bool load_one(PGconn *connection, const PGresult *rows, int row,
                     struct store_contents *contents, struct error *error)
{
    const char *name = query_value(rows, row, FIELD_NAME);
    const char *oid = query_value(rows, row, FIELD_RELATION);
    bool exists;
    if (!relation_exists(connection, oid, &exists, error))
        return false;
    if (!exists) {
        log_warning(name, "the table of this transition was dropped: RETIRE %s FORCE", name);
        return true;
    }
    struct snapshot_transition loaded = {0};
    if (!phase_parse(query_value(rows, row, FIELD_PHASE), &loaded.phase) ||
        !stage_parse(query_value(rows, row, FIELD_STAGE), &loaded.stage))
        return error_set(error, "XX000",
                         "segue.transitions holds an unknown phase or stage of \"%s\"", name);
    loaded.transition = parse_stored(name, query_value(rows, row, FIELD_SOURCE), error);
    if (!loaded.transition)
        return false;
    loaded.transition->table_oid = (uint32_t)strtoul(oid, NULL, 10);
    loaded.transition->depends_on_styles = query_boolean(rows, row, FIELD_STYLES);
    if (!parts_load(connection, &loaded, error) ||
        !transition_bind(loaded.transition, connection, loaded.stage, error)) {
        if (error && !error->hint[0])
            error_hint(error,
                       "Transition \"%s\" does not fit its table any more: change the table "
                       "back, or DELETE FROM segue.transitions WHERE name = '%s'.",
                       name, name);
        transition_put(loaded.transition);
        return false;
    }
    contents->transitions[contents->count++] = loaded;
    return true;
}

static bool load_all(PGconn *connection, struct store_contents *contents, struct error *error)
{
    PGresult *rows =
        query_run(connection,
                  "SELECT name, relation::oid, source, phase, stage, depends_on_styles "
                  "  FROM segue.transitions ORDER BY name",
                  error);
    if (!rows)
        return false;
    int count = PQntuples(rows);
    contents->transitions = NEW_ARRAY(struct snapshot_transition, (size_t)count);
    bool done = count <= SNAPSHOT_TRANSITIONS_MAX ||
                error_set(error, "54000", "the store holds %d transitions; %d are possible", count,
                          SNAPSHOT_TRANSITIONS_MAX);
    for (int row = 0; done && row < count; row++)
        done = load_one(connection, rows, row, contents, error);
    PQclear(rows);
    return done;
}

static bool read_meta(PGconn *connection, struct store_contents *contents, struct error *error)
{
    PGresult *result =
        query_run(connection, "SELECT pg_catalog.to_regclass('segue.meta') IS NOT NULL", error);
    if (!result)
        return false;
    contents->exists = query_boolean(result, 0, 0);
    PQclear(result);
    if (!contents->exists)
        return true;
    result = query_run(connection, "SELECT version, epoch FROM segue.meta", error);
    if (!result)
        return false;
    bool done = PQntuples(result) == 1 && strcmp(query_value(result, 0, 0), STORE_VERSION) == 0;
    if (done) {
        contents->epoch = (uint64_t)query_integer(result, 0, 1);
    } else {
        error_set(error, "0A000", "the schema segue was made by another version of Segue");
        error_detail(error, "Its layout is of version %s; this one knows version %s.",
                     PQntuples(result) == 1 ? query_value(result, 0, 0) : "?", STORE_VERSION);
        error_hint(error, "Run the version that made it, to the end of each transition (RETIRE); "
                          "then DROP SCHEMA segue CASCADE.");
    }
    PQclear(result);
    return done;
}

bool store_epoch(struct pg_conn *connection, uint64_t *epoch, struct error *error)
{
    struct store_contents meta = {0};
    bool done = read_meta(connection, &meta, error);
    *epoch = meta.epoch;
    return done;
}

bool store_load(struct pg_conn *connection, struct store_contents *contents, struct error *error)
{
    *contents = (struct store_contents){0};
    if (!query_do(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", error))
        return false;
    bool done = read_meta(connection, contents, error) &&
                (!contents->exists || load_all(connection, contents, error)) &&
                query_do(connection, "COMMIT", error);
    if (!done) {
        query_rollback(connection);
        store_contents_release(contents);
    }
    return done;
}

void store_contents_release(struct store_contents *contents)
{
    for (size_t i = 0; i < contents->count; i++)
        transition_put(contents->transitions[i].transition);
    free(contents->transitions);
    *contents = (struct store_contents){0};
}

/* ---------------------------------------------------------------- moves */

static bool next_epoch(PGconn *connection, bool grow, uint64_t *epoch, struct error *error)
{
    PGresult *result = query_run(connection,
                                 grow ? "UPDATE segue.meta SET epoch = epoch + 1 RETURNING epoch"
                                      : "SELECT epoch FROM segue.meta",
                                 error);
    if (result)
        *epoch = (uint64_t)query_integer(result, 0, 0);
    PQclear(result);
    return result != NULL;
}

static bool move_row(PGconn *connection, const struct store_move *move, const char *epoch,
                     struct error *error)
{
    const char *parameters[] = {
        move->transition,
        phase_name(move->from_phase),
        stage_name(move->from_stage),
        phase_name(move->to_phase),
        stage_name(move->to_stage),
        epoch,
        flag(phase_writes(move->to_phase, SHAPE_OLD) && move->to_stage != STAGE_CONTRACTED),
        flag(phase_writes(move->to_phase, SHAPE_NEW)),
    };
    PGresult *result =
        query_run_with(connection,
                       "UPDATE segue.transitions "
                       "   SET phase = $4, stage = $5, epoch = $6::bigint, verification = NULL, "
                       "       old_complete = old_complete AND $7::boolean, "
                       "       new_complete = new_complete AND $8::boolean "
                       " WHERE name = $1 AND phase = $2 AND stage = $3 RETURNING 1",
                       parameters, 8, error);
    if (!result)
        return false;
    bool done = PQntuples(result) == 1;
    PQclear(result);
    if (!done)
        error_set(error, "40001", "transition \"%s\" is not at phase %s any more", move->transition,
                  phase_name(move->from_phase));
    return done;
}

bool store_move(struct pg_conn *connection, const struct store_move *move, uint64_t *epoch,
                struct error *error)
{
    bool leaves_dual = phase_is_dual(move->from_phase) && !phase_is_dual(move->to_phase);
    bool moves = move->from_phase != move->to_phase || move->from_stage != move->to_stage;
    bool grows = moves || strcmp(move->action, "apply") == 0 || move->removes;
    char number[NUMBER_SIZE];
    if (!next_epoch(connection, grows, epoch, error))
        return false;
    snprintf(number, sizeof number, "%llu", (unsigned long long)*epoch);
    if (moves && !move_row(connection, move, number, error))
        return false;
    if (move->to_stage == STAGE_CONTRACTED && move->from_stage != STAGE_CONTRACTED &&
        !parts_settle(connection, move->transition, error))
        return false;
    if (leaves_dual &&
        !query_do_with(connection, "DELETE FROM segue.backfills WHERE transition = $1",
                       &move->transition, 1, error))
        return false;
    if (move->removes && !query_do_with(connection, "DELETE FROM segue.transitions WHERE name = $1",
                                        &move->transition, 1, error))
        return false;
    const char *parameters[] = {
        number,
        move->transition,
        move->action,
        move->who ? move->who : "",
        phase_name(move->from_phase),
        phase_name(move->to_phase),
        stage_name(move->from_stage),
        stage_name(move->to_stage),
        move->result ? move->result : "",
    };
    return query_do_with(connection,
                         "INSERT INTO segue.audit (epoch, transition, action, who, from_phase, "
                         "  to_phase, from_stage, to_stage, result) "
                         "VALUES ($1::bigint, $2, $3, $4, $5, $6, $7, $8, $9)",
                         parameters, 9, error) &&
           query_do_with(connection, "SELECT pg_notify('segue', $1 || ' ' || $2 || ' ' || $3)",
                         (const char *[]){number, move->transition, move->action}, 3, error);
}

bool store_insert(struct pg_conn *connection, const struct transition *transition,
                  struct error *error)
{
    char oid[NUMBER_SIZE];
    snprintf(oid, sizeof oid, "%u", transition->table_oid);
    const char *parameters[] = {transition->name,          oid,
                                transition->source,        phase_name(PHASE_OLD),
                                stage_name(STAGE_APPLIED), flag(transition->depends_on_styles)};
    struct error why;
    if (!query_do_with(
            connection,
            "INSERT INTO segue.transitions (name, relation, source, phase, stage, epoch, "
            "  old_complete, new_complete, depends_on_styles) "
            "VALUES ($1, $2::oid::regclass, $3, $4, $5, "
            "  (SELECT epoch + 1 FROM segue.meta), true, false, $6::boolean)",
            parameters, 6, &why)) {
        if (strcmp(why.sqlstate, "23505") == 0) {
            error_set(error, "42710", "transition \"%s\" already exists", transition->name);
            error_hint(error, "SHOW TRANSITIONS tells where it stands.");
        } else if (error) {
            *error = why;
        }
        return false;
    }
    return parts_insert(connection, transition, error);
}

bool store_read(struct pg_conn *connection, const char *transition, struct store_row *row,
                struct error *error)
{
    *row = (struct store_row){0};
    struct store_contents meta = {0};
    if (!read_meta(connection, &meta, error))
        return false;
    if (!meta.exists)
        return true;
    PGresult *result =
        query_run_with(connection,
                       "SELECT phase, stage, epoch, old_complete, new_complete, verification "
                       "  FROM segue.transitions WHERE name = $1",
                       &transition, 1, error);
    if (!result)
        return false;
    bool done = true;
    if (PQntuples(result) == 1) {
        row->exists = true;
        done = phase_parse(query_value(result, 0, 0), &row->phase) &&
               stage_parse(query_value(result, 0, 1), &row->stage);
        row->epoch = (uint64_t)query_integer(result, 0, 2);
        row->complete[SHAPE_OLD] = query_boolean(result, 0, 3);
        row->complete[SHAPE_NEW] = query_boolean(result, 0, 4);
        row->verification = memory_string(query_value(result, 0, 5));
        if (!done) {
            store_row_release(row);
            error_set(error, "XX000", "segue.transitions holds an unknown phase or stage of \"%s\"",
                      transition);
        }
    }
    PQclear(result);
    return done;
}

void store_row_release(struct store_row *row)
{
    free(row->verification);
    *row = (struct store_row){0};
}

bool store_verified(struct pg_conn *connection, const char *transition, uint64_t epoch,
                    bool in_parity, const char *verification, bool *kept, struct error *error)
{
    char number[NUMBER_SIZE];
    snprintf(number, sizeof number, "%llu", (unsigned long long)epoch);
    const char *parameters[] = {transition, number, flag(in_parity), verification};
    PGresult *result = query_run_with(
        connection,
        "UPDATE segue.transitions SET verification = $4, "
        "       old_complete = $3::boolean OR (old_complete AND phase <> 'dual_new'), "
        "       new_complete = $3::boolean OR (new_complete AND phase = 'dual_new') "
        " WHERE name = $1 AND epoch = $2::bigint RETURNING 1",
        parameters, 4, error);
    if (result)
        *kept = PQntuples(result) == 1;
    PQclear(result);
    return result != NULL;
}

bool store_forget_verification(struct pg_conn *connection, const char *transition,
                               struct error *error)
{
    return query_do_with(connection,
                         "UPDATE segue.transitions SET verification = NULL WHERE name = $1",
                         &transition, 1, error);
}

bool store_column_owner(struct pg_conn *connection, uint32_t table_oid, const char *column,
                        char **owner, struct error *error)
{
    char oid[NUMBER_SIZE];
    snprintf(oid, sizeof oid, "%u", table_oid);
    const char *parameters[] = {oid, column};
    *owner = NULL;
    struct store_contents meta = {0};
    if (!read_meta(connection, &meta, error))
        return false;
    if (!meta.exists)
        return true;
    PGresult *result =
        query_run_with(connection,
                       "SELECT t.name FROM segue.transitions t JOIN segue.transition_columns c "
                       "    ON c.transition = t.name "
                       " WHERE t.relation::oid = $1::oid AND $2 IN (c.name, c.physical) LIMIT 1",
                       parameters, 2, error);
    if (result && PQntuples(result) > 0)
        *owner = memory_string(query_value(result, 0, 0));
    PQclear(result);
    return result != NULL;
}
