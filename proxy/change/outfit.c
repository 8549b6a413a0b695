/*
 * Outfit: what a column has beside its type. Who may use the old columns may use the new ones from
 * the start, because statements write both; the rest is as somebody once chose it for this column.
 */
#include "pairs.h"

#include <libpq-fe.h>
#include <stdlib.h>

/* A privilege on columns is given where it is held on every one of the old columns. */
static const char grants_query[] =
    "WITH RECURSIVE tree(oid) AS (SELECT $1::oid UNION "
    "  SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid) "
    "SELECT format(e';\\nGRANT %s (%s) ON %s TO %s%s', x.privilege_type, $3::text, "
    "              a.attrelid::regclass, CASE WHEN x.grantee = 0 THEN 'PUBLIC' "
    "                                 ELSE quote_ident(pg_get_userbyid(x.grantee)) END, "
    "              CASE WHEN bool_and(x.is_grantable) THEN ' WITH GRANT OPTION' ELSE '' END) "
    "  FROM tree JOIN pg_attribute a ON a.attrelid = tree.oid, aclexplode(a.attacl) x "
    " WHERE a.attname = ANY ($2::text[]) "
    " GROUP BY a.attrelid, x.privilege_type, x.grantee "
    "HAVING count(DISTINCT a.attnum) = cardinality($2::text[]) ORDER BY 1";

/* Of a single column that takes the place of a single one. The storage goes along where both types
 * know it by the same default. */
static const char settings_query[] =
    "SELECT e';\\nALTER TABLE ' || $1::oid::regclass || ' ALTER COLUMN ' || $3::text || ' ' || s "
    "  FROM pg_attribute a JOIN pg_type o ON o.oid = a.atttypid "
    "  JOIN pg_type n ON n.oid = $4::oid, "
    "  LATERAL (VALUES (CASE WHEN coalesce(a.attstattarget, -1) >= 0 "
    "                        THEN 'SET STATISTICS ' || a.attstattarget END), "
    "                  (CASE WHEN a.attstorage <> o.typstorage AND n.typstorage = o.typstorage "
    "                        THEN 'SET STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' "
    "                             WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' "
    "                             ELSE 'EXTENDED' END END), "
    "                  (CASE WHEN a.attcompression <> '' AND n.typstorage <> 'p' "
    "                        THEN 'SET COMPRESSION ' || CASE a.attcompression WHEN 'l' THEN 'lz4' "
    "                             ELSE 'pglz' END END), "
    "                  ((SELECT 'SET (' || string_agg(o, ', ') || ')' "
    "                      FROM unnest(a.attoptions) o WHERE o LIKE 'n\\_distinct%'))) v(s) "
    " WHERE a.attrelid = $1::oid AND a.attname = ($2::text[])[1] AND s IS NOT NULL "
    "UNION ALL "
    "SELECT format(e';\\nCOMMENT ON COLUMN %s.%s IS %L', $1::oid::regclass, $3::text, "
    "              d.description) "
    "  FROM pg_attribute a JOIN pg_description d ON d.classoid = 'pg_class'::regclass "
    "   AND d.objoid = a.attrelid AND d.objsubid = a.attnum "
    " WHERE a.attrelid = $1::oid AND a.attname = ($2::text[])[1]";

/*
 * An identity draws from its sequence for whoever may insert; a statement that is rewritten says
 * nextval itself, which asks for the right to it.
 */
static const char sequence_query[] =
    "SELECT DISTINCT format(e';\\nGRANT USAGE ON SEQUENCE %s TO %s', d.objid::regclass, "
    "              CASE WHEN x.grantee = 0 THEN 'PUBLIC' "
    "                   ELSE quote_ident(pg_get_userbyid(x.grantee)) END) "
    "  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
    "  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = "
    "'pg_class'::regclass "
    "   AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'i', "
    "  LATERAL (SELECT grantee, privilege_type FROM aclexplode(c.relacl) UNION ALL "
    "           SELECT e.grantee, e.privilege_type FROM pg_attribute b, aclexplode(b.attacl) e "
    "            WHERE b.attrelid = c.oid) x "
    " WHERE a.attrelid = $1::oid AND a.attname = ($2::text[])[1] AND a.attidentity <> '' "
    "   AND x.privilege_type = 'INSERT' AND x.grantee <> c.relowner ORDER BY 1";

static char *old_columns(const struct transition *transition)
{
    struct text array;
    text_init(&array, TEXT_UNBOUNDED);
    for (size_t i = 0; i < transition->column_count[SHAPE_OLD]; i++)
        text_add_array_item(&array, transition->columns[SHAPE_OLD][i].physical);
    text_add_char(&array, '}');
    return text_take(&array);
}

bool outfit_add_script(struct work *work, struct text *script, struct error *error)
{
    const struct transition *transition = work->transition;
    const bool one_to_one =
        transition->column_count[SHAPE_OLD] == 1 && transition->column_count[SHAPE_NEW] == 1;
    char oid[16];
    snprintf(oid, sizeof oid, "%u", transition->table_oid);
    char *old = old_columns(transition);
    bool done = true;
    for (size_t i = 0; done && i < transition->column_count[SHAPE_NEW]; i++) {
        const struct transition_column *column = &transition->columns[SHAPE_NEW][i];
        char type[16];
        struct text name;
        text_init(&name, TEXT_UNBOUNDED);
        text_add_identifier(&name, column->physical);
        snprintf(type, sizeof type, "%u", column->type_oid);
        const char *parameters[] = {oid, old, name.data, type};
        done = work_add_from_query(work, grants_query, parameters, 3, script, error) &&
               (!one_to_one ||
                work_add_from_query(work, settings_query, parameters, 4, script, error));
        text_release(&name);
    }
    const char *parameters[] = {oid, old};
    done = done && work_add_from_query(work, sequence_query, parameters, 2, script, error);
    free(old);
    return done;
}
