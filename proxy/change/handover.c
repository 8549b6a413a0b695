/*
 * Handover: a table has one primary key, a foreign key points at one column, and an identity counts
 * on one. In phase new the old columns are not written, so there the new ones have them.
 *
 * What takes time is done beforehand: indexes are there (pairs.c), foreign keys are made beside
 * those that they replace and validated. Then one transaction under short locks changes over.
 */
#include "pairs.h"

#include <libpq-fe.h>

static const char *physical(const struct work *work, enum shape shape)
{
    return work->transition->columns[shape][0].physical;
}

/* Runs a query of (table, side that has it now, side that gets it, their columns). */
static PGresult *ask(struct work *work, const char *query, enum shape to, struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", work->transition->table_oid);
    const char *parameters[] = {oid, physical(work, shape_other(to)), physical(work, to),
                                work->transition->name};
    return query_run_with(work->connection, query, parameters, 4, error);
}

/* ---------------------------------------------------------------- foreign keys that point here */

enum reference_field {
    REFERENCE_TABLE,
    REFERENCE_NAME,
    REFERENCE_TEMPORARY, /* the name of what is to take its place */
    REFERENCE_DEFINITION,
    REFERENCE_EXISTS,
    REFERENCE_VALIDATED
};

static const char references_query[] =
    "SELECT n.conrelid::regclass, quote_ident(n.conname), quote_ident(t.name), "
    "       CASE WHEN starts_with(pg_get_constraintdef(n.oid), k.head || k.quoted || ')') "
    "            THEN k.head || k.renamed || substr(pg_get_constraintdef(n.oid), "
    "                                               length(k.head || k.quoted) + 1) END, "
    "       c.oid IS NOT NULL, coalesce(c.convalidated, false) OR NOT n.convalidated "
    "  FROM pg_constraint n "
    "  JOIN pg_attribute a ON a.attrelid = n.confrelid AND a.attname = $2 "
    "   AND a.attnum = ANY (n.confkey) "
    "  CROSS JOIN LATERAL (SELECT 'segue_' || $4 || '_to_' || n.oid AS name) t "
    "  LEFT JOIN pg_constraint c ON c.conrelid = n.conrelid AND c.conname = t.name "
    "  CROSS JOIN LATERAL (SELECT 'FOREIGN KEY (' || (SELECT string_agg(quote_ident(f.attname), ', "
    "' "
    "                    ORDER BY o.n) FROM unnest(n.conkey) WITH ORDINALITY o(attnum, n) "
    "                    JOIN pg_attribute f ON f.attrelid = n.conrelid "
    "                     AND f.attnum = o.attnum) || ') REFERENCES ' || n.confrelid::regclass "
    "                  || '(' AS head, "
    "                  string_agg(quote_ident(f.attname), ', ' ORDER BY o.n) AS quoted, "
    "                  string_agg(quote_ident(CASE f.attname WHEN $2 THEN $3 ELSE f.attname END), "
    "                             ', ' ORDER BY o.n) AS renamed "
    "             FROM unnest(n.confkey) WITH ORDINALITY o(attnum, n) "
    "             JOIN pg_attribute f ON f.attrelid = n.confrelid AND f.attnum = o.attnum) k "
    " WHERE n.contype = 'f' AND n.confrelid = $1::oid AND n.conparentid = 0 ORDER BY n.oid";

static bool alter_table(struct work *work, struct error *error, const char *format, ...)
    PRINTF_LIKE(3, 4);
static bool alter_table(struct work *work, struct error *error, const char *format, ...)
{
    struct text script;
    va_list arguments;
    text_init(&script, TEXT_UNBOUNDED);
    text_add_string(&script, "ALTER TABLE ");
    va_start(arguments, format);
    text_add_format_list(&script, format, arguments);
    va_end(arguments);
    bool done = work_alter(work, script.data, NULL, NULL, error);
    text_release(&script);
    return done;
}

