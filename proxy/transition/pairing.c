/*
 * Pairing: what stands on old columns, and what would stand on new ones (pairing_derive.c).
 *
 * Columns that change one by one are partners: what stands on the one can stand on the other. Of
 * those that change together (a name that is split) a key can be carried over where all of them are
 * in it, the transition is lossless and none can be NULL: then rows differ in the ones exactly
 * where they differ in the others.
 *
 * An expression over a column means the same over the new one only where both conversions are
 * plain casts between types of one category (int to bigint, varchar to text). Elsewhere (a check
 * that amounts given as text look like numbers) none is made up.
 */
#include "pairing.h"

#include "segue/base/arena.h"
#include "segue/base/memory.h"
#include "segue/sql/expression.h"

#include <libpq-fe.h>
#include <stdlib.h>

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
 * $2 the old columns; $3 their partners in the table, $4 by their final names and $5 by their
 * types' OIDs, NULL where one has none; $6 the final names of new columns without a partner,
 * joined. What a partition or a child has from its parent is the parent's.
 */
/* clang-format off */
static const char indexes_query[] =
    "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION ALL "
    "  SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid), "
    "col AS (SELECT a.attrelid, array_agg(a.attnum) AS nums, r.relname, "
    "               a.attrelid::regclass::text AS qualified "
    "          FROM tree JOIN pg_class r ON r.oid = tree.oid "
    "          JOIN pg_attribute a ON a.attrelid = tree.oid "
    "         WHERE a.attname = ANY ($2::text[]) AND a.attnum > 0 AND NOT a.attisdropped "
    "         GROUP BY a.attrelid, r.relname) "
    "SELECT CASE WHEN x.indisprimary THEN 'primary key' WHEN n.oid IS NOT NULL THEN 'unique' "
    "            WHEN x.indisunique THEN 'unique index' ELSE 'index' END, "
    "       c.attrelid, c.qualified, c.relname, i.relname AS name, "
    "       substr(h.text, strpos(h.text, h.head || 'USING ') + length(h.head)), "
    "       NULL, "
    "       nullif(concat_ws(', ', pg_get_expr(x.indexprs, c.attrelid), "
    "                              pg_get_expr(x.indpred, c.attrelid)), ''), "
    "       k.joined, k.new_joined, "
    "       coalesce(n.condeferrable, false), coalesce(n.condeferred, false), false, true, "
    "       i.oid "
    "  FROM col c JOIN pg_index x ON x.indrelid = c.attrelid "
    "  JOIN pg_class i ON i.oid = x.indexrelid "
    "  CROSS JOIN LATERAL (SELECT pg_get_indexdef(i.oid) AS text, quote_ident(i.relname) || ' ON ' "
    "    || CASE i.relkind WHEN 'I' THEN 'ONLY ' ELSE '' END || c.qualified || ' ' AS head) h "
    "  CROSS JOIN LATERAL (SELECT string_agg(a.attname, '_' ORDER BY a.attnum) AS joined, "
    "    string_agg(" PAIRING_NEW_NAME("$2", "$4", "$6") ", '_' ORDER BY a.attnum) AS new_joined "
    "      FROM pg_attribute a WHERE a.attrelid = i.oid) k "
    "  LEFT JOIN pg_constraint n ON n.conindid = i.oid AND n.conrelid = c.attrelid "
    "   AND n.contype IN ('p', 'u', 'x') "
    " WHERE NOT x.indisexclusion AND x.indislive "
    "   AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.oid) "
    "   AND (c.nums && x.indkey::int2[] OR EXISTS (SELECT FROM pg_depend d "
    "          WHERE d.classid = 'pg_class'::regclass AND d.objid = i.oid "
    "            AND d.refclassid = 'pg_class'::regclass "
    "            AND d.refobjid = c.attrelid AND d.refobjsubid = ANY (c.nums))) ";

