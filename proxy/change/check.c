/*
 * CHECK: what a transition will meet. It looks at the catalogs for what hangs on the old columns,
 * and at every row for values that do not convert, do not come back, or may not be null.
 */
#include "examine.h"
#include "offenders.h"

#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

enum { ROWS_PER_RANGE = 20000, OFFENDERS_NAMED = 5 };

struct findings {
    struct text *out;
    size_t count;
};

static void add_finding(struct findings *findings, const char *format, ...) PRINTF_LIKE(2, 3);
static void add_finding(struct findings *findings, const char *format, ...)
{
    va_list arguments;
    findings->count++;
    text_add_string(findings->out, "- ");
    va_start(arguments, format);
    text_add_format_list(findings->out, format, arguments);
    va_end(arguments);
    text_add_char(findings->out, '\n');
}

/* ---------------------------------------------------------------- the catalogs */

static void on_dependent(void *context, const struct transition_column *column,
                         const char *description, enum dependent_fate fate)
{
    struct findings *findings = context;
    switch (fate) {
    case DEPENDENT_REFUSED:
        add_finding(findings, "%s depends on column %s: Segue cannot carry it over, APPLY refuses",
                    description, column->name);
        return;
    case DEPENDENT_CARRIED:
        text_add_format(findings->out, "%s on column %s is carried over\n", description,
                        column->name);
        return;
    case DEPENDENT_LEFT:
        add_finding(findings,
                    "%s depends on column %s and goes with it at CONTRACT: give the new column its "
                    "own before dual_new",
                    description, column->name);
        return;
    }
    BUG("unknown fate");
}

static bool report_rows(struct work *work, struct findings *findings, const char *query,
                        const char *what, struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", work->transition->table_oid);
    const char *parameters[] = {oid};
    PGresult *result = query_run_with(work->connection, query, parameters, 1, error);
    if (!result)
        return false;
    for (int row = 0; row < PQntuples(result); row++)
        add_finding(findings, "%s %s", query_value(result, row, 0), what);
    PQclear(result);
    return true;
}

static bool check_surroundings(struct work *work, struct findings *findings, struct error *error)
{
    return transition_dependents(work->transition, work->connection, on_dependent, findings,
                                 error) &&
           report_rows(
               work, findings,
               "SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = $1::oid "
               "   AND NOT tgisinternal AND tgname NOT LIKE 'zzz\\_segue\\_guard\\_%' "
               " ORDER BY tgname",
               "is on the table: what it does to the old column only the guard carries over",
               error) &&
           report_rows(work, findings,
                       "SELECT 'publication ' || pubname FROM pg_publication_tables p "
                       "  JOIN pg_class c ON c.relname = p.tablename JOIN pg_namespace n "
                       "    ON n.oid = c.relnamespace AND n.nspname = p.schemaname "
                       " WHERE c.oid = $1::oid ORDER BY pubname",
                       "sends this table: its subscribers need the new columns before EXPAND",
                       error);
}

/* ---------------------------------------------------------------- the rows */

struct row_check {
    struct work *work;
    struct findings *findings;
    struct scan scan;
    struct text converted; /* ROW(..) of all forward conversions: what must not fail */
    struct text returns;   /* old comes back from new */
    struct text null;      /* a conversion is NULL where the new column may not be */
    uint64_t rows, lost, nulls;
    size_t bad; /* found; no more than OFFENDERS_NAMED are looked for */
    char *first_lost, *first_null;
    struct text passed_over; /* ctids of the bad rows of a range */
};

static void render_returns(const struct transition *transition, struct text *out)
{
    const size_t count = transition->column_count[SHAPE_NEW];
    char **arguments = NEW_ARRAY(char *, count);
    for (size_t i = 0; i < count; i++) {
        struct text argument;
        text_init(&argument, TEXT_UNBOUNDED);
        text_add_char(&argument, '(');
        transition_converted(transition, SHAPE_NEW, i, "", &argument);
        text_add_char(&argument, ')');
        arguments[i] = text_take(&argument);
    }
    for (size_t i = 0; i < transition->column_count[SHAPE_OLD]; i++) {
        const struct transition_column *column = &transition->columns[SHAPE_OLD][i];
        if (i)
            text_add_string(out, " AND ");
        text_add_identifier(out, column->physical);
        text_add_string(out, " IS NOT DISTINCT FROM (");
        conversion_render(&column->from, (const char *const *)arguments, out);
        text_add_format(out, ")::%s", column->type);
    }
    for (size_t i = 0; i < count; i++)
        free(arguments[i]);
    free(arguments);
}

