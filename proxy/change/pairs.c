/*
 * Pairs: keys, indexes and constraints on the side that a phase needs them on.
 *
 * A unique index (a check, a foreign key) over columns that do not hold every row's value would
 * refuse rows that are right: what lagging columns hold is stale. So the one of a side comes when
 * the side is complete, before the first phase that leads by it, and goes before the side may fall
 * behind. Plain indexes do no harm; they stay.
 *
 * Indexes are built CONCURRENTLY, constraints come NOT VALID and are validated, so nobody waits for
 * a scan. Each is looked up first: a command that was killed is gone on with by the next one, and
 * an index that it left invalid is dropped.
 */
#include "pairs.h"

#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

static enum wish wish(const struct work *work, const struct pair *pair, enum shape shape,
                      enum phase phase)
{
    /* the line seen from this side: the other one has to be complete to go there */
    bool leads = shape == SHAPE_OLD ? phase <= PHASE_DUAL_OWN : phase >= PHASE_DUAL_OWN;
    if (leads)
        return WISH_PRESENT;
    if (pair->kind == PAIR_INDEX)
        return WISH_ANY;
    return phase_writes(phase, shape) && work->row.complete[shape] ? WISH_ANY : WISH_ABSENT;
}

/* ---------------------------------------------------------------- what is there */

struct presence {
    bool index, valid;             /* an index of that name, complete */
    bool constraint, is_validated; /* a constraint of that name */
    bool is_partitioned;
};

static bool look_up(struct work *work, const struct pair *pair, enum shape shape,
                    struct presence *presence, struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", pair->relation);
    const char *parameters[] = {oid, pair->side[shape].name};
    PGresult *result = query_run_with(
        work->connection,
        "SELECT x.indexrelid IS NOT NULL, coalesce(x.indisvalid AND x.indisready, false), "
        "       n.oid IS NOT NULL, coalesce(n.convalidated, false), "
        "       (SELECT relkind = 'p' FROM pg_class WHERE oid = $1::oid) "
        "  FROM (SELECT) one "
        "  LEFT JOIN (SELECT x.* FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid "
        "              WHERE x.indrelid = $1::oid AND i.relname = $2) x ON true "
        "  LEFT JOIN pg_constraint n ON n.conrelid = $1::oid AND n.conname = $2",
        parameters, 2, error);
    if (!result)
        return false;
    *presence = (struct presence){
        .index = query_boolean(result, 0, 0),
        .valid = query_boolean(result, 0, 1),
        .constraint = query_boolean(result, 0, 2),
        .is_validated = query_boolean(result, 0, 3),
        .is_partitioned = query_boolean(result, 0, 4),
    };
    PQclear(result);
    return true;
}

bool pairs_find_table(struct work *work, uint32_t relation, struct text *schema, struct text *table,
                      struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", relation);
    const char *parameters[] = {oid};
    PGresult *result =
        query_run_with(work->connection,
                       "SELECT quote_ident(n.nspname), quote_ident(c.relname) FROM pg_class c "
                       "  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid",
                       parameters, 1, error);
    if (!result)
        return false;
    bool found = PQntuples(result) == 1;
    if (found) {
        text_add_string(schema, query_value(result, 0, 0));
        text_add_format(table, "%s.%s", query_value(result, 0, 0), query_value(result, 0, 1));
    } else {
        error_set(error, "42P01", "the table of %s is not there any more", work->transition->name);
    }
    PQclear(result);
    return found;
}

/* ---------------------------------------------------------------- doing it */

/* One pair and side at hand, with its names as SQL. */
struct subject {
    struct work *work;
    const struct pair *pair;
    enum shape shape;
    const struct pair_of_shape *side;
    struct text table, name, index; /* of the index: with the table's schema, which is its own */
};

static bool subject_init(struct subject *subject, struct work *work, const struct pair *pair,
                         enum shape shape, struct error *error)
{
    *subject =
        (struct subject){.work = work, .pair = pair, .shape = shape, .side = &pair->side[shape]};
    text_init(&subject->table, TEXT_UNBOUNDED);
    text_init(&subject->name, TEXT_UNBOUNDED);
    text_init(&subject->index, TEXT_UNBOUNDED);
    text_add_identifier(&subject->name, subject->side->name);
    bool done = pairs_find_table(work, pair->relation, &subject->index, &subject->table, error);
    text_add_format(&subject->index, ".%s", subject->name.data);
    return done;
}

static void subject_release(struct subject *subject)
{
    text_release(&subject->table);
    text_release(&subject->name);
    text_release(&subject->index);
}