static const char constraints_query[] =
    "UNION ALL "
    "SELECT CASE n.contype WHEN 'c' THEN 'check' ELSE 'foreign key' END, "
    "       c.attrelid, c.qualified, c.relname, n.conname, pg_get_constraintdef(n.oid), "
    "       CASE WHEN n.contype = 'f' THEN 'FOREIGN KEY (' || k.renamed || ')' || "
    "            substr(pg_get_constraintdef(n.oid), length('FOREIGN KEY (' || k.quoted || ')') "
    "                   + 1) END, "
    "       CASE WHEN n.contype = 'c' THEN pg_get_expr(n.conbin, c.attrelid) END, "
    "       k.joined, k.new_joined, n.condeferrable, n.condeferred, "
    "       n.contype = 'f' AND (n.confupdtype IN ('c', 'n', 'd') OR n.confdeltype IN ('n', 'd')), "
    "       n.contype <> 'f' OR NOT EXISTS (SELECT FROM unnest(n.conkey, n.confkey) o(here, there) "
    "         JOIN pg_attribute a ON a.attrelid = n.conrelid AND a.attnum = o.here "
    "          AND a.attname = ANY ($2::text[]) "
    "         JOIN pg_attribute f ON f.attrelid = n.confrelid AND f.attnum = o.there "
    "         JOIN pg_type t "
    "           ON t.oid = ($5::oid[])[array_position($2::text[], a.attname::text)] "
    "        WHERE t.oid <> f.atttypid "
    "          AND NOT EXISTS (SELECT FROM pg_amop p WHERE p.amopstrategy = 3 "
    "                AND p.amopmethod = (SELECT oid FROM pg_am WHERE amname = 'btree') "
    "                AND (p.amoplefttype, p.amoprighttype) "
    "                    IN ((f.atttypid, t.oid), (t.oid, f.atttypid))) "
    "          AND NOT EXISTS (SELECT FROM pg_cast s WHERE s.castcontext = 'i' "
    "                AND s.castsource = t.oid AND s.casttarget = f.atttypid)), "
    "       n.oid "
    "  FROM col c JOIN pg_constraint n ON n.conrelid = c.attrelid AND n.contype IN ('c', 'f') "
    "   AND c.nums && n.conkey AND n.conparentid = 0 AND n.coninhcount = 0, "
    "  LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY o.n) AS quoted, "
    "                  string_agg(quote_ident(" PAIRING_NEW_NAME("$2", "$3", "NULL") "), "
    "                             ', ' ORDER BY o.n) AS renamed, "
    "                  string_agg(a.attname, '_' ORDER BY o.n) AS joined, "
    "                  string_agg(" PAIRING_NEW_NAME("$2", "$4", "NULL") ", '_' "
    "                             ORDER BY o.n) AS new_joined "
    "             FROM unnest(n.conkey) WITH ORDINALITY o(attnum, n) "
    "             JOIN pg_attribute a "
    "               ON a.attrelid = n.conrelid AND a.attnum = o.attnum) k "
    "ORDER BY name";
/* clang-format on */

struct pairing {
    struct transition *transition;
    PGconn *connection;
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

/* ---------------------------------------------------------------- one candidate */

static bool mentions(const char *expression, const struct transition *transition)
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
        found = transition_find_physical(transition, SHAPE_OLD, parsed.columns[i].name) != NULL;
    text_release(&row);
    arena_release(&arena);
    return found;
}

static bool refuse(const struct pairing *pairing, int row, const struct error *why,
                   const char *detail, struct error *error)
{
    const struct transition *transition = pairing->transition;
    const char *kind = field(pairing, row, FIELD_KIND), *name = field(pairing, row, FIELD_NAME);
    if (pairing_is_of_single_columns(transition))
        error_set(error, "0A000", "%s \"%s\" cannot be carried over from column \"%s\" to type %s",
                  kind, name, transition->columns[SHAPE_OLD][0].name,
                  transition->columns[SHAPE_NEW][0].type);
    else
        error_set(error, "0A000", "%s \"%s\" cannot be carried over to the new columns", kind,
                  name);
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
        mentions(field(pairing, row, FIELD_EXPRESSION), pairing->transition))
        return leave(pairing, row, kind, NULL, error);
    struct error why = {0};
    if (!query_do(pairing->connection, "SAVEPOINT segue_pair", error))
        return false;
    bool derived =
        pairing_derive(pairing->transition, pairing->connection, field(pairing, row, FIELD_TABLE),
                       add_pair(pairing, row, kind), &why);
    if (!query_do(pairing->connection, "ROLLBACK TO SAVEPOINT segue_pair", error))
        return false;
    if (derived)
        return true;
    drop_pair(pairing);
    return leave(pairing, row, kind, &why, error);
}

