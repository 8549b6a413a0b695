/*
 * What binding found out, beside the definition: columns and pairs. Part of it cannot be looked up
 * later: NOT NULL comes and goes with the phases, and after CONTRACT the old columns are no more.
 */
#include "parts.h"

#include "segue/base/memory.h"
#include "segue/base/query.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

static void replace(char **field, const char *value)
{
    free(*field);
    *field = memory_string(value);
}

static bool load_columns(PGconn *connection, const struct snapshot_transition *at,
                         struct error *error)
{
    struct transition *transition = at->transition;
    const char *parameters[] = {transition->name};
    PGresult *result = query_run_with(connection,
                                      "SELECT shape, position, physical, type, default_expression, "
                                      "default_is_volatile, not_null, "
                                      "       attnum, identity, collation_oid "
                                      "  FROM segue.transition_columns WHERE transition = $1",
                                      parameters, 1, error);
    if (!result)
        return false;
    for (int row = 0; row < PQntuples(result); row++) {
        enum shape shape;
        size_t position = (size_t)query_integer(result, row, 1);
        if (!shape_parse(query_value(result, row, 0), &shape) ||
            position >= transition->column_count[shape]) {
            PQclear(result);
            return error_set(error, "XX000",
                             "segue.transition_columns does not fit transition \"%s\"",
                             transition->name);
        }
        struct transition_column *column = &transition->columns[shape][position];
        replace(&column->physical, query_value(result, row, 2));
        replace(&column->type, query_value(result, row, 3));
        column->not_null = query_boolean(result, row, 6);
        column->not_null_is_declared = true;
        column->attnum = (int16_t)query_integer(result, row, 7);
        column->identity = query_value(result, row, 8)[0];
        column->collation = (uint32_t)query_integer(result, row, 9);
        /* What the database does not tell, in this phase or any more. */
        bool is_gone =
            shape == SHAPE_OLD && (at->stage == STAGE_CONTRACTED || at->phase == PHASE_NEW);
        if (is_gone || column->identity) {
            replace(&column->default_expression, query_value(result, row, 4));
            column->default_is_volatile = query_boolean(result, row, 5);
            column->default_is_declared = at->stage != STAGE_CONTRACTED;
        }
    }
    PQclear(result);
    return true;
}

enum pair_field {
    PAIR_FIELD_KIND,
    PAIR_FIELD_RELATION,
    PAIR_FIELD_DEFERRABLE,
    PAIR_FIELD_DEFERRED,
    PAIR_FIELD_OLD_NAME,
    PAIR_FIELD_NEW_NAME,
    PAIR_FIELD_FINAL_NAME,
    PAIR_FIELD_OLD_DEFINITION,
    PAIR_FIELD_NEW_DEFINITION,
    PAIR_FIELD_OLD_INFERENCE,
    PAIR_FIELD_NEW_INFERENCE,
    PAIR_FIELD_FINAL_INFERENCE,
    PAIR_FIELD_PART_OF,
    PAIR_FIELD_COUNT
};

static char *take_field(const PGresult *result, int row, enum pair_field field)
{
    return memory_string(query_value(result, row, (int)field));
}

static void read_pair(const PGresult *result, int row, struct pair *pair)
{
    *pair = (struct pair){
        .relation = (uint32_t)query_integer(result, row, PAIR_FIELD_RELATION),
        .is_deferrable = query_boolean(result, row, PAIR_FIELD_DEFERRABLE),
        .is_deferred = query_boolean(result, row, PAIR_FIELD_DEFERRED),
        .side[SHAPE_OLD] = {.name = take_field(result, row, PAIR_FIELD_OLD_NAME),
                            .logical = take_field(result, row, PAIR_FIELD_OLD_NAME),
                            .definition = take_field(result, row, PAIR_FIELD_OLD_DEFINITION),
                            .inference = take_field(result, row, PAIR_FIELD_OLD_INFERENCE)},
        .side[SHAPE_NEW] = {.name = take_field(result, row, PAIR_FIELD_NEW_NAME),
                            .logical = take_field(result, row, PAIR_FIELD_FINAL_NAME),
                            .definition = take_field(result, row, PAIR_FIELD_NEW_DEFINITION),
                            .inference = take_field(result, row, PAIR_FIELD_NEW_INFERENCE)},
        .final_inference = take_field(result, row, PAIR_FIELD_FINAL_INFERENCE),
        .is_part = query_value(result, row, PAIR_FIELD_PART_OF) != NULL,
        .part_of = (size_t)query_integer(result, row, PAIR_FIELD_PART_OF),
    };
}

