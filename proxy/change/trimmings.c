/*
 * Trimmings: what of the table comes and goes with the phases.
 *
 * - Guard trigger: in the dual phases. In `sync` it comes before the first session is in one and
 * goes after the last has left, since statements there may leave the other column to it (COPY), and
 * it does no harm to sessions that write one column. In `reject` it is the other way round: it
 * would refuse what these write.
 * - The old columns' NOT NULL: not in `new`, where they are not written; on the way back again once
 *   they are complete.
 * - The new columns' NOT NULL: from dual_new on, where nobody depends on the old ones any more. On
 * the way back it stays until dual_old where they are a key.
 * - The new columns' DEFAULT: in `new`. Before, every statement writes the new columns itself.
 * - The old columns' DEFAULT, where it draws from a sequence: not in `new`.
 * - Keys, indexes and constraints: pairs.c.
 *
 * Each is looked up and altered only where it differs, so a command that was killed half-way is put
 * right by the next one.
 */
#include "pairs.h"

#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- the guard */

static void add_guard_name(const struct transition *transition, struct text *out)
{
    struct text name;
    text_init(&name, TEXT_UNBOUNDED);
    text_add_format(&name, "guard_%s", transition->name);
    text_add_string(out, "segue.");
    text_add_identifier(out, name.data);
    text_release(&name);
}

/* After the table's own BEFORE triggers: they fire in the order of their names. */
static char *trigger_name(const struct transition *transition)
{
    struct text name;
    text_init(&name, TEXT_UNBOUNDED);
    text_add_format(&name, "zzz_segue_guard_%s", transition->name);
    return text_take(&name);
}

/* Did the statement change this shape's columns? */
static void add_changed(const struct transition *transition, enum shape shape, struct text *out)
{
    for (size_t i = 0; i < transition->column_count[shape]; i++) {
        text_add_string(out, i ? " OR NEW." : "NEW.");
        text_add_identifier(out, transition->columns[shape][i].physical);
        text_add_string(out, " IS DISTINCT FROM OLD.");
        text_add_identifier(out, transition->columns[shape][i].physical);
    }
}

/* Did the INSERT give these columns a value that is not just their default? */
static void add_given(const struct transition *transition, enum shape shape, struct text *out)
{
    for (size_t i = 0; i < transition->column_count[shape]; i++) {
        const struct transition_column *column = &transition->columns[shape][i];
        text_add_string(out, i ? " OR (NEW." : "(NEW.");
        text_add_identifier(out, column->physical);
        text_add_string(out, " IS NOT NULL");
        bool has_default =
            shape == SHAPE_OLD && column->default_expression; /* the new one's: none yet */
        if (has_default && !column->default_is_volatile) {
            text_add_string(out, " AND NEW.");
            text_add_identifier(out, column->physical);
            text_add_format(out, " IS DISTINCT FROM (%s)", column->default_expression);
        }
        text_add_char(out, ')');
    }
}

static void add_fill(const struct transition *transition, enum shape shape, struct text *out)
{
    for (size_t i = 0; i < transition->column_count[shape]; i++) {
        text_add_string(out, "    NEW.");
        text_add_identifier(out, transition->columns[shape][i].physical);
        text_add_string(out, " := ");
        work_add_assignable(transition, shape, i, "NEW.", out);
        text_add_string(out, ";\n");
    }
}

static void add_sync_body(const struct transition *transition, enum phase phase, struct text *out)
{
    bool new_leads = phase >= PHASE_DUAL_NEW;
    text_add_string(out, "DECLARE\n  old_given boolean;\n  new_given boolean;\nBEGIN\n"
                         "  IF TG_OP = 'UPDATE' THEN\n    old_given := ");
    add_changed(transition, SHAPE_OLD, out);
    text_add_string(out, ";\n    new_given := ");
    add_changed(transition, SHAPE_NEW, out);
    text_add_string(out, ";\n  ELSE\n    new_given := ");
    add_given(transition, SHAPE_NEW, out);
    text_add_string(out, ";\n    old_given := NOT new_given OR ");
    add_given(transition, SHAPE_OLD, out);
    text_add_format(out,
                    ";\n  END IF;\n"
                    "  IF new_given AND NOT old_given OR new_given = old_given AND %s THEN\n",
                    new_leads ? "true" : "false");
    add_fill(transition, SHAPE_OLD, out);
    text_add_string(out, "  ELSE\n");
    add_fill(transition, SHAPE_NEW, out);
    text_add_string(out, "  END IF;\n  RETURN NEW;\nEND\n");
}

