/*
 * Handover: a table has one primary key, a foreign key points at one column, and an identity counts
 * on one. In phase new the old columns are not written, so there the new ones have them.
 *
 * What takes time is done beforehand: indexes are there (pairs.c), foreign keys are made beside
 * those that they replace and validated. Then one transaction under short locks changes over.
 */
#include "pairs.h"

#include <libpq-fe.h>

/* Runs a query of (table, columns of the side that has it now, of the side that gets it, name). */
static PGresult *ask(struct work *work, const char *query, enum shape to, struct error *error)
{
    const struct transition *transition = work->transition;
    char oid[16];
    struct text from_names, to_names;
    snprintf(oid, sizeof oid, "%u", transition->table_oid);
    text_init(&from_names, TEXT_UNBOUNDED);
    text_init(&to_names, TEXT_UNBOUNDED);
    transition_partner_names(transition, shape_other(to), &from_names);
    transition_partner_names(transition, to, &to_names);
    const char *parameters[] = {oid, from_names.data, to_names.data, transition->name};
    PGresult *result = query_run_with(work->connection, query, parameters, 4, error);
    text_release(&from_names);
    text_release(&to_names);
    return result;
}

/* ---------------------------------------------------------------- foreign keys that point here */

enum reference_field {
    REFERENCE_TABLE,
    REFERENCE_NAME,
    REFERENCE_TEMPORARY,  /* the name of what is to take its place */
    REFERENCE_DEFINITION, /* of that */
    REFERENCE_IS_LEFTOVER /* made for a handover that went the other way and did not take place */
};

static const char references_query[] =
    "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION "
    "  SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid) "
    "SELECT n.conrelid::regclass, n.conname, "
    "       'segue_' || $4 || '_to_' || n.oid, "
    "       CASE WHEN starts_with(pg_get_constraintdef(n.oid), k.head || k.quoted || ')') "
    "            THEN k.head || k.renamed || substr(pg_get_constraintdef(n.oid), "
    "                                               length(k.head || k.quoted) + 1) END, "
    "       n.conname ~ ('^segue_' || $4 || '_to_[0-9]+$') "
    "  FROM tree JOIN pg_constraint n ON n.confrelid = tree.oid "
    "  CROSS JOIN LATERAL (SELECT 'FOREIGN KEY (' || (SELECT string_agg(quote_ident(f.attname), ', "
    "' "
    "                    ORDER BY o.n) FROM unnest(n.conkey) WITH ORDINALITY o(attnum, n) "
    "                    JOIN pg_attribute f ON f.attrelid = n.conrelid "
    "                     AND f.attnum = o.attnum) || ') REFERENCES ' || n.confrelid::regclass "
    "                  || '(' AS head, "
    "                  string_agg(quote_ident(f.attname), ', ' ORDER BY o.n) AS quoted, "
    "                  bool_or(f.attname = ANY ($2::text[])) AS is_concerned, "
    "                  string_agg(quote_ident(coalesce(($3::text[])[array_position($2::text[], "
    "                      f.attname::text)], f.attname::text)), ', ' ORDER BY o.n) AS renamed "
    "             FROM unnest(n.confkey) WITH ORDINALITY o(attnum, n) "
    "             JOIN pg_attribute f ON f.attrelid = n.confrelid AND f.attnum = o.attnum) k "
    " WHERE n.contype = 'f' AND n.conparentid = 0 AND k.is_concerned ORDER BY n.oid";