bool pairs_alter(struct work *work, struct error *error, const char *format, ...)
{
    struct text script;
    va_list arguments;
    text_init(&script, TEXT_UNBOUNDED);
    va_start(arguments, format);
    text_add_format_list(&script, format, arguments);
    va_end(arguments);
    bool done = work_alter(work, script.data, NULL, NULL, error);
    text_release(&script);
    return done;
}

bool pairs_run(struct work *work, struct error *error, const char *format, ...)
{
    struct text script;
    va_list arguments;
    text_init(&script, TEXT_UNBOUNDED);
    va_start(arguments, format);
    text_add_format_list(&script, format, arguments);
    va_end(arguments);
    bool done = work_go_on(work, error) && work_do(work, script.data, error);
    text_release(&script);
    return done;
}

static bool drop_index(struct work *work, const char *index, struct error *error)
{
    return pairs_run(work, error, "DROP INDEX CONCURRENTLY IF EXISTS %s", index);
}

bool pairs_build_index(struct work *work, const struct pair *pair, enum shape shape,
                       const char *name, const char *index, const char *table, struct error *error)
{
    progress_notice(&work->change->progress, "building index %s on %s, concurrently", name, table);
    if (pairs_run(work, error, "CREATE %sINDEX CONCURRENTLY %s ON %s %s",
                  pair_is_unique(pair->kind) ? "UNIQUE " : "", name, table,
                  pair->side[shape].definition))
        return true;
    if (error && strcmp(error->sqlstate, "23505") == 0)
        error_hint(error, "%s \"%s\" holds in the %s shape too only when these rows differ there.",
                   pair_kind_name(pair->kind), pair->side[shape].logical, shape_name(shape));
    struct error second; /* the first failure is what counts; the next command tries again */
    if (!drop_index(work, index, &second))
        progress_notice(&work->change->progress, "index %s stays behind, invalid: %s", name,
                        second.message);
    return false;
}

const char *pairs_deferral(const struct pair *pair)
{
    if (!pair->is_deferrable)
        return "";
    return pair->is_deferred ? " DEFERRABLE INITIALLY DEFERRED" : " DEFERRABLE";
}

bool pairs_is_not_valid(const char *definition)
{
    static const char words[] = " NOT VALID";
    size_t length = strlen(definition);
    return length > sizeof words && strcmp(definition + length - (sizeof words - 1), words) == 0;
}

/* An index's definition ends with NULLS NOT DISTINCT, behind which WITH and WHERE may come; names
 * are quoted where they have capitals. */
void pairs_add_key(const char *definition, struct text *out)
{
    static const char using[] = "USING btree", words[] = " NULLS NOT DISTINCT";
    BUG_ON(strncmp(definition, using, sizeof using - 1) != 0);
    definition += sizeof using - 1;
    bool in_quotes = false;
    const char *found = NULL;
    for (const char *c = definition; *c && !found; c++) {
        in_quotes ^= *c == '"';
        if (!in_quotes && strncmp(c, words, sizeof words - 1) == 0)
            found = c;
    }
    if (!found) {
        text_add_string(out, definition);
        return;
    }
    text_add_string(out, words);
    text_add(out, definition, (size_t)(found - definition));
    text_add_string(out, found + sizeof words - 1);
}

static bool ensure_index(const struct subject *subject, const struct presence *presence,
                         struct error *error)
{
    struct work *work = subject->work;
    if (presence->is_partitioned)
        return partitions_build(work, subject->pair, subject->shape, presence->index, error);
    bool invalid = presence->index && !presence->valid;
    if (invalid && !drop_index(work, subject->index.data, error))
        return false;
    if ((invalid || !presence->index) &&
        !pairs_build_index(work, subject->pair, subject->shape, subject->name.data,
                           subject->index.data, subject->table.data, error))
        return false;
    return subject->pair->kind != PAIR_UNIQUE || presence->constraint ||
           pairs_alter(work, error, "ALTER TABLE %s ADD CONSTRAINT %s UNIQUE USING INDEX %s%s",
                       subject->table.data, subject->name.data, subject->name.data,
                       pairs_deferral(subject->pair));
}

/* What a foreign key refers to may have been handed over since APPLY: as the other side's says now.
 */