/* A row that is out of parity because the backfill has not come to it yet may be updated, as long
 * as the columns in transition are left alone. */
static void add_reject_body(const struct transition *transition, struct text *out)
{
    text_add_string(out, "BEGIN\n  IF TG_OP = 'UPDATE' AND NOT (");
    add_changed(transition, SHAPE_OLD, out);
    text_add_string(out, " OR ");
    add_changed(transition, SHAPE_NEW, out);
    text_add_string(out, ") THEN\n    RETURN NEW;\n  END IF;\n"
                         "  RAISE EXCEPTION USING ERRCODE = 'check_violation',\n"
                         "    TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA,\n"
                         "    MESSAGE = format('new row for relation \"%s\" is out of parity under "
                         "the Segue transition \"");
    text_add_string(out, transition->name); /* letters, digits, underscores */
    text_add_string(out,
                    "\"', TG_TABLE_NAME),\n"
                    "    DETAIL = 'This table is changing its shape: its old and its new columns "
                    "must be written together.',\n"
                    "    HINT = 'Connect through Segue, or write both.';\nEND\n");
}

void trimmings_add_guard_function(const struct transition *transition, enum phase phase,
                                  struct text *out)
{
    struct text body;
    text_init(&body, TEXT_UNBOUNDED);
    text_add_char(&body, '\n');
    if (transition->guard == GUARD_SYNC)
        add_sync_body(transition, phase, &body);
    else
        add_reject_body(transition, &body);
    text_add_string(out, "CREATE OR REPLACE FUNCTION ");
    add_guard_name(transition, out);
    text_add_string(out, "() RETURNS trigger LANGUAGE plpgsql "
                         "SET search_path = pg_catalog, pg_temp");
    if (transition->date_style) {
        text_add_string(out, " SET \"DateStyle\" = ");
        text_add_literal(out, transition->date_style);
        text_add_string(out, " SET \"IntervalStyle\" = ");
        text_add_literal(out, transition->interval_style);
    }
    text_add_string(out, " AS ");
    if (strstr(body.data, "$segue$")) {
        text_add_literal(out, body.data);
    } else {
        text_add_string(out, "$segue$");
        text_add_string(out, body.data);
        text_add_string(out, "$segue$");
    }
    text_release(&body);
}

static void add_trigger(const struct transition *transition, const char *table, struct text *out)
{
    char *trigger = trigger_name(transition);
    text_add_string(out, "CREATE TRIGGER ");
    text_add_identifier(out, trigger);
    text_add_format(out, " BEFORE INSERT OR UPDATE ON %s", table);
    text_add_string(out, " FOR EACH ROW WHEN (NOT (");
    transition_parity(transition, "NEW.", out);
    text_add_string(out, ")) EXECUTE FUNCTION ");
    add_guard_name(transition, out);
    text_add_string(out, "()");
    free(trigger);
}

void trimmings_add_guard(const struct transition *transition, enum phase phase, struct text *out)
{
    struct text table;
    text_init(&table, TEXT_UNBOUNDED);
    work_add_table(transition, &table);
    trimmings_add_guard_function(transition, phase, out);
    text_add_string(out, ";\n");
    add_trigger(transition, table.data, out);
    text_release(&table);
}

void trimmings_add_guard_drop(const struct transition *transition, struct text *out)
{
    char *trigger = trigger_name(transition);
    text_add_string(out, "DROP TRIGGER IF EXISTS ");
    text_add_identifier(out, trigger);
    text_add_string(out, " ON ");
    work_add_table(transition, out);
    text_add_string(out, ";\nDROP FUNCTION IF EXISTS ");
    add_guard_name(transition, out);
    text_add_string(out, "()");
    free(trigger);
}

