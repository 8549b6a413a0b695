/* PLAN: the steps and their SQL, in the very texts that the commands use, executed by nobody. */
#include "examine.h"
#include "pairs.h"
#include "scan.h"

#include <stdlib.h>

static void add_step(struct text *out, int *step, const char *command, const char *transition,
                     const char *what)
{
    text_add_format(out, "%d. %s %s\n", ++*step, command, transition);
    if (what[0])
        text_add_format(out, "   -- %s\n", what);
}

static void add_sql(struct text *out, const char *sql)
{
    text_add_string(out, "   ");
    for (const char *c = sql; *c; c++) {
        text_add_char(out, *c);
        if (*c == '\n' && c[1])
            text_add_string(out, "   ");
    }
    text_add_string(out, ";\n");
}

/* `value` may be "". */
static void add_alter_column(const struct transition *transition, const char *column,
                             const char *action, const char *value, struct text *out)
{
    struct text sql;
    text_init(&sql, TEXT_UNBOUNDED);
    text_add_string(&sql, "ALTER TABLE ");
    work_add_table(transition, &sql);
    text_add_string(&sql, " ALTER COLUMN ");
    text_add_identifier(&sql, column);
    text_add_format(&sql, " %s%s", action, value);
    add_sql(out, sql.data);
    text_release(&sql);
}

static void add_not_null(const struct transition *transition, enum shape shape, const char *action,
                         struct text *out)
{
    for (size_t i = 0; i < transition->column_count[shape]; i++) {
        const struct transition_column *column = &transition->columns[shape][i];
        if (column->not_null)
            add_alter_column(transition, column->physical, action, "", out);
    }
}

static void add_defaults(const struct transition *transition, struct text *out)
{
    for (size_t i = 0; i < transition->column_count[SHAPE_NEW]; i++) {
        const struct transition_column *column = &transition->columns[SHAPE_NEW][i];
        if (column->default_expression)
            add_alter_column(transition, column->physical, "SET DEFAULT ",
                             column->default_expression, out);
    }
}

typedef void script_function(const struct transition *transition, struct text *out);

static void add_script(const struct transition *transition, script_function *function,
                       struct text *out)
{
    struct text sql;
    text_init(&sql, TEXT_UNBOUNDED);
    function(transition, &sql);
    add_sql(out, sql.data);
    text_release(&sql);
}

static void add_guard(const struct transition *transition, struct text *out)
{
    trimmings_add_guard(transition, PHASE_DUAL_OLD, out);
}

static void add_update(const struct transition *transition, struct text *out)
{
    text_add_string(out, "UPDATE ");
    work_add_table(transition, out);
    text_add_string(out, " SET ");
    for (size_t i = 0; i < transition->column_count[SHAPE_NEW]; i++) {
        if (i)
            text_add_string(out, ", ");
        text_add_identifier(out, transition->columns[SHAPE_NEW][i].physical);
        text_add_string(out, " = ");
        work_add_assignable(transition, SHAPE_NEW, i, "", out);
    }
    text_add_string(out, "\n WHERE ctid >= .. AND ctid < .. AND NOT (");
    transition_parity(transition, "", out);
    text_add_char(out, ')');
}

static void add_count(const struct transition *transition, struct text *out)
{
    text_add_string(out, "SELECT count(*), count(*) FILTER (WHERE NOT (");
    transition_parity(transition, "", out);
    text_add_string(out, ")) FROM ");
    work_add_table(transition, out);
}

static void add_undo(const struct transition *transition, const char *key, struct text *out)
{
    struct text sql;
    text_init(&sql, TEXT_UNBOUNDED);
    contract_add_undo(transition, key, &sql);
    add_sql(out, sql.data);
    text_release(&sql);
}

/* What makes a pair's new one, and what takes the old one away. */
static void add_pair(const struct pair *pair, const char *table, bool makes, struct text *out)
{
    struct text sql, name;
    text_init(&sql, TEXT_UNBOUNDED);
    text_init(&name, TEXT_UNBOUNDED);
    text_add_identifier(&name, pair->side[makes ? SHAPE_NEW : SHAPE_OLD].name);
    if (makes && pair_is_index(pair->kind))
        text_add_format(&sql, "CREATE %sINDEX CONCURRENTLY %s ON %s %s",
                        pair_is_unique(pair->kind) ? "UNIQUE " : "", name.data, table,
                        pair->side[SHAPE_NEW].definition);
    else if (makes)
        text_add_format(&sql,
                        "ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID;\nALTER TABLE %s VALIDATE "
                        "CONSTRAINT %s",
                        table, name.data, pair->side[SHAPE_NEW].definition, table, name.data);
    else if (pair->kind == PAIR_UNIQUE_INDEX)
        text_add_format(&sql, "DROP INDEX CONCURRENTLY %s", name.data);
    else if (pair->kind != PAIR_INDEX) /* that goes with its column */
        text_add_format(&sql, "ALTER TABLE %s DROP CONSTRAINT %s", table, name.data);
    if (sql.length)
        add_sql(out, sql.data);
    if (makes && pair->kind == PAIR_UNIQUE)
        text_add_string(out, "   -- and a constraint on it\n");
    if (!makes && pair->kind == PAIR_PRIMARY_KEY)
        text_add_string(out,
                        "   -- and the new column's index becomes the primary key; foreign keys "
                        "that point here do so at the new column from then on\n");
    text_release(&sql);
    text_release(&name);
}