static void render_texts(struct row_check *check)
{
    const struct transition *transition = check->work->transition;
    text_add_string(&check->converted, "ROW(");
    for (size_t i = 0; i < transition->column_count[SHAPE_NEW]; i++) {
        if (i)
            text_add_string(&check->converted, ", ");
        work_add_judged(transition, SHAPE_NEW, i, &check->converted);
        if (!transition->columns[SHAPE_NEW][i].not_null)
            continue;
        if (check->null.length)
            text_add_string(&check->null, " OR ");
        transition_converted(transition, SHAPE_NEW, i, "", &check->null);
        text_add_string(&check->null, " IS NULL");
    }
    text_add_char(&check->converted, ')');
    if (!check->null.length)
        text_add_string(&check->null, "false");
    render_returns(transition, &check->returns);
}

static bool find_first(struct row_check *check, const struct scan_leaf *leaf, const char *condition,
                       const char *prefix, const char *test, char **first, struct error *error)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query, "SELECT %s FROM ONLY %s WHERE %s AND %s (%s) LIMIT 1",
                    check->scan.row_name, leaf->name, condition, prefix, test);
    PGresult *result = query_run(check->work->connection, query.data, error);
    text_release(&query);
    if (result && PQntuples(result) > 0)
        *first = memory_string(query_value(result, 0, 0));
    PQclear(result);
    return result != NULL;
}

static void on_bad_value(void *context, const char *row, const char *ctid, const char *why)
{
    struct row_check *check = context;
    add_finding(check->findings, "the value in the row with %s does not convert: %s", row, why);
    text_add_format(&check->passed_over, "%s\"%s\"", check->passed_over.length ? "," : "", ctid);
    check->rows++;
    check->bad++;
}

/* Names the rows that fail, so that the others can be looked at. False in *rest: too many. */
static bool name_bad_values(struct row_check *check, const struct scan_leaf *leaf,
                            const char *condition, const char *why, bool *rest, struct error *error)
{
    size_t found = 0, most = OFFENDERS_NAMED - check->bad;
    text_clear(&check->passed_over);
    if (most > 0 &&
        !offenders_find(check->work->connection, &check->scan, leaf, condition,
                        check->converted.data, most, on_bad_value, check, &found, error))
        return false;
    *rest = found > 0 && found < most;
    if (most > 0 && found == 0) { /* it converts, but the way back fails */
        check->bad++;
        add_finding(check->findings, "a value of %s where %s does not come back: %s", leaf->name,
                    condition, why);
    }
    return true;
}

static bool count_range(struct row_check *check, const struct scan_leaf *leaf,
                        const char *condition, struct error *error)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query,
                    "SELECT count(*), count(*) FILTER (WHERE NOT (%s)), "
                    "       count(*) FILTER (WHERE %s), count(%s) FROM ONLY %s WHERE %s",
                    check->returns.data, check->null.data, check->converted.data, leaf->name,
                    condition);
    PGresult *result = query_run(check->work->connection, query.data, error);
    text_release(&query);
    if (!result)
        return false;
    uint64_t lost = (uint64_t)query_integer(result, 0, 1);
    uint64_t nulls = (uint64_t)query_integer(result, 0, 2);
    check->rows += (uint64_t)query_integer(result, 0, 0);
    check->lost += lost;
    check->nulls += nulls;
    PQclear(result);
    return (!lost || check->first_lost ||
            find_first(check, leaf, condition, "NOT", check->returns.data, &check->first_lost,
                       error)) &&
           (!nulls || check->first_null ||
            find_first(check, leaf, condition, "", check->null.data, &check->first_null, error));
}

/* A data exception, or what a function of the user's own raised: about a value. */
static bool is_about_a_value(const struct error *error)
{
    return strncmp(error->sqlstate, "22", 2) == 0 || strncmp(error->sqlstate, "P0", 2) == 0;
}

