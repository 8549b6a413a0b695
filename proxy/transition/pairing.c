/*
 * Pairing: what stands on the old column, and what would stand on the new one.
 *
 * The server is asked, not guessed at: a temporary table like the real one gets the index or the
 * constraint, then its column the new type and name, as ALTER TABLE .. TYPE would do it to a real
 * table; what the server then says that stands there is the counterpart. So operator classes,
 * collations, expressions and predicates are what a plain table of the new shape would have.
 *
 * An expression over the column means the same over the new one only where both conversions are
 * plain casts between types of one category (int to bigint, varchar to text). Elsewhere (a check
 * that amounts given as text look like numbers) none is made up.
 */
#include "pairing.h"

#include "segue/base/arena.h"
#include "segue/base/memory.h"
#include "segue/sql/expression.h"

#include <libpq-fe.h>
#include <stdlib.h>

static const char like[] = "pg_temp.segue_like";

enum field {
    FIELD_KIND,
    FIELD_RELATION, /* OID */
    FIELD_TABLE,    /* qualified, quoted */
    FIELD_TABLE_NAME,
    FIELD_NAME,
    FIELD_DEFINITION,     /* what comes behind ON t, or ADD CONSTRAINT name */
    FIELD_NEW_DEFINITION, /* of a foreign key, which no temporary table can have */
    FIELD_EXPRESSION,     /* of an index: its expressions and its predicate; of a check: itself */
    FIELD_JOINED,         /* columns, as default names of indexes and constraints have them */
    FIELD_NEW_JOINED,
    FIELD_DEFERRABLE,
    FIELD_DEFERRED,
    FIELD_ACTS,       /* a foreign key writes the column by itself */
    FIELD_COMPARABLE, /* a foreign key's new type has an equality with what it refers to */
    FIELD_OBJECT      /* OID of the index or the constraint */
};

/*
 * $2 the old column, $3 the new one's physical, $4 its final name, $5 its type's OID. What a
 * partition or a child has from its parent is the parent's.
 */