/*
 * The table, and what inherits from it: partitions have the trigger from their parent, children by
 * inheritance have none unless they are given one.
 */
struct guarded {
    size_t with, without;
    struct text drops, triggers; /* DDL for those with and without */
};

static bool find_guarded(struct work *work, struct guarded *guarded, struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", work->transition->table_oid);
    char *trigger = trigger_name(work->transition);
    const char *parameters[] = {oid, trigger};
    PGresult *result = query_run_with(
        work->connection,
        "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION "
        "  SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid) "
        "SELECT c.oid::regclass, EXISTS (SELECT FROM pg_trigger g "
        "                                 WHERE g.tgrelid = c.oid AND g.tgname = $2) "
        "  FROM tree JOIN pg_class c ON c.oid = tree.oid "
        " WHERE NOT c.relispartition OR c.oid = $1::oid ORDER BY c.oid",
        parameters, 2, error);
    for (int row = 0; result && row < PQntuples(result); row++) {
        const char *table = query_value(result, row, 0);
        if (query_boolean(result, row, 1)) {
            guarded->with++;
            text_add_string(&guarded->drops, "DROP TRIGGER ");
            text_add_identifier(&guarded->drops, trigger);
            text_add_format(&guarded->drops, " ON %s;\n", table);
        } else {
            guarded->without++;
            text_add_string(&guarded->triggers, ";\n");
            add_trigger(work->transition, table, &guarded->triggers);
        }
    }
    PQclear(result);
    free(trigger);
    return result != NULL;
}

static bool fit_guard(struct work *work, enum phase phase, enum trim when, struct error *error)
{
    bool wanted = phase_is_dual(phase) && work->transition->guard != GUARD_OFF;
    struct guarded guarded = {0};
    struct text script;
    text_init(&script, TEXT_UNBOUNDED);
    text_init(&guarded.drops, TEXT_UNBOUNDED);
    text_init(&guarded.triggers, TEXT_UNBOUNDED);
    bool done = find_guarded(work, &guarded, error);
    bool may_be_early = work->transition->guard == GUARD_SYNC ? wanted : !wanted;
    bool as_wanted = wanted ? guarded.without == 0 : guarded.with == 0;
    if (done && !as_wanted && (when == TRIM_AFTER_MOVE || may_be_early)) {
        if (wanted) {
            trimmings_add_guard_function(work->transition, phase, &script);
            text_add_string(&script, guarded.triggers.data);
        } else {
            text_add_string(&script, guarded.drops.data);
            trimmings_add_guard_drop(work->transition, &script);
        }
        done = work_alter(work, script.data, NULL, NULL, error);
    }
    text_release(&script);
    text_release(&guarded.drops);
    text_release(&guarded.triggers);
    return done;
}

/* ---------------------------------------------------------------- NOT NULL and DEFAULT */

struct trimmed {
    bool not_null, has_default, is_identity;
    bool has_check; /* of a NOT NULL that was not proved to its end */
};

/* The server cuts what is too long, between characters, and each time alike. */
#define CHECK_NAME "segue_not_null_"

static bool look_up(struct work *work, const char *column, struct trimmed *trimmed,
                    struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", work->transition->table_oid);
    const char *parameters[] = {oid, column};
    PGresult *result = query_run_with(work->connection,
                                      "SELECT attnotnull, atthasdef, attidentity <> '', "
                                      "       EXISTS (SELECT FROM pg_constraint WHERE conrelid = "
                                      "         attrelid AND contype = 'c' AND conname = "
                                      "         ('" CHECK_NAME "' || attname)::name) "
                                      "  FROM pg_attribute "
                                      " WHERE attrelid = $1::oid AND attname = $2",
                                      parameters, 2, error);
    if (!result)
        return false;
    bool found = PQntuples(result) == 1;
    if (found) {
        *trimmed = (struct trimmed){.not_null = query_boolean(result, 0, 0),
                                    .has_default = query_boolean(result, 0, 1),
                                    .is_identity = query_boolean(result, 0, 2),
                                    .has_check = query_boolean(result, 0, 3)};
    } else {
        error_set(error, "42703", "column \"%s\" of relation \"%s.%s\" does not exist", column,
                  work->transition->schema, work->transition->table);
    }
    PQclear(result);
    return found;
}