/* Makes the one that is to take its place, and adds the change-over to the script. */
static bool prepare_reference(struct work *work, const PGresult *references, int row,
                              struct text *script, struct error *error)
{
    const char *table = query_value(references, row, REFERENCE_TABLE);
    const char *name = query_value(references, row, REFERENCE_NAME);
    const char *temporary = query_value(references, row, REFERENCE_TEMPORARY);
    const char *definition = query_value(references, row, REFERENCE_DEFINITION);
    if (!definition)
        return error_set(error, "XX000", "foreign key %s on %s is not spelled as expected", name,
                         table);
    progress_notice(&work->change->progress, "pointing foreign key %s of %s at the other column",
                    name, table);
    if (!foreign_keys_make(work, table, temporary, definition, error))
        return false;
    text_add_format(script, "ALTER TABLE %s DROP CONSTRAINT ", table);
    text_add_identifier(script, name);
    text_add_format(script, ";\nALTER TABLE %s RENAME CONSTRAINT ", table);
    text_add_identifier(script, temporary);
    text_add_string(script, " TO ");
    text_add_identifier(script, name);
    text_add_string(script, ";\n");
    return foreign_keys_add_renames(work, table, temporary, name, script, error);
}

/* First of all: the names are wanted. */
static bool drop_leftovers(struct work *work, const PGresult *references, struct error *error)
{
    bool done = true;
    for (int row = 0; done && row < PQntuples(references); row++)
        done = !query_boolean(references, row, REFERENCE_IS_LEFTOVER) ||
               foreign_keys_drop(work, query_value(references, row, REFERENCE_TABLE),
                                 query_value(references, row, REFERENCE_NAME), error);
    return done;
}

static bool prepare_references(struct work *work, PGresult *references, struct text *script,
                               struct error *error)
{
    bool done = references && drop_leftovers(work, references, error);
    for (int row = 0; done && row < PQntuples(references); row++)
        done = query_boolean(references, row, REFERENCE_IS_LEFTOVER) ||
               prepare_reference(work, references, row, script, error);
    PQclear(references);
    return done;
}

/*
 * $2: the index that they stand on. Without a list of columns a foreign key stands on the primary
 * key, so its own columns are told in the key's order.
 */
static const char references_over_query[] =
    "SELECT n.conrelid::regclass, n.conname, "
    "       'segue_' || $3 || '_to_' || n.oid, "
    "       CASE WHEN starts_with(pg_get_constraintdef(n.oid), k.head) "
    "            THEN 'FOREIGN KEY (' || k.columns || ') REFERENCES ' || n.confrelid::regclass "
    "                 || substr(pg_get_constraintdef(n.oid), length(k.head) + 1) END, false "
    "  FROM pg_constraint n JOIN pg_class i ON i.oid = n.conindid AND i.relname = $2 "
    "  JOIN pg_constraint p ON p.conrelid = n.confrelid AND p.contype = 'p', "
    "  LATERAL (SELECT 'FOREIGN KEY (' || string_agg(quote_ident(a.attname), ', ' ORDER BY o.n) "
    "                  || ') REFERENCES ' || n.confrelid::regclass || '(' || "
    "                  string_agg(quote_ident(f.attname), ', ' ORDER BY o.n) || ')' AS head, "
    "                  string_agg(quote_ident(a.attname), ', ' "
    "                             ORDER BY array_position(p.conkey, o.there)) AS columns "
    "             FROM unnest(n.conkey, n.confkey) WITH ORDINALITY o(here, there, n) "
    "             JOIN pg_attribute a ON a.attrelid = n.conrelid AND a.attnum = o.here "
    "             JOIN pg_attribute f ON f.attrelid = n.confrelid AND f.attnum = o.there) k "
    " WHERE n.contype = 'f' AND n.conparentid = 0 AND n.confrelid = $1::oid ORDER BY n.oid";

bool handover_add_references_over(struct work *work, const struct pair *pair, enum shape shape,
                                  struct text *script, struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", pair->relation);
    const char *parameters[] = {oid, pair->side[shape].name, work->transition->name};
    return prepare_references(
        work, query_run_with(work->connection, references_over_query, parameters, 3, error), script,
        error);
}

/* ---------------------------------------------------------------- primary key */

bool pairs_is_primary(struct work *work, uint32_t relation, const char *constraint, bool *primary,
                      struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", relation);
    const char *parameters[] = {oid, constraint};
    PGresult *result = query_run_with(work->connection,
                                      "SELECT EXISTS (SELECT FROM pg_constraint "
                                      " WHERE conrelid = $1::oid AND conname = $2 "
                                      "   AND contype = 'p')",
                                      parameters, 2, error);
    if (result)
        *primary = query_boolean(result, 0, 0);
    PQclear(result);
    return result != NULL;
}