static bool has_parts(const struct transition *transition, size_t whole)
{
    for (size_t i = 0; i < transition->pair_count; i++)
        if (transition->pairs[i].is_part && transition->pairs[i].part_of == whole)
            return true;
    return false;
}

static bool add_pairs(struct work *work, bool makes, struct text *out, struct error *error)
{
    bool done = true;
    for (size_t i = 0; done && i < work->transition->pair_count; i++) {
        const struct pair *pair = &work->transition->pairs[i];
        struct text schema, table;
        if (pair->is_part)
            continue;
        text_init(&schema, TEXT_UNBOUNDED);
        text_init(&table, TEXT_UNBOUNDED);
        done = pairs_find_table(work, pair->relation, &schema, &table, error);
        if (done)
            add_pair(pair, table.data, makes, out);
        if (done && makes && has_parts(work->transition, i))
            text_add_string(out, "   -- ON ONLY the table, then on each partition, and attached\n");
        text_release(&schema);
        text_release(&table);
    }
    return done;
}

/* From where the transition stands on. */
static bool add_steps(struct work *work, const char *key, struct text *out, struct error *error)
{
    const struct transition *transition = work->transition;
    const char *name = transition->name;
    const bool guarded = transition->guard != GUARD_OFF;
    const bool contracted = work->stage == STAGE_CONTRACTED;
    int step = 0;
    if (!work->row.exists)
        add_step(out, &step, "APPLY", name, "stores the definition; nothing else changes");
    if (work->stage == STAGE_APPLIED) {
        add_step(out, &step, "EXPAND", name, "a short exclusive lock, no rewrite of the table");
        add_script(transition, expand_add_script, out);
    }
    if (work->phase == PHASE_OLD) {
        add_step(out, &step, "ADVANCE", name, "old -> dual_old: Segue's clients write both shapes");
        if (guarded)
            add_script(transition, add_guard, out);
    }
    if (work->phase <= PHASE_DUAL_OLD && !work->row.complete[SHAPE_NEW]) {
        add_step(out, &step, "BACKFILL", name, "in ranges, each a transaction of its own");
        add_script(transition, add_update, out);
        add_step(out, &step, "VERIFY", name, "every row, in one snapshot");
        add_script(transition, add_count, out);
    }
    if (work->phase <= PHASE_DUAL_OLD) {
        add_step(out, &step, "ADVANCE", name,
                 "dual_old -> dual_own: each shape reads its own column");
        if (!add_pairs(work, true, out, error))
            return false;
    }
    if (work->phase <= PHASE_DUAL_OWN) {
        add_step(out, &step, "ADVANCE", name, "dual_own -> dual_new: the new column leads");
        add_not_null(transition, SHAPE_NEW, "SET NOT NULL", out);
    }
    if (work->phase <= PHASE_DUAL_NEW) {
        add_step(out, &step, "ADVANCE", name,
                 "dual_new -> new: the old column is not written any more");
        if (guarded)
            add_script(transition, trimmings_add_guard_drop, out);
        if (!add_pairs(work, false, out, error))
            return false;
        add_not_null(transition, SHAPE_OLD, "DROP NOT NULL", out);
        add_defaults(transition, out);
    }
    if (!contracted) {
        add_step(out, &step, "CONTRACT", name,
                 "up to here REVERT leads back; keeps the old values, then holds transactions on "
                 "the table for the drop");
        add_undo(transition, key, out);
        add_script(transition, contract_add_script, out);
    }
    add_step(out, &step, "RETIRE", name, "when no old-shape client is left");
    return true;
}

static bool plan(struct work *work, const struct error *refusal, struct text *out,
                 struct error *error)
{
    const struct transition *transition = work->transition;
    struct scan scan;
    if (!scan_init(&scan, work->connection, transition->table_oid, false, error))
        return false;
    if (refusal)
        text_add_format(out, "APPLY would refuse this: %s\n", refusal->message);
    double rows = 0;
    for (size_t i = 0; i < scan.leaf_count; i++)
        rows += (double)scan.leaves[i].blocks * scan.leaves[i].rows_per_block;
    text_add_format(out, "Transition %s of table %s.%s: about %.0f rows in %llu blocks",
                    transition->name, transition->schema, transition->table, rows,
                    (unsigned long long)scan.blocks);
    if (work->row.exists)
        text_add_format(out, "; it stands at phase %s, %s", phase_name(work->phase),
                        stage_name(work->stage));
    text_add_string(out, "\n");

    bool done = add_steps(work, scan.key, out, error);
    scan_release(&scan);
    return done;
}

bool change_plan(struct change *change, const char *transition, struct text *out,
                 struct error *error)
{
    return examine_applied(change, transition, "plan", plan, out, error);
}

bool change_plan_definition(struct change *change, const char *definition, const char *file_name,
                            struct text *out, struct error *error)
{
    return examine_definition(change, definition, file_name, "plan", plan, out, error);
}