static bool alter(struct work *work, struct error *error, const char *format, ...)
    PRINTF_LIKE(3, 4);
static bool alter(struct work *work, struct error *error, const char *format, ...)
{
    struct text script;
    va_list arguments;
    text_init(&script, TEXT_UNBOUNDED);
    text_add_string(&script, "ALTER TABLE ");
    work_add_table(work->transition, &script);
    text_add_char(&script, ' ');
    va_start(arguments, format);
    text_add_format_list(&script, format, arguments);
    va_end(arguments);
    bool done = work_alter(work, script.data, NULL, NULL, error);
    text_release(&script);
    return done;
}

/*
 * NOT NULL without a scan under an exclusive lock: a CHECK that is not yet valid, validated under a
 * lock that lets reads and writes go on, proves it (PostgreSQL 12 and later).
 */
static bool prove_not_null(struct work *work, const char *column, const char *constraint,
                           struct error *error)
{
    if (!alter(work, error,
               "DROP CONSTRAINT IF EXISTS %s, ADD CONSTRAINT %s CHECK (%s IS NOT NULL) NOT VALID",
               constraint, constraint, column))
        return false;
    if (alter(work, error, "VALIDATE CONSTRAINT %s", constraint))
        return alter(work, error, "ALTER COLUMN %s SET NOT NULL, DROP CONSTRAINT %s", column,
                     constraint);
    struct error second; /* the first failure is what counts */
    if (!alter(work, &second, "DROP CONSTRAINT IF EXISTS %s", constraint))
        progress_notice(&work->change->progress, "constraint %s stays behind: %s", constraint,
                        second.message);
    return false;
}

static void add_check_name(const char *column, struct text *out)
{
    struct text name;
    text_init(&name, TEXT_UNBOUNDED);
    text_add_format(&name, CHECK_NAME "%s", column);
    text_add_identifier(out, name.data);
    text_release(&name);
}

static bool set_not_null(struct work *work, const char *column, struct error *error)
{
    struct text constraint, quoted;
    text_init(&constraint, TEXT_UNBOUNDED);
    text_init(&quoted, TEXT_UNBOUNDED);
    add_check_name(column, &constraint);
    text_add_identifier(&quoted, column);
    progress_notice(&work->change->progress, "making column %s NOT NULL", column);
    bool done = prove_not_null(work, quoted.data, constraint.data, error);
    text_release(&constraint);
    text_release(&quoted);
    return done;
}

/* Left where a proof ended in the middle: it would refuse what need not have the column. */
static bool drop_check(struct work *work, const char *column, struct error *error)
{
    struct text constraint;
    text_init(&constraint, TEXT_UNBOUNDED);
    add_check_name(column, &constraint);
    bool done = alter(work, error, "DROP CONSTRAINT IF EXISTS %s", constraint.data);
    text_release(&constraint);
    return done;
}

static bool alter_column(struct work *work, const char *column, const char *action,
                         struct error *error)
{
    struct text quoted;
    text_init(&quoted, TEXT_UNBOUNDED);
    text_add_identifier(&quoted, column);
    bool done = alter(work, error, "ALTER COLUMN %s %s", quoted.data, action);
    text_release(&quoted);
    return done;
}

/* What needs NOT NULL stays with the new column until dual_old, see pairs_fit. */
static bool is_handed_over(const struct transition *transition)
{
    bool handed_over = transition->columns[SHAPE_NEW][0].identity != 0;
    for (size_t i = 0; i < transition->pair_count; i++)
        handed_over |= transition->pairs[i].kind == PAIR_PRIMARY_KEY;
    return handed_over;
}