static bool is_partitioned(struct work *work, uint32_t relation, bool *partitioned,
                           struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", relation);
    const char *parameters[] = {oid};
    PGresult *result =
        query_run_with(work->connection, "SELECT relkind = 'p' FROM pg_class WHERE oid = $1::oid",
                       parameters, 1, error);
    *partitioned = result && PQntuples(result) == 1 && query_boolean(result, 0, 0);
    PQclear(result);
    return result != NULL;
}

static void add_change_over(const struct pair *pair, enum shape to, const char *table,
                            struct text *script)
{
    text_add_format(script, "ALTER TABLE %s DROP CONSTRAINT ", table);
    text_add_identifier(script, pair->side[shape_other(to)].name);
    text_add_format(script, ";\nALTER TABLE %s ADD CONSTRAINT ", table);
    text_add_identifier(script, pair->side[to].name);
    text_add_string(script, " PRIMARY KEY USING INDEX ");
    text_add_identifier(script, pair->side[to].name);
    text_add_format(script, "%s;\n", pairs_deferral(pair));
}

static bool add_primary_key(struct work *work, const struct pair *pair, enum shape to,
                            struct text *script, struct error *error)
{
    bool primary, partitioned;
    if (!pairs_is_primary(work, pair->relation, pair->side[shape_other(to)].name, &primary, error))
        return false;
    if (!primary)
        return true;
    struct text schema, table;
    text_init(&schema, TEXT_UNBOUNDED);
    text_init(&table, TEXT_UNBOUNDED);
    bool done = pairs_find_table(work, pair->relation, &schema, &table, error) &&
                is_partitioned(work, pair->relation, &partitioned, error);
    if (done && partitioned)
        done = primary_prepare(work, pair, to, table.data, script, error);
    else if (done)
        add_change_over(pair, to, table.data, script);
    text_release(&schema);
    text_release(&table);
    return done;
}

static bool finish_primary_keys(struct work *work, enum shape shape, struct error *error)
{
    bool done = true;
    for (size_t i = 0; done && i < work->transition->pair_count; i++) {
        const struct pair *pair = &work->transition->pairs[i];
        if (pair->kind == PAIR_PRIMARY_KEY && !pair->is_part)
            done = primary_finish(work, pair, shape, error);
    }
    return done;
}

/* ---------------------------------------------------------------- identity */

/*
 * An identity's sequence cannot change its column. So the other column gets a sequence of its own,
 * which goes on where that one stands (ALTER SEQUENCE keeps everybody from drawing numbers
 * meanwhile) and takes its name, grants and comment.
 */
