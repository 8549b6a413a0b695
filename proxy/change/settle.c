/*
 * Settling: what CONTRACT does besides dropping the old columns and renaming the new ones, so that
 * the table ends as one of the new shape that was never anything else. Sequences that belong to an
 * old column would go with it; what was made for the new one still carries a made-up name.
 */
#include "pairs.h"

#include <libpq-fe.h>

/* A serial's sequence: owned by the new column, and as wide as it. Parameters: the table, the old
 * columns and their partners. */
static const char sequences_query[] =
    "SELECT format(e'ALTER SEQUENCE %s%s OWNED BY %s.%I;\\n', s.oid::regclass, "
    "              CASE WHEN q.seqtypid = a.atttypid AND b.atttypid IN "
    "                     ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) "
    "                   THEN ' AS ' || b.atttypid::regtype ELSE '' END, $1::oid::regclass, "
    "              b.attname) "
    "  FROM pg_attribute a "
    "  JOIN pg_attribute b ON b.attrelid = a.attrelid "
    "   AND b.attname = ($3::text[])[array_position($2::text[], a.attname::text)] "
    "  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = "
    "'pg_class'::regclass "
    "   AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'a' "
    "  JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' "
    "  JOIN pg_sequence q ON q.seqrelid = s.oid "
    " WHERE a.attrelid = $1::oid AND a.attname = ANY ($2::text[]) ORDER BY s.oid";

bool settle_add_before(struct work *work, struct text *script, struct error *error)
{
    const struct transition *transition = work->transition;
    char oid[16];
    struct text before, after;
    snprintf(oid, sizeof oid, "%u", transition->table_oid);
    text_init(&before, TEXT_UNBOUNDED);
    text_init(&after, TEXT_UNBOUNDED);
    transition_partner_names(transition, SHAPE_OLD, &before);
    transition_partner_names(transition, SHAPE_NEW, &after);
    const char *parameters[] = {oid, before.data, after.data};
    bool done = work_add_from_query(work, sequences_query, parameters, 3, script, error);
    text_release(&before);
    text_release(&after);
    return done;
}

/*
 * The parts of an index in partitions: each gets the name of the one whose place it takes; in a
 * partition that was made meanwhile, one as PostgreSQL makes it up, where that is free.
 */
static const char indexes_query[] =
    "WITH RECURSIVE tree(oid) AS (SELECT i.oid FROM pg_class i JOIN pg_index x "
    "      ON x.indexrelid = i.oid WHERE x.indrelid = $1::oid AND i.relname = $2 "
    "  UNION ALL SELECT h.inhrelid FROM pg_inherits h JOIN tree t ON h.inhparent = t.oid) "
    "SELECT format(e';\nALTER INDEX %s RENAME TO %I', z.oid::regclass, coalesce(p.final_name, "
    "m.name)) "
    "  FROM tree JOIN pg_index x ON x.indexrelid = tree.oid JOIN pg_class z ON z.oid = tree.oid "
    "  JOIN pg_class c ON c.oid = x.indrelid "
    "  LEFT JOIN segue.transition_pairs p ON p.transition = $3 AND p.part_of = $4::int "
    "   AND p.relation::oid = c.oid, "
    "  LATERAL (SELECT CASE $5 WHEN 'primary key' THEN c.relname || '_pkey' "
    "                  ELSE c.relname || '_' || string_agg(coalesce(($7::text[])[array_position("
    "                            $6::text[], a.attname::text)], a.attname), '_' ORDER BY a.attnum) "
    "                       || CASE $5 WHEN 'unique' THEN '_key' ELSE '_idx' END END AS name "
    "             FROM pg_attribute a WHERE a.attrelid = z.oid) m "
    " WHERE x.indrelid <> $1::oid AND z.relname <> coalesce(p.final_name, m.name) "
    "   AND (p.final_name IS NOT NULL OR length(m.name) < 64 AND NOT EXISTS "
    "         (SELECT FROM pg_class t WHERE t.relname = m.name "
    "                                   AND t.relnamespace = c.relnamespace)) ORDER BY c.oid";