static bool load_pairs(PGconn *connection, struct transition *transition, struct error *error)
{
    const char *parameters[] = {transition->name};
    PGresult *result = query_run_with(
        connection,
        "SELECT kind, relation::oid, is_deferrable, is_deferred, old_name, new_name, final_name, "
        "       old_definition, new_definition, old_inference, new_inference, final_inference, "
        "       part_of "
        "  FROM segue.transition_pairs WHERE transition = $1 ORDER BY position",
        parameters, 1, error);
    if (!result)
        return false;
    const int count = PQntuples(result);
    bool done = true;
    transition->pairs = NEW_ARRAY(struct pair, (size_t)count);
    for (int row = 0; done && row < count; row++) {
        struct pair *pair = &transition->pairs[transition->pair_count++];
        read_pair(result, row, pair);
        done = pair_kind_parse(query_value(result, row, PAIR_FIELD_KIND), &pair->kind) ||
               error_set(error, "XX000", "segue.transition_pairs does not fit transition \"%s\"",
                         transition->name);
    }
    PQclear(result);
    return done;
}

bool parts_load(struct pg_conn *connection, const struct snapshot_transition *at,
                struct error *error)
{
    return load_columns(connection, at, error) && load_pairs(connection, at->transition, error);
}

/* ---------------------------------------------------------------- writing */

static bool insert_column(PGconn *connection, const struct transition *transition, enum shape shape,
                          size_t position, struct error *error)
{
    const struct transition_column *column = &transition->columns[shape][position];
    char number[NUMBER_SIZE];
    snprintf(number, sizeof number, "%zu", position);
    char attnum[NUMBER_SIZE];
    snprintf(attnum, sizeof attnum, "%d", column->attnum);
    const char identity[] = {column->identity, '\0'};
    char collation[NUMBER_SIZE];
    snprintf(collation, sizeof collation, "%u", column->collation);
    const char *parameters[] = {
        transition->name,
        shape_name(shape),
        number,
        column->name,
        column->physical,
        column->type,
        column->default_expression,
        flag(column->default_is_volatile),
        flag(column->not_null),
        attnum,
        identity,
        collation,
    };
    return query_do_with(connection,
                         "INSERT INTO segue.transition_columns VALUES "
                         "  ($1, $2, $3::int, $4, $5, $6, $7, $8::boolean, $9::boolean, "
                         "   $10::smallint, $11, $12::oid)",
                         parameters, 12, error);
}

static bool insert_pair(PGconn *connection, const struct transition *transition, size_t position,
                        struct error *error)
{
    const struct pair *pair = &transition->pairs[position];
    const struct pair_of_shape *old = &pair->side[SHAPE_OLD], *new = &pair->side[SHAPE_NEW];
    char number[NUMBER_SIZE], relation[NUMBER_SIZE], part_of[NUMBER_SIZE];
    snprintf(number, sizeof number, "%zu", position);
    snprintf(part_of, sizeof part_of, "%zu", pair->part_of);
    snprintf(relation, sizeof relation, "%u", pair->relation);
    const char *parameters[] = {
        transition->name,
        number,
        pair_kind_name(pair->kind),
        relation,
        flag(pair->is_deferrable),
        flag(pair->is_deferred),
        old->name,
        new->name,
        new->logical,
        old->definition,
        new->definition,
        old->inference,
        new->inference,
        pair->final_inference,
        pair->is_part ? part_of : NULL,
    };
    return query_do_with(connection,
                         "INSERT INTO segue.transition_pairs VALUES "
                         "  ($1, $2::int, $3, $4::oid::regclass, $5::boolean, $6::boolean, "
                         "   $7, $8, $9, $10, $11, $12, $13, $14, $15::int)",
                         parameters, 15, error);
}

bool parts_insert(struct pg_conn *connection, const struct transition *transition,
                  struct error *error)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < transition->column_count[shape]; i++) {
            if (!insert_column(connection, transition, (enum shape)shape, i, error))
                return false;
        }
    }
    for (size_t i = 0; i < transition->pair_count; i++) {
        if (!insert_pair(connection, transition, i, error))
            return false;
    }
    return true;
}

bool parts_settle(struct pg_conn *connection, const char *transition, struct error *error)
{
    return query_do_with(connection,
                         "UPDATE segue.transition_pairs "
                         "   SET new_name = final_name, new_inference = final_inference "
                         " WHERE transition = $1",
                         &transition, 1, error);
}