/* Arrays of old columns and their partners, for SQL. */
struct names {
    struct text old, physical, final, types, rest;
};

static void names_init(struct names *names, const struct transition *transition)
{
    struct text *all[] = {&names->old, &names->physical, &names->final, &names->types,
                          &names->rest};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        text_init(all[i], TEXT_UNBOUNDED);
    for (size_t i = 0; i < transition->column_count[SHAPE_OLD]; i++) {
        size_t partner = transition_partner(transition, SHAPE_OLD, i);
        const struct transition_column *column =
            partner == TRANSITION_NONE ? NULL : &transition->columns[SHAPE_NEW][partner];
        char type[16];
        snprintf(type, sizeof type, "%u", column ? column->type_oid : 0);
        text_add_array_item(&names->old, transition->columns[SHAPE_OLD][i].physical);
        text_add_array_item(&names->physical, column ? column->physical : NULL);
        text_add_array_item(&names->final, column ? column->name : NULL);
        text_add_array_item(&names->types, column ? type : NULL);
    }
    for (size_t i = 0; i < 4; i++)
        text_add_char(all[i], '}');
    for (size_t i = 0; i < transition->column_count[SHAPE_NEW]; i++)
        if (transition_partner(transition, SHAPE_NEW, i) == TRANSITION_NONE)
            text_add_format(&names->rest, "%s%s", names->rest.length ? "_" : "",
                            transition->columns[SHAPE_NEW][i].name);
}

static void names_release(struct names *names)
{
    text_release(&names->old);
    text_release(&names->physical);
    text_release(&names->final);
    text_release(&names->types);
    text_release(&names->rest);
}

static bool find_candidates(struct pairing *pairing, const struct names *names, struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", pairing->transition->table_oid);
    const char *parameters[] = {oid,
                                names->old.data,
                                names->physical.data,
                                names->final.data,
                                names->types.data,
                                names->rest.data};
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_string(&query, indexes_query);
    text_add_string(&query, constraints_query);
    pairing->candidates = query_run_with(pairing->connection, query.data, parameters, 6, error);
    text_release(&query);
    return pairing->candidates != NULL;
}

static bool find_parts(struct pairing *pairing, int row, const struct names *names, size_t wholes,
                       struct error *error)
{
    const uint32_t relation = (uint32_t)query_integer(pairing->candidates, row, FIELD_RELATION);
    const char *name = field(pairing, row, FIELD_NAME);
    for (size_t i = 0; i < wholes; i++) {
        const struct pair *pair = &pairing->transition->pairs[i];
        if (pair->relation != relation || strcmp(pair->side[SHAPE_OLD].name, name) != 0)
            continue;
        const struct pairing_whole whole = {.pair = i,
                                            .object = field(pairing, row, FIELD_OBJECT),
                                            .old = names->old.data,
                                            .final = names->final.data,
                                            .rest = names->rest.data};
        return pairing_find_parts(pairing->transition, pairing->connection, &whole, error);
    }
    return true; /* it has no counterpart */
}

bool pairing_find(struct transition *transition, struct pg_conn *connection, struct error *error)
{
    struct pairing pairing = {.transition = transition, .connection = connection};
    struct names names;
    names_init(&names, transition);
    bool done = find_candidates(&pairing, &names, error);
    for (int row = 0; done && row < PQntuples(pairing.candidates); row++)
        done = pair_candidate(&pairing, row, error);
    const size_t wholes = transition->pair_count;
    for (int row = 0; done && row < PQntuples(pairing.candidates); row++)
        done = find_parts(&pairing, row, &names, wholes, error);
    PQclear(pairing.candidates);
    names_release(&names);
    return done;
}