/* Makes the one that is to take its place, and adds the change-over to the script. */
static bool prepare_reference(struct work *work, const PGresult *references, int row,
                              struct text *script, struct error *error)
{
    const char *table = query_value(references, row, REFERENCE_TABLE);
    const char *name = query_value(references, row, REFERENCE_NAME);
    const char *temporary = query_value(references, row, REFERENCE_TEMPORARY);
    const char *definition = query_value(references, row, REFERENCE_DEFINITION);
    bool validated = query_boolean(references, row, REFERENCE_VALIDATED);
    if (!definition)
        return error_set(error, "XX000", "foreign key %s on %s is not spelled as expected", name,
                         table);
    bool stays_not_valid = validated && !query_boolean(references, row, REFERENCE_EXISTS) &&
                           strstr(definition, " NOT VALID");
    if (!query_boolean(references, row, REFERENCE_EXISTS)) {
        progress_notice(&work->change->progress,
                        "pointing foreign key %s of %s at the other column", name, table);
        if (!alter_table(work, error, "%s ADD CONSTRAINT %s %s%s", table, temporary, definition,
                         stays_not_valid ? "" : " NOT VALID"))
            return false;
    }
    if (!validated && !alter_table(work, error, "%s VALIDATE CONSTRAINT %s", table, temporary))
        return false;
    text_add_format(script,
                    "ALTER TABLE %s DROP CONSTRAINT %s;\nALTER TABLE %s RENAME CONSTRAINT %s TO "
                    "%s;\n",
                    table, name, table, temporary, name);
    return true;
}

static bool prepare_references(struct work *work, enum shape to, struct text *script,
                               struct error *error)
{
    PGresult *references = ask(work, references_query, to, error);
    bool done = references != NULL;
    for (int row = 0; done && row < PQntuples(references); row++)
        done = prepare_reference(work, references, row, script, error);
    PQclear(references);
    return done;
}

/* ---------------------------------------------------------------- primary key */

static bool is_primary(struct work *work, uint32_t relation, const char *name, bool *primary,
                       struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", relation);
    const char *parameters[] = {oid, name};
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

static bool add_primary_key(struct work *work, const struct pair *pair, enum shape to,
                            struct text *script, struct error *error)
{
    const char *from_name = pair->side[shape_other(to)].name, *to_name = pair->side[to].name;
    bool primary;
    if (!is_primary(work, pair->relation, from_name, &primary, error))
        return false;
    if (!primary)
        return true;
    struct text table;
    text_init(&table, TEXT_UNBOUNDED);
    bool done = pairs_find_table(work, pair->relation, &table, error);
    text_add_format(script, "ALTER TABLE %s DROP CONSTRAINT ", table.data);
    text_add_identifier(script, from_name);
    text_add_format(script, ";\nALTER TABLE %s ADD CONSTRAINT ", table.data);
    text_add_identifier(script, to_name);
    text_add_string(script, " PRIMARY KEY USING INDEX ");
    text_add_identifier(script, to_name);
    if (pair->is_deferrable)
        text_add_string(script,
                        pair->is_deferred ? " DEFERRABLE INITIALLY DEFERRED" : " DEFERRABLE");
    text_add_string(script, ";\n");
    text_release(&table);
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
    "         s.oid::regclass, q.seqincrement, $1::oid::regclass, $3::text, "
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
    "         $2::text, s.relname, format('%I.%I', n.nspname, 'segue_' || $4 || '_identity')) "
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
    " WHERE a.attrelid = $1::oid AND a.attname = $2 AND a.attidentity <> ''";

static bool add_identity(struct work *work, enum shape to, struct text *script, struct error *error)
{
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
    if (transition->column_count[SHAPE_OLD] != 1 || transition->column_count[SHAPE_NEW] != 1)
        return true;
    struct text script;
    text_init(&script, TEXT_UNBOUNDED);
    bool done = prepare_references(work, to, &script, error);
    for (size_t i = 0; done && i < transition->pair_count; i++) {
        if (transition->pairs[i].kind == PAIR_PRIMARY_KEY)
            done = add_primary_key(work, &transition->pairs[i], to, &script, error);
    }
    done = done && add_identity(work, to, &script, error) &&
           (!script.length || work_alter(work, script.data, NULL, NULL, error));
    text_release(&script);
    return done;
}