static const char candidates_query[] =
    "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION ALL "
    "  SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid), "
    "col AS (SELECT a.attrelid, a.attnum, r.relname, a.attrelid::regclass::text AS qualified "
    "          FROM tree JOIN pg_class r ON r.oid = tree.oid "
    "          JOIN pg_attribute a ON a.attrelid = tree.oid "
    "         WHERE a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped) "
    "SELECT CASE WHEN x.indisprimary THEN 'primary key' WHEN n.oid IS NOT NULL THEN 'unique' "
    "            WHEN x.indisunique THEN 'unique index' ELSE 'index' END, "
    "       c.attrelid, c.qualified, c.relname, i.relname AS name, "
    "       substr(h.text, strpos(h.text, h.head || 'USING ') + length(h.head)), "
    "       NULL, "
    "       nullif(concat_ws(', ', pg_get_expr(x.indexprs, c.attrelid), "
    "                              pg_get_expr(x.indpred, c.attrelid)), ''), "
    "       (SELECT string_agg(a.attname, '_' ORDER BY a.attnum) FROM pg_attribute a "
    "         WHERE a.attrelid = i.oid), "
    "       (SELECT string_agg(CASE a.attname WHEN $2 THEN $4 ELSE a.attname END, '_' "
    "                          ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = i.oid), "
    "       coalesce(n.condeferrable, false), coalesce(n.condeferred, false), false, true, "
    "       i.oid "
    "  FROM col c JOIN pg_index x ON x.indrelid = c.attrelid "
    "  JOIN pg_class i ON i.oid = x.indexrelid "
    "  CROSS JOIN LATERAL (SELECT pg_get_indexdef(i.oid) AS text, quote_ident(i.relname) || ' ON ' "
    "    || CASE i.relkind WHEN 'I' THEN 'ONLY ' ELSE '' END || c.qualified || ' ' AS head) h "
    "  LEFT JOIN pg_constraint n ON n.conindid = i.oid AND n.conrelid = c.attrelid "
    "   AND n.contype IN ('p', 'u', 'x') "
    " WHERE NOT x.indisexclusion AND x.indislive "
    "   AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.oid) "
    "   AND (c.attnum = ANY (x.indkey::int2[]) OR EXISTS (SELECT FROM pg_depend d "
    "          WHERE d.classid = 'pg_class'::regclass AND d.objid = i.oid "
    "            AND d.refclassid = 'pg_class'::regclass "
    "            AND d.refobjid = c.attrelid AND d.refobjsubid = c.attnum)) "
    "UNION ALL "
    "SELECT CASE n.contype WHEN 'c' THEN 'check' ELSE 'foreign key' END, "
    "       c.attrelid, c.qualified, c.relname, n.conname, pg_get_constraintdef(n.oid), "
    "       CASE WHEN n.contype = 'f' THEN 'FOREIGN KEY (' || k.renamed || ')' || "
    "            substr(pg_get_constraintdef(n.oid), length('FOREIGN KEY (' || k.quoted || ')') "
    "                   + 1) END, "
    "       CASE WHEN n.contype = 'c' THEN pg_get_expr(n.conbin, c.attrelid) END, "
    "       k.joined, k.new_joined, n.condeferrable, n.condeferred, "
    "       n.contype = 'f' AND (n.confupdtype IN ('c', 'n', 'd') OR n.confdeltype IN ('n', 'd')), "
    "       n.contype <> 'f' OR EXISTS (SELECT FROM pg_amop o JOIN pg_type t ON t.oid = $5::oid "
    "         JOIN pg_attribute f ON f.attrelid = n.confrelid "
    "          AND f.attnum = n.confkey[array_position(n.conkey, c.attnum)] "
    "        WHERE o.amopstrategy = 3 AND o.amopmethod = (SELECT oid FROM pg_am "
    "                                                       WHERE amname = 'btree') "
    "          AND (o.amoplefttype, o.amoprighttype) IN ((f.atttypid, t.oid), (t.oid, f.atttypid)) "
    "           OR t.oid = f.atttypid OR EXISTS (SELECT FROM pg_cast s WHERE s.castcontext = 'i' "
    "                AND s.castsource = t.oid AND s.casttarget = f.atttypid)), "
    "       n.oid "
    "  FROM col c JOIN pg_constraint n ON n.conrelid = c.attrelid AND n.contype IN ('c', 'f') "
    "   AND c.attnum = ANY (n.conkey) AND n.conparentid = 0 AND n.coninhcount = 0, "
    "  LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY o.n) AS quoted, "
    "                  string_agg(quote_ident(CASE a.attname WHEN $2 THEN $3 ELSE a.attname END), "
    "                             ', ' ORDER BY o.n) AS renamed, "
    "                  string_agg(a.attname, '_' ORDER BY o.n) AS joined, "
    "                  string_agg(CASE a.attname WHEN $2 THEN $4 ELSE a.attname END, '_' "
    "                             ORDER BY o.n) AS new_joined "
    "             FROM unnest(n.conkey) WITH ORDINALITY o(attnum, n) "
    "             JOIN pg_attribute a ON a.attrelid = n.conrelid AND a.attnum = o.attnum) k "
    "ORDER BY name";

struct pairing {
    struct transition *transition;
    PGconn *connection;
    const struct transition_column *before, *after;
    PGresult *candidates;
};

static const char *field(const struct pairing *pairing, int row, enum field which)
{
    return query_value(pairing->candidates, row, (int)which);
}

/* ---------------------------------------------------------------- names */

/*
 * A name that PostgreSQL made up from the table's and the column's ("users_role_idx") is made up
 * anew; one that somebody gave is kept.
 */
char *pairing_final_name(const char *table, const char *name, const char *joined,
                         const char *new_joined)
{
    static const char *const endings[] = {"_idx", "_key", "_fkey", "_check"};
    struct text made_up;
    text_init(&made_up, TEXT_UNBOUNDED);
    text_add_format(&made_up, "%s_%s", table, joined);
    bool is_made_up = strncmp(name, made_up.data, made_up.length) == 0, ends = false;
    const char *rest = is_made_up ? name + made_up.length : "";
    for (size_t i = 0; is_made_up && i < sizeof endings / sizeof endings[0]; i++)
        ends |= strncmp(rest, endings[i], strlen(endings[i])) == 0;
    text_clear(&made_up);
    text_add_format(&made_up, "%s_%s%s", table, new_joined, rest);
    char *chosen = memory_string(is_made_up && ends && made_up.length < 64 ? made_up.data : name);
    text_release(&made_up);
    return chosen;
}