static enum wish not_null_wish(const struct work *work, const struct transition_column *column,
                               enum shape shape, enum phase phase)
{
    if (!column->not_null)
        return WISH_ANY;
    if (shape == SHAPE_NEW && phase == PHASE_DUAL_OWN && is_handed_over(work->transition))
        return WISH_ANY;
    if (shape == SHAPE_NEW)
        return phase >= PHASE_DUAL_NEW ? WISH_PRESENT : WISH_ABSENT;
    if (!phase_writes(phase, SHAPE_OLD))
        return WISH_ABSENT;
    return work->row.complete[SHAPE_OLD] ? WISH_PRESENT : WISH_ANY;
}

static bool fit_not_null(struct work *work, const struct transition_column *column,
                         enum shape shape, enum wish wanted, enum trim when,
                         const struct trimmed *trimmed, struct error *error)
{
    switch (wanted) {
    case WISH_ANY:
        return true;
    case WISH_PRESENT:
        /* Before: the present phase writes the column too, for what is complete is written. */
        return trimmed->not_null || set_not_null(work, column->physical, error);
    case WISH_ABSENT:
        /* After a move back: until then a phase may still want it. Before `new`: it must be gone.
         */
        if (shape == SHAPE_NEW && when == TRIM_BEFORE_MOVE)
            return true;
        return (!trimmed->has_check || drop_check(work, column->physical, error)) &&
               (!trimmed->not_null || alter_column(work, column->physical, "DROP NOT NULL", error));
    }
    BUG("unknown wish");
}

/* An identity is no default; where it is, handover.c says. */
static bool wants_default(const struct transition_column *column, enum shape shape,
                          enum phase phase, const struct trimmed *trimmed)
{
    if (!column->default_expression || trimmed->is_identity)
        return false;
    if (shape == SHAPE_NEW)
        return phase == PHASE_NEW && !column->identity;
    return column->default_is_volatile ? phase != PHASE_NEW : trimmed->has_default;
}

static bool fit_default(struct work *work, const struct transition_column *column, enum shape shape,
                        enum phase phase, enum trim when, const struct trimmed *trimmed,
                        struct error *error)
{
    bool wanted = wants_default(column, shape, phase, trimmed);
    if (wanted == trimmed->has_default || (!wanted && when == TRIM_BEFORE_MOVE))
        return true;
    if (!wanted)
        return alter_column(work, column->physical, "DROP DEFAULT", error);
    struct text action;
    text_init(&action, TEXT_UNBOUNDED);
    text_add_format(&action, "SET DEFAULT %s", column->default_expression);
    bool done = alter_column(work, column->physical, action.data, error);
    text_release(&action);
    return done;
}

/* Those columns whose NOT NULL is wished for so. */
static bool fit_columns(struct work *work, enum phase phase, enum trim when, enum wish wished,
                        struct error *error)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < work->transition->column_count[shape]; i++) {
            const struct transition_column *column = &work->transition->columns[shape][i];
            enum wish wanted = not_null_wish(work, column, (enum shape)shape, phase);
            struct trimmed trimmed;
            if (wanted == wished &&
                (!look_up(work, column->physical, &trimmed, error) ||
                 !fit_not_null(work, column, (enum shape)shape, wanted, when, &trimmed, error)))
                return false;
        }
    }
    return true;
}

static bool fit_defaults(struct work *work, enum phase phase, enum trim when, struct error *error)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < work->transition->column_count[shape]; i++) {
            const struct transition_column *column = &work->transition->columns[shape][i];
            struct trimmed trimmed;
            if (!look_up(work, column->physical, &trimmed, error) ||
                !fit_default(work, column, (enum shape)shape, phase, when, &trimmed, error))
                return false;
        }
    }
    return true;
}

/* A key is of columns that are NOT NULL: that comes before it, and goes after it. */
bool trimmings_fit(struct work *work, enum phase phase, enum trim when, struct error *error)
{
    return work->stage != STAGE_EXPANDED || (fit_guard(work, phase, when, error) &&
                                             fit_columns(work, phase, when, WISH_PRESENT, error) &&
                                             pairs_fit(work, phase, when, error) &&
                                             fit_columns(work, phase, when, WISH_ABSENT, error) &&
                                             fit_defaults(work, phase, when, error));
}