/* And of a foreign key; one that was made meanwhile got its name from the new column's. */
static const char foreign_keys_query[] =
    "WITH RECURSIVE whole AS (SELECT * FROM pg_constraint WHERE conrelid = $1::oid "
    "                            AND conname = $2), "
    "tree(oid) AS (SELECT n.oid FROM pg_constraint n JOIN whole w ON n.conparentid = w.oid "
    "  UNION ALL SELECT n.oid FROM pg_constraint n JOIN tree t ON n.conparentid = t.oid) "
    "SELECT format(e';\nALTER TABLE %s RENAME CONSTRAINT %I TO %I', n.conrelid::regclass, "
    "              n.conname, coalesce(p.final_name, m.name)) "
    "  FROM whole w, tree t JOIN pg_constraint n ON n.oid = t.oid "
    "  LEFT JOIN segue.transition_pairs p ON p.transition = $3 AND p.part_of = $4::int "
    "   AND p.relation::oid = n.conrelid AND p.new_name = n.conname, "
    "  LATERAL (SELECT CASE WHEN n.conname = w.conname THEN $8::text "
    "                       ELSE replace(n.conname, '_' || ($6::text[])[1] || '_', "
    "                                    '_' || ($7::text[])[1] || '_') END "
    "                  AS name) m "
    " WHERE $5::text IS NOT NULL AND n.conname <> coalesce(p.final_name, m.name) ORDER BY n.oid";

static bool add_parts(struct work *work, const struct pair *pair, struct text *script,
                      struct error *error)
{
    char oid[16], position[24];
    struct text physical, final;
    snprintf(oid, sizeof oid, "%u", pair->relation);
    snprintf(position, sizeof position, "%zu", (size_t)(pair - work->transition->pairs));
    text_init(&physical, TEXT_UNBOUNDED);
    text_init(&final, TEXT_UNBOUNDED);
    for (size_t i = 0; i < work->transition->column_count[SHAPE_NEW]; i++) {
        text_add_array_item(&physical, work->transition->columns[SHAPE_NEW][i].physical);
        text_add_array_item(&final, work->transition->columns[SHAPE_NEW][i].name);
    }
    text_add_char(&physical, '}');
    text_add_char(&final, '}');
    const bool is_index = pair_is_index(pair->kind);
    const char *parameters[] = {oid,        pair->side[SHAPE_NEW].name,   work->transition->name,
                                position,   pair_kind_name(pair->kind),   physical.data,
                                final.data, pair->side[SHAPE_NEW].logical};
    bool done = work_add_from_query(work, is_index ? indexes_query : foreign_keys_query, parameters,
                                    is_index ? 7 : 8, script, error);
    text_release(&physical);
    text_release(&final);
    return done;
}

/* A constraint takes its index along. */
static bool add_names(struct work *work, const struct pair *pair, struct text *script,
                      struct error *error)
{
    const struct pair_of_shape *side = &pair->side[SHAPE_NEW];
    bool is_bare = pair->kind == PAIR_INDEX || pair->kind == PAIR_UNIQUE_INDEX;
    struct text schema, table;
    text_init(&schema, TEXT_UNBOUNDED);
    text_init(&table, TEXT_UNBOUNDED);
    bool done = pairs_find_table(work, pair->relation, &schema, &table, error) &&
                (pair->kind == PAIR_CHECK || add_parts(work, pair, script, error));
    if (is_bare)
        text_add_format(script, ";\nALTER INDEX %s.", schema.data);
    else
        text_add_format(script, ";\nALTER TABLE %s RENAME CONSTRAINT ", table.data);
    text_add_identifier(script, side->name);
    text_add_string(script, is_bare ? " RENAME TO " : " TO ");
    text_add_identifier(script, side->logical);
    text_release(&schema);
    text_release(&table);
    return done;
}

bool settle_add_after(struct work *work, struct text *script, struct error *error)
{
    for (size_t i = 0; i < work->transition->pair_count; i++) {
        const struct pair *pair = &work->transition->pairs[i];
        bool is_settled = strcmp(pair->side[SHAPE_NEW].name, pair->side[SHAPE_NEW].logical) == 0;
        if (!pair->is_part && !is_settled && !add_names(work, pair, script, error))
            return false;
    }
    return true;
}