static bool check_range(struct row_check *check, const struct scan_leaf *leaf,
                        const char *condition, struct error *error)
{
    struct error why = {0};
    if (count_range(check, leaf, condition, &why))
        return true;
    bool rest = false;
    if (!is_about_a_value(&why)) {
        if (error)
            *error = why;
        return false;
    }
    if (!name_bad_values(check, leaf, condition, why.message, &rest, error))
        return false;
    if (!rest)
        return true;
    struct text others;
    text_init(&others, TEXT_UNBOUNDED);
    text_add_format(&others, "%s AND ctid <> ALL ('{%s}'::tid[])", condition,
                    check->passed_over.data);
    bool done = count_range(check, leaf, others.data, &why);
    text_release(&others);
    if (!done && error)
        *error = why;
    return done || is_about_a_value(&why);
}

static bool check_leaf(struct row_check *check, const struct scan_leaf *leaf, struct error *error)
{
    struct scan_range range;
    struct text position;
    bool done;
    scan_range_init(&range);
    text_init(&position, TEXT_UNBOUNDED);
    do {
        done = work_go_on(check->work, error) &&
               scan_next(&check->scan, check->work->connection, leaf, position.data, ROWS_PER_RANGE,
                         &range, error) &&
               check_range(check, leaf, range.condition.data, error);
        text_clear(&position);
        text_add_string(&position, range.next.data);
    } while (done && !range.last);
    text_release(&position);
    scan_range_release(&range);
    return done;
}

static void conclude_rows(const struct row_check *check)
{
    struct findings *findings = check->findings;
    if (check->bad >= OFFENDERS_NAMED)
        add_finding(findings, "there may be more values that do not convert; these are the first");
    if (check->lost)
        add_finding(findings,
                    "%llu of %llu values do not come back from the new shape as they were%s; "
                    "the first is in the row with %s",
                    (unsigned long long)check->lost, (unsigned long long)check->rows,
                    check->work->transition->lossless
                        ? ", so the transition is not lossless as it says"
                        : "",
                    check->first_lost ? check->first_lost : "no name");
    if (check->nulls)
        add_finding(findings,
                    "%llu values convert to NULL, which the new column does not take; the first is "
                    "in the row with %s",
                    (unsigned long long)check->nulls,
                    check->first_null ? check->first_null : "no name");
}

static bool check_rows(struct work *work, struct findings *findings, struct error *error)
{
    struct row_check check = {.work = work, .findings = findings};
    text_init(&check.converted, TEXT_UNBOUNDED);
    text_init(&check.returns, TEXT_UNBOUNDED);
    text_init(&check.null, TEXT_UNBOUNDED);
    text_init(&check.passed_over, TEXT_UNBOUNDED);
    render_texts(&check);
    bool done = scan_init(&check.scan, work->connection, work->transition->table_oid, false, error);
    for (size_t i = 0; done && i < check.scan.leaf_count; i++)
        done = check_leaf(&check, &check.scan.leaves[i], error);
    if (done)
        conclude_rows(&check);
    if (done)
        text_add_format(findings->out, "%llu rows were looked at\n",
                        (unsigned long long)check.rows);
    scan_release(&check.scan);
    free(check.first_lost);
    free(check.first_null);
    text_release(&check.converted);
    text_release(&check.returns);
    text_release(&check.null);
    text_release(&check.passed_over);
    return done;
}

static bool check(struct work *work, const struct error *refusal, struct text *out,
                  struct error *error)
{
    const struct transition *transition = work->transition;
    struct findings findings = {.out = out};
    if (work->row.exists &&
        (work->stage == STAGE_CONTRACTED || !phase_writes(work->phase, SHAPE_OLD))) {
        error_set(error, "55000",
                  "transition \"%s\" stands at %s: its old columns have had their day",
                  transition->name, phase_name(work->phase));
        return false;
    }
    text_add_format(out, "Transition %s of table %s.%s\n", transition->name, transition->schema,
                    transition->table);
    if (refusal)
        add_finding(&findings, "APPLY refuses: %s%s%s", refusal->message,
                    refusal->detail[0] ? ". " : "", refusal->detail);
    bool types_fit =
        !refusal || (transition->conversions_fit && strcmp(refusal->sqlstate, "0A000") == 0);
    if (!check_surroundings(work, &findings, error) ||
        (types_fit && !check_rows(work, &findings, error)))
        return false;
    if (findings.count == 0)
        text_add_string(out, "nothing in its way was found\n");
    return true;
}

bool change_check(struct change *change, const char *transition, struct text *report,
                  struct error *error)
{
    return examine_applied(change, transition, "check", check, report, error);
}

bool change_check_definition(struct change *change, const char *definition, const char *file_name,
                             struct text *report, struct error *error)
{
    return examine_definition(change, definition, file_name, "check", check, report, error);
}