static struct pair *add_pair(struct pairing *pairing, int row, enum pair_kind kind)
{
    struct transition *transition = pairing->transition;
    transition->pairs =
        memory_resize(transition->pairs, (transition->pair_count + 1) * sizeof *transition->pairs);
    struct pair *pair = &transition->pairs[transition->pair_count++];
    *pair = (struct pair){
        .kind = kind,
        .relation = (uint32_t)strtoul(field(pairing, row, FIELD_RELATION), NULL, 10),
        .is_deferrable = query_boolean(pairing->candidates, row, FIELD_DEFERRABLE),
        .is_deferred = query_boolean(pairing->candidates, row, FIELD_DEFERRED),
    };
    struct text name;
    text_init(&name, TEXT_UNBOUNDED);
    text_add_format(&name, "segue_%s_%zu", transition->name, transition->pair_count);
    pair->side[SHAPE_OLD].name = memory_string(field(pairing, row, FIELD_NAME));
    pair->side[SHAPE_OLD].logical = memory_string(field(pairing, row, FIELD_NAME));
    pair->side[SHAPE_OLD].definition = memory_string(field(pairing, row, FIELD_DEFINITION));
    pair->side[SHAPE_NEW].name = text_take(&name);
    pair->side[SHAPE_NEW].logical = pairing_final_name(
        field(pairing, row, FIELD_TABLE_NAME), field(pairing, row, FIELD_NAME),
        field(pairing, row, FIELD_JOINED), field(pairing, row, FIELD_NEW_JOINED));
    return pair;
}

static void drop_pair(struct pairing *pairing)
{
    pair_release(&pairing->transition->pairs[--pairing->transition->pair_count]);
}

/* ---------------------------------------------------------------- asking the server */

static bool run(struct pairing *pairing, struct error *error, const char *format, ...)
    PRINTF_LIKE(3, 4);
static bool run(struct pairing *pairing, struct error *error, const char *format, ...)
{
    struct text query;
    va_list arguments;
    text_init(&query, TEXT_UNBOUNDED);
    va_start(arguments, format);
    text_add_format_list(&query, format, arguments);
    va_end(arguments);
    bool done = query_do(pairing->connection, query.data, error);
    text_release(&query);
    return done;
}

static bool make_like(struct pairing *pairing, int row, struct error *error)
{
    const char *name = strchr(like, '.') + 1;
    if (!run(pairing, error, "DROP TABLE IF EXISTS %s; CREATE TEMPORARY TABLE %s (LIKE %s)", like,
             name, field(pairing, row, FIELD_TABLE)))
        return false;
    struct text column;
    text_init(&column, TEXT_UNBOUNDED);
    text_add_identifier(&column, pairing->before->physical);
    bool done =
        run(pairing, error, "ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", like, column.data);
    text_release(&column);
    return done;
}

static bool make_original(struct pairing *pairing, int row, enum pair_kind kind,
                          struct error *error)
{
    const char *definition = field(pairing, row, FIELD_DEFINITION);
    if (kind == PAIR_CHECK)
        return run(pairing, error, "ALTER TABLE %s ADD CONSTRAINT segue_like_object %s", like,
                   definition);
    return run(pairing, error, "CREATE %sINDEX segue_like_object ON %s %s",
               pair_is_unique(kind) ? "UNIQUE " : "", like, definition);
}

static bool rename_column(struct pairing *pairing, const char *from, const char *to,
                          struct error *error)
{
    if (strcmp(from, to) == 0)
        return true;
    struct text names;
    text_init(&names, TEXT_UNBOUNDED);
    text_add_identifier(&names, from);
    text_add_string(&names, " TO ");
    text_add_identifier(&names, to);
    bool done = run(pairing, error, "ALTER TABLE %s RENAME COLUMN %s", like, names.data);
    text_release(&names);
    return done;
}