static const char identity_query[] =
    "SELECT format(e'ALTER SEQUENCE %1$s INCREMENT BY %2$s;\\n"
    "ALTER TABLE %3$s ALTER COLUMN %4$I DROP DEFAULT;\\n"
    "ALTER TABLE %3$s ALTER COLUMN %4$I ADD GENERATED %5$s AS IDENTITY (SEQUENCE NAME %6$I.%7$I "
    "INCREMENT BY %2$s %8$s %9$s START WITH %10$s CACHE %11$s%12$s);\\n"
    "SELECT setval(%17$L::regclass, last_value, is_called) FROM %1$s;\\n"
    "%13$s%14$s"
    "ALTER TABLE %3$s ALTER COLUMN %15$I DROP IDENTITY;\\n"
    "ALTER SEQUENCE %6$I.%7$I RENAME TO %16$I;\\n', "
    "         s.oid::regclass, q.seqincrement, $1::oid::regclass, ($3::text[])[1], "
    "         CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, n.nspname, "
    "         'segue_' || $4 || '_identity', "
    "         CASE WHEN q.seqincrement > 0 OR q.seqmin <> l.low THEN 'MINVALUE ' || q.seqmin "
    "              ELSE 'NO MINVALUE' END, "
    "         CASE WHEN q.seqincrement < 0 OR q.seqmax <> l.high THEN 'MAXVALUE ' || q.seqmax "
    "              ELSE 'NO MAXVALUE' END, "
    "         q.seqstart, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END, "
    "         (SELECT string_agg(format(e'GRANT %s ON SEQUENCE %I.%I TO %s;\\n', "
    "                   x.privilege_type, n.nspname, 'segue_' || $4 || '_identity', "
    "                   CASE WHEN x.grantee = 0 THEN 'PUBLIC' "
    "                        ELSE quote_ident(pg_get_userbyid(x.grantee)) END), '') "
    "            FROM aclexplode(s.relacl) x WHERE x.grantee <> s.relowner), "
    "         (SELECT format(e'COMMENT ON SEQUENCE %I.%I IS %L;\\n', n.nspname, "
    "                        'segue_' || $4 || '_identity', d.description) "
    "            FROM pg_description d WHERE d.classoid = 'pg_class'::regclass "
    "             AND d.objoid = s.oid AND d.objsubid = 0), "
    "         ($2::text[])[1], s.relname, format('%I.%I', n.nspname, 'segue_' || $4 || "
    "'_identity')) "
    "  FROM pg_attribute a "
    "  JOIN pg_depend e ON e.classid = 'pg_class'::regclass AND e.refclassid = "
    "'pg_class'::regclass "
    "   AND e.refobjid = a.attrelid AND e.refobjsubid = a.attnum AND e.deptype = 'i' "
    "  JOIN pg_class s ON s.oid = e.objid AND s.relkind = 'S' "
    "  JOIN pg_namespace n ON n.oid = s.relnamespace "
    "  JOIN pg_sequence q ON q.seqrelid = s.oid, "
    "  LATERAL (SELECT CASE q.seqtypid::regtype::text WHEN 'smallint' THEN -32768 "
    "                    WHEN 'integer' THEN -2147483648 ELSE -9223372036854775808 END AS low, "
    "                  CASE q.seqtypid::regtype::text WHEN 'smallint' THEN 32767 "
    "                    WHEN 'integer' THEN 2147483647 ELSE 9223372036854775807 END AS high) l "
    " WHERE a.attrelid = $1::oid AND a.attname = ($2::text[])[1] AND a.attidentity <> ''";

static bool add_identity(struct work *work, enum shape to, struct text *script, struct error *error)
{
    if (!work->transition->columns[SHAPE_NEW][0].identity)
        return true;
    PGresult *result = ask(work, identity_query, to, error);
    if (!result)
        return false;
    if (PQntuples(result) == 1) {
        text_add_string(script, query_value(result, 0, 0));
        if (to == SHAPE_NEW) { /* as long as a session in dual_new may leave it to the table */
            const struct transition_column *old = &work->transition->columns[SHAPE_OLD][0];
            text_add_string(script, "ALTER TABLE ");
            work_add_table(work->transition, script);
            text_add_string(script, " ALTER COLUMN ");
            text_add_identifier(script, old->physical);
            text_add_format(script, " SET DEFAULT %s;\n", old->default_expression);
        }
    }
    PQclear(result);
    return true;
}

/* ---------------------------------------------------------------- all of it */

bool handover_to(struct work *work, enum shape to, struct error *error)
{
    const struct transition *transition = work->transition;
    struct text script;
    text_init(&script, TEXT_UNBOUNDED);
    bool done = finish_primary_keys(work, shape_other(to), error) &&
                finish_primary_keys(work, to, error) &&
                prepare_references(work, ask(work, references_query, to, error), &script, error);
    for (size_t i = 0; done && i < transition->pair_count; i++) {
        const struct pair *pair = &transition->pairs[i];
        if (pair->kind == PAIR_PRIMARY_KEY && !pair->is_part)
            done = add_primary_key(work, pair, to, &script, error);
    }
    done = done && add_identity(work, to, &script, error) &&
           (!script.length || work_alter(work, script.data, NULL, NULL, error)) &&
           finish_primary_keys(work, to, error);
    text_release(&script);
    return done;
}