static char *live_definition(const struct subject *subject, struct error *error)
{
    const struct transition *transition = subject->work->transition;
    const enum shape other = shape_other(subject->shape);
    char oid[16];
    snprintf(oid, sizeof oid, "%u", subject->pair->relation);
    struct text others, own;
    text_init(&others, TEXT_UNBOUNDED);
    text_init(&own, TEXT_UNBOUNDED);
    transition_partner_names(transition, other, &others);
    transition_partner_names(transition, subject->shape, &own);
    const char *parameters[] = {oid, subject->pair->side[other].name, others.data, own.data};
    PGresult *result = query_run_with(
        subject->work->connection,
        "SELECT 'FOREIGN KEY (' || k.renamed || substr(pg_get_constraintdef(n.oid), "
        "         length('FOREIGN KEY (' || k.quoted) + 1) "
        "  FROM pg_constraint n, LATERAL ("
        "       SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY o.n) AS quoted, "
        "              string_agg(quote_ident(coalesce(($4::text[])[array_position($3::text[], "
        "                  a.attname::text)], a.attname::text)), ', ' ORDER BY o.n) AS renamed "
        "         FROM unnest(n.conkey) WITH ORDINALITY o(attnum, n) "
        "         JOIN pg_attribute a ON a.attrelid = n.conrelid AND a.attnum = o.attnum) k "
        " WHERE n.conrelid = $1::oid AND n.conname = $2",
        parameters, 4, error);
    text_release(&others);
    text_release(&own);
    if (!result)
        return NULL;
    char *definition = memory_string(PQntuples(result) == 1 ? query_value(result, 0, 0)
                                                            : subject->side->definition);
    PQclear(result);
    return definition;
}

static bool ensure_foreign_key(const struct subject *subject, struct error *error)
{
    char *definition = live_definition(subject, error);
    bool done = definition &&
                foreign_keys_make(subject->work, subject->table.data, subject->side->name,
                                  definition, error) &&
                foreign_keys_name_parts(subject->work, subject->pair, subject->shape, error);
    free(definition);
    return done;
}

static bool ensure_check(const struct subject *subject, const struct presence *presence,
                         struct error *error)
{
    const char *table = subject->table.data, *name = subject->name.data;
    const char *definition = subject->side->definition;
    bool stays_not_valid = pairs_is_not_valid(definition);
    return (presence->constraint ||
            pairs_alter(subject->work, error, "ALTER TABLE %s ADD CONSTRAINT %s %s%s", table, name,
                        definition, stays_not_valid ? "" : " NOT VALID")) &&
           (stays_not_valid || presence->is_validated ||
            pairs_alter(subject->work, error, "ALTER TABLE %s VALIDATE CONSTRAINT %s", table,
                        name));
}

static bool remove_it(const struct subject *subject, const struct presence *presence,
                      struct error *error)
{
    struct work *work = subject->work;
    const char *table = subject->table.data, *name = subject->name.data;
    if (subject->pair->kind == PAIR_FOREIGN_KEY)
        return foreign_keys_drop(work, table, subject->side->name, error);
    if (presence->constraint &&
        !pairs_alter(work, error, "ALTER TABLE %s DROP CONSTRAINT %s", table, name))
        return false;
    if (presence->is_partitioned && pair_is_index(subject->pair->kind))
        return (presence->constraint || !presence->index ||
                pairs_alter(work, error, "DROP INDEX %s", subject->index.data)) &&
               partitions_remove(work, subject->pair, subject->shape, error);
    return presence->constraint || !presence->index || drop_index(work, subject->index.data, error);
}

static bool fit(struct work *work, const struct pair *pair, enum shape shape, enum wish wanted,
                struct error *error)
{
    struct subject subject;
    struct presence presence;
    bool done = subject_init(&subject, work, pair, shape, error) &&
                look_up(work, pair, shape, &presence, error);
    if (done && wanted == WISH_ABSENT)
        done = remove_it(&subject, &presence, error);
    else if (done && pair_is_index(pair->kind))
        done = ensure_index(&subject, &presence, error);
    else if (done && pair->kind == PAIR_FOREIGN_KEY)
        done = ensure_foreign_key(&subject, error);
    else if (done)
        done = ensure_check(&subject, &presence, error);
    subject_release(&subject);
    return done;
}

static bool fit_all(struct work *work, enum phase phase, enum wish wanted, struct error *error)
{
    for (size_t i = 0; i < work->transition->pair_count; i++) {
        for (int shape = 0; shape < SHAPE_COUNT; shape++) {
            const struct pair *pair = &work->transition->pairs[i];
            if (!pair->is_part && wish(work, pair, (enum shape)shape, phase) == wanted &&
                !fit(work, pair, (enum shape)shape, wanted, error))
                return false;
        }
    }
    return true;
}

/*
 * All before the move, so that neither of the two phases that meet is hurt. But what is handed over
 * stays with the new column as long as a session in dual_own may name its index.
 */
bool pairs_fit(struct work *work, enum phase phase, enum trim when, struct error *error)
{
    if (when == TRIM_AFTER_MOVE)
        return phase > PHASE_DUAL_OLD || handover_to(work, SHAPE_OLD, error);
    if (!fit_all(work, phase, WISH_PRESENT, error))
        return false;
    if (phase == PHASE_NEW && !handover_to(work, SHAPE_NEW, error))
        return false;
    return fit_all(work, phase, WISH_ABSENT, error);
}
