/*
 * Parts: what a pair of a partitioned table is in each of its partitions. An index there has a name
 * of its own, which errors tell and which must be the same again after the way there and back; so
 * it is stored, while the database forgets it in phase new.
 */
#include "pairing.h"

#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <stdlib.h>

enum field {
    FIELD_RELATION,
    FIELD_TABLE_NAME,
    FIELD_NAME,
    FIELD_NEW_NAME,
    FIELD_JOINED,
    FIELD_NEW_JOINED
};

/*
 * $1 the whole's OID, of an index or of a foreign key; $2 the new one's name; $3, $4 and $5 for
 * PAIRING_NEW_NAME. A foreign key has two kinds of parts: of each partition that it is from, under
 * the same name, and of each that it points at.
 */
/* clang-format off */
static const char indexes_query[] =
    "WITH RECURSIVE part(oid) AS (SELECT inhrelid FROM pg_inherits WHERE inhparent = $1::oid "
    "  UNION ALL SELECT h.inhrelid FROM pg_inherits h JOIN part p ON h.inhparent = p.oid) "
    "SELECT r.oid, r.relname, i.relname, $2::text || '_' || r.oid, "
    "       (SELECT string_agg(a.attname, '_' ORDER BY a.attnum) FROM pg_attribute a "
    "         WHERE a.attrelid = i.oid), "
    "       (SELECT string_agg(" PAIRING_NEW_NAME("$3", "$4", "$5") ", '_' ORDER BY a.attnum) "
    "          FROM pg_attribute a WHERE a.attrelid = i.oid) "
    "  FROM part JOIN pg_index x ON x.indexrelid = part.oid "
    "  JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class r ON r.oid = x.indrelid "
    " ORDER BY r.oid";

static const char foreign_keys_query[] =
    "WITH RECURSIVE part(oid) AS (SELECT oid FROM pg_constraint WHERE conparentid = $1::oid "
    "  UNION ALL SELECT n.oid FROM pg_constraint n JOIN part p ON n.conparentid = p.oid) "
    "SELECT r.oid, r.relname, n.conname, CASE WHEN n.confrelid = w.confrelid THEN $2::text "
    "            ELSE $2::text || '_' || n.confrelid END, k.joined, k.new_joined "
    "  FROM pg_constraint w, part JOIN pg_constraint n ON n.oid = part.oid "
    "  JOIN pg_class r ON r.oid = n.conrelid, "
    "  LATERAL (SELECT string_agg(a.attname, '_' ORDER BY o.n) AS joined, "
    "                  string_agg(" PAIRING_NEW_NAME("$3", "$4", "$5") ", '_' "
    "                             ORDER BY o.n) AS new_joined "
    "             FROM unnest(n.conkey) WITH ORDINALITY o(attnum, n) "
    "             JOIN pg_attribute a "
    "               ON a.attrelid = n.conrelid AND a.attnum = o.attnum) k "
    " WHERE w.oid = $1::oid ORDER BY n.oid";
/* clang-format on */

static char *copy(const char *string)
{
    return string ? memory_string(string) : NULL;
}

static void add_part(struct transition *transition, size_t whole, const PGresult *parts, int row)
{
    transition->pairs =
        memory_resize(transition->pairs, (transition->pair_count + 1) * sizeof *transition->pairs);
    const struct pair *of = &transition->pairs[whole];
    struct pair *part = &transition->pairs[transition->pair_count++];
    const char *name = query_value(parts, row, FIELD_NAME);
    *part = (struct pair){
        .kind = of->kind,
        .relation = (uint32_t)strtoul(query_value(parts, row, FIELD_RELATION), NULL, 10),
        .is_part = true,
        .part_of = whole,
        .is_deferrable = of->is_deferrable,
        .is_deferred = of->is_deferred,
        .final_inference = copy(of->final_inference),
    };
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        part->side[shape].definition = copy(of->side[shape].definition);
        part->side[shape].inference = copy(of->side[shape].inference);
    }
    part->side[SHAPE_OLD].name = memory_string(name);
    part->side[SHAPE_OLD].logical = memory_string(name);
    part->side[SHAPE_NEW].name = memory_string(query_value(parts, row, FIELD_NEW_NAME));
    part->side[SHAPE_NEW].logical =
        strcmp(name, of->side[SHAPE_OLD].logical) == 0
            ? memory_string(of->side[SHAPE_NEW].logical)
            : pairing_final_name(query_value(parts, row, FIELD_TABLE_NAME), name,
                                 query_value(parts, row, FIELD_JOINED),
                                 query_value(parts, row, FIELD_NEW_JOINED));
}

bool pairing_find_parts(struct transition *transition, struct pg_conn *connection,
                        const struct pairing_whole *whole, struct error *error)
{
    const struct pair *of = &transition->pairs[whole->pair];
    if (of->kind == PAIR_CHECK) /* under one name everywhere */
        return true;
    const char *parameters[] = {whole->object, of->side[SHAPE_NEW].name, whole->old, whole->final,
                                whole->rest};
    PGresult *parts = query_run_with(
        connection, of->kind == PAIR_FOREIGN_KEY ? foreign_keys_query : indexes_query, parameters,
        5, error);
    for (int row = 0; parts && row < PQntuples(parts); row++)
        add_part(transition, whole->pair, parts, row);
    PQclear(parts);
    return parts != NULL;
}