/* As ALTER TABLE .. TYPE does it, with everything that stands on the column. */
static bool change_type(struct pairing *pairing, struct error *error)
{
    struct text name, converted;
    text_init(&name, TEXT_UNBOUNDED);
    text_init(&converted, TEXT_UNBOUNDED);
    text_add_identifier(&name, pairing->before->physical);
    transition_converted(pairing->transition, SHAPE_NEW, 0, "", &converted);
    bool done = run(pairing, error, "ALTER TABLE %s ALTER COLUMN %s TYPE %s USING %s", like,
                    name.data, pairing->after->type, converted.data);
    text_release(&name);
    text_release(&converted);
    return done;
}

static bool ask(struct pairing *pairing, const char *query, char **answer, struct error *error)
{
    PGresult *result = query_run(pairing->connection, query, error);
    if (result && PQntuples(result) == 1)
        *answer = memory_string(query_value(result, 0, 0));
    PQclear(result);
    return result && (*answer || error_set(error, "XX000", "the probe's index is not there"));
}

static bool ask_definition(struct pairing *pairing, enum pair_kind kind, char **definition,
                           struct error *error)
{
    if (kind == PAIR_CHECK)
        return ask(pairing,
                   "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
                   " WHERE conrelid = 'pg_temp.segue_like'::regclass "
                   "   AND conname = 'segue_like_object'",
                   definition, error);
    return ask(pairing,
               "SELECT substr(d, strpos(d, ' USING ') + 1) "
               "  FROM pg_get_indexdef('pg_temp.segue_like_object'::regclass) d",
               definition, error);
}

static bool ask_inference(struct pairing *pairing, enum pair_kind kind, char **inference,
                          struct error *error)
{
    if (!pair_is_unique(kind))
        return true;
    return ask(pairing,
               "SELECT '(' || string_agg(pg_get_indexdef(x.indexrelid, k, false), ', ' "
               "                         ORDER BY k) || ')' || "
               "       coalesce(' WHERE ' || pg_get_expr(x.indpred, x.indrelid), '') "
               "  FROM pg_index x, generate_series(1, x.indnkeyatts) k "
               " WHERE x.indexrelid = 'pg_temp.segue_like_object'::regclass "
               " GROUP BY x.indexrelid, x.indpred, x.indrelid",
               inference, error);
}

static bool derive(struct pairing *pairing, int row, struct pair *pair, struct error *error)
{
    struct pair_of_shape *old = &pair->side[SHAPE_OLD], *new = &pair->side[SHAPE_NEW];
    return make_like(pairing, row, error) && make_original(pairing, row, pair->kind, error) &&
           ask_inference(pairing, pair->kind, &old->inference, error) &&
           change_type(pairing, error) &&
           rename_column(pairing, pairing->before->physical, pairing->after->physical, error) &&
           ask_definition(pairing, pair->kind, &new->definition, error) &&
           ask_inference(pairing, pair->kind, &new->inference, error) &&
           rename_column(pairing, pairing->after->physical, pairing->after->name, error) &&
           ask_inference(pairing, pair->kind, &pair->final_inference, error);
}

/* ---------------------------------------------------------------- one candidate */

static bool mentions(const char *expression, const char *column)
{
    if (!expression)
        return false;
    struct arena arena;
    struct sql_expression parsed;
    struct text row; /* several expressions of an index are a list */
    arena_init(&arena);
    text_init(&row, TEXT_UNBOUNDED);
    text_add_format(&row, "ROW(%s)", expression);
    bool found = !sql_expression_read(&arena, row.data, &parsed, NULL);
    for (size_t i = 0; !found && i < parsed.column_count; i++)
        found = strcmp(parsed.columns[i].name, column) == 0;
    text_release(&row);
    arena_release(&arena);
    return found;
}

static bool refuse(const struct pairing *pairing, int row, const struct error *why,
                   const char *detail, struct error *error)
{
    error_set(error, "0A000", "%s \"%s\" cannot be carried over from column \"%s\" to type %s",
              field(pairing, row, FIELD_KIND), field(pairing, row, FIELD_NAME),
              pairing->before->name, pairing->after->type);
    error_detail(error, "%s", why ? why->message : detail);
    error_hint(error, "Drop it, or leave this column as it is.");
    return false;
}

static bool pair_foreign_key(struct pairing *pairing, int row, struct error *error)
{
    if (!query_boolean(pairing->candidates, row, FIELD_COMPARABLE))
        return refuse(pairing, row, NULL,
                      "The new type cannot be compared with the column that it refers to.", error);
    bool acts = query_boolean(pairing->candidates, row, FIELD_ACTS);
    if (acts && pairing->transition->guard != GUARD_SYNC)
        return refuse(pairing, row, NULL,
                      "It writes the column by itself (ON UPDATE or ON DELETE), so the guard must "
                      "be sync.",
                      error);
    struct pair *pair = add_pair(pairing, row, PAIR_FOREIGN_KEY);
    pair->side[SHAPE_NEW].definition = memory_string(field(pairing, row, FIELD_NEW_DEFINITION));
    return true;
}

/* What has no counterpart and is not unique is left behind: CHECK tells. */
static bool leave(struct pairing *pairing, int row, enum pair_kind kind, const struct error *why,
                  struct error *error)
{
    if (pair_is_unique(kind))
        return refuse(pairing, row, why,
                      "Its expressions or its predicate would mean something else there.", error);
    return true;
}

static bool pair_candidate(struct pairing *pairing, int row, struct error *error)
{
    enum pair_kind kind;
    if (!pair_kind_parse(field(pairing, row, FIELD_KIND), &kind))
        BUG("unknown kind of pair");
    if (kind == PAIR_FOREIGN_KEY)
        return pair_foreign_key(pairing, row, error);
    if (!pairing->transition->is_plain_cast &&
        mentions(field(pairing, row, FIELD_EXPRESSION), pairing->before->physical))
        return leave(pairing, row, kind, NULL, error);
    struct error why = {0};
    if (!query_do(pairing->connection, "SAVEPOINT segue_pair", error))
        return false;
    bool derived = derive(pairing, row, add_pair(pairing, row, kind), &why);
    if (!query_do(pairing->connection, "ROLLBACK TO SAVEPOINT segue_pair", error))
        return false;
    if (derived)
        return true;
    drop_pair(pairing);
    return leave(pairing, row, kind, &why, error);
}

static bool find_parts(struct pairing *pairing, int row, size_t wholes, struct error *error)
{
    const uint32_t relation = (uint32_t)query_integer(pairing->candidates, row, FIELD_RELATION);
    const char *name = field(pairing, row, FIELD_NAME);
    for (size_t i = 0; i < wholes; i++) {
        const struct pair *pair = &pairing->transition->pairs[i];
        if (pair->relation == relation && strcmp(pair->side[SHAPE_OLD].name, name) == 0)
            return pairing_find_parts(pairing->transition, pairing->connection, i,
                                      field(pairing, row, FIELD_OBJECT), error);
    }
    return true; /* it has no counterpart */
}

static bool find_candidates(struct pairing *pairing, struct error *error)
{
    char oid[16], type[16];
    snprintf(oid, sizeof oid, "%u", pairing->transition->table_oid);
    snprintf(type, sizeof type, "%u", pairing->after->type_oid);
    const char *parameters[] = {oid, pairing->before->physical, pairing->after->physical,
                                pairing->after->name, type};
    pairing->candidates =
        query_run_with(pairing->connection, candidates_query, parameters, 5, error);
    return pairing->candidates != NULL;
}

bool pairing_find(struct transition *transition, struct pg_conn *connection, struct error *error)
{
    if (!pairing_is_possible(transition))
        return true;
    struct pairing pairing = {.transition = transition,
                              .connection = connection,
                              .before = &transition->columns[SHAPE_OLD][0],
                              .after = &transition->columns[SHAPE_NEW][0]};
    bool done = find_candidates(&pairing, error);
    for (int row = 0; done && row < PQntuples(pairing.candidates); row++)
        done = pair_candidate(&pairing, row, error);
    const size_t wholes = transition->pair_count;
    for (int row = 0; done && row < PQntuples(pairing.candidates); row++)
        done = find_parts(&pairing, row, wholes, error);
    PQclear(pairing.candidates);
    return done;
}
