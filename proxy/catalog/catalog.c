/*
 * The catalog in memory: two sorted index arrays over tables whose strings and columns live in one
 * arena.
 *
 * It is built once and read by every worker, so look-ups are binary searches over memory that never
 * changes; a database of some 10,000 relations takes a few megabytes.
 */
#include "segue/catalog/catalog.h"

#include "segue/base/arena.h"
#include "segue/base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

struct catalog {
    _Atomic uint32_t references;
    struct arena arena;
    size_t count;
    const struct catalog_table **by_name; /* schema, then name */
    const struct catalog_table **by_oid;
    uint64_t fingerprint;
    int64_t server;
};

/* While building: tables in order of arrival, the columns of the newest one growing. */
struct catalog_builder {
    struct catalog *catalog;
    struct catalog_table **tables;
    size_t capacity;
    struct catalog_column *columns; /* of the newest table */
    size_t column_count, column_capacity;
    XXH3_state_t *hash;
};

struct catalog *catalog_get(struct catalog *catalog)
{
    atomic_fetch_add_explicit(&catalog->references, 1, memory_order_relaxed);
    return catalog;
}

void catalog_put(struct catalog *catalog)
{
    if (!catalog || atomic_fetch_sub_explicit(&catalog->references, 1, memory_order_acq_rel) > 1)
        return;
    arena_release(&catalog->arena);
    free(catalog->by_name);
    free(catalog->by_oid);
    free(catalog);
}

static int compare_names(const struct catalog_table *table, const char *schema, const char *name)
{
    int order = strcmp(table->schema, schema);
    return order ? order : strcmp(table->name, name);
}

static int order_by_name(const void *left, const void *right)
{
    const struct catalog_table *a = *(const struct catalog_table *const *)left;
    const struct catalog_table *b = *(const struct catalog_table *const *)right;
    return compare_names(a, b->schema, b->name);
}

static int order_by_oid(const void *left, const void *right)
{
    const struct catalog_table *a = *(const struct catalog_table *const *)left;
    const struct catalog_table *b = *(const struct catalog_table *const *)right;
    return (a->oid > b->oid) - (a->oid < b->oid);
}

const struct catalog_table *catalog_find(const struct catalog *catalog, const char *schema,
                                         const char *name)
{
    size_t low = 0, high = catalog->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_names(catalog->by_name[middle], schema, name);
        if (order == 0)
            return catalog->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct catalog_table *catalog_find_oid(const struct catalog *catalog, uint32_t oid)
{
    const struct catalog_table key = {.oid = oid};
    const struct catalog_table *wanted = &key;
    const struct catalog_table **found =
        bsearch(&wanted, catalog->by_oid, catalog->count, sizeof *catalog->by_oid, order_by_oid);
    return found ? *found : NULL;
}

const struct catalog_column *catalog_column_find(const struct catalog_table *table,
                                                 const char *name)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (strcmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    }
    return NULL;
}

bool catalog_descends(const struct catalog_table *table, uint32_t oid)
{
    bool descends = table->oid == oid;
    for (size_t i = 0; !descends && i < table->ancestor_count; i++)
        descends = table->ancestors[i] == oid;
    return descends;
}

const struct catalog_table *catalog_at(const struct catalog *catalog, size_t index)
{
    BUG_ON(index >= catalog->count);
    return catalog->by_name[index];
}

size_t catalog_count(const struct catalog *catalog)
{
    return catalog->count;
}

int64_t catalog_server(const struct catalog *catalog)
{
    return catalog->server;
}

bool catalog_has_unique_index(const struct catalog_table *table, const char *name)
{
    for (size_t i = 0; i < table->unique_index_count; i++)
        if (strcmp(table->unique_indexes[i], name) == 0)
            return true;
    return false;
}

uint64_t catalog_fingerprint(const struct catalog *catalog)
{
    return catalog->fingerprint;
}

struct catalog_builder *catalog_begin(void)
{
    struct catalog_builder *builder = NEW(struct catalog_builder);
    builder->catalog = NEW(struct catalog);
    atomic_init(&builder->catalog->references, 1);
    arena_init(&builder->catalog->arena);
    builder->hash = XXH3_createState();
    BUG_ON(!builder->hash || XXH3_64bits_reset(builder->hash) == XXH_ERROR);
    return builder;
}

static void hash(struct catalog_builder *builder, const void *data, size_t size)
{
    BUG_ON(XXH3_64bits_update(builder->hash, data, size) == XXH_ERROR);
}

/* Strings are hashed with their terminators, so that "ab", "c" differs from "a", "bc". */
static const char *keep(struct catalog_builder *builder, const char *string)
{
    hash(builder, string ? string : "\1", string ? strlen(string) + 1 : 1);
    return arena_string(&builder->catalog->arena, string);
}

/* Moves the columns gathered so far to the newest table. */
static void close_table(struct catalog_builder *builder)
{
    if (builder->catalog->count == 0)
        return;
    struct catalog_table *table = builder->tables[builder->catalog->count - 1];
    struct catalog_column *columns =
        ARENA_NEW_ARRAY(&builder->catalog->arena, struct catalog_column, builder->column_count);
    if (builder->column_count)
        memcpy(columns, builder->columns, builder->column_count * sizeof *columns);
    table->columns = columns;
    table->column_count = builder->column_count;
    if (table->column_count && table->last_attnum < columns[table->column_count - 1].attnum)
        table->last_attnum = columns[table->column_count - 1].attnum;
    builder->column_count = 0;
}

void catalog_add_table(struct catalog_builder *builder, uint32_t oid, const char *schema,
                       const char *name, char kind)
{
    close_table(builder);
    struct catalog *catalog = builder->catalog;
    if (catalog->count == builder->capacity) {
        builder->capacity = builder->capacity ? builder->capacity * 2 : 256;
        builder->tables =
            memory_resize(builder->tables, builder->capacity * sizeof *builder->tables);
    }
    struct catalog_table *table = ARENA_NEW(&catalog->arena, struct catalog_table);
    table->oid = oid;
    table->schema = keep(builder, schema);
    table->name = keep(builder, name);
    table->kind = kind;
    hash(builder, &oid, sizeof oid);
    hash(builder, &kind, sizeof kind);
    builder->tables[catalog->count++] = table;
}

void catalog_add_ancestors(struct catalog_builder *builder, const uint32_t *oids, size_t count)
{
    BUG_ON(builder->catalog->count == 0);
    struct catalog_table *table = builder->tables[builder->catalog->count - 1];
    uint32_t *copy = ARENA_NEW_ARRAY(&builder->catalog->arena, uint32_t, count);
    if (count)
        memcpy(copy, oids, count * sizeof *copy);
    table->ancestors = copy;
    table->ancestor_count = count;
    hash(builder, copy, count * sizeof *copy);
}

void catalog_add_dropped(struct catalog_builder *builder, const struct catalog_dropped *dropped,
                         size_t count)
{
    BUG_ON(builder->catalog->count == 0);
    struct catalog_table *table = builder->tables[builder->catalog->count - 1];
    struct catalog_dropped *copy =
        ARENA_NEW_ARRAY(&builder->catalog->arena, struct catalog_dropped, count);
    if (count)
        memcpy(copy, dropped, count * sizeof *copy);
    table->dropped = copy;
    table->dropped_count = count;
    hash(builder, copy, count * sizeof *copy);
}

void catalog_add_key(struct catalog_builder *builder, const int16_t *key, size_t count)
{
    BUG_ON(builder->catalog->count == 0);
    struct catalog_table *table = builder->tables[builder->catalog->count - 1];
    int16_t *copy = ARENA_NEW_ARRAY(&builder->catalog->arena, int16_t, count);
    if (count)
        memcpy(copy, key, count * sizeof *copy);
    table->key = copy;
    table->key_count = count;
    hash(builder, copy, count * sizeof *copy);
}

void catalog_add_last_attnum(struct catalog_builder *builder, int16_t last_attnum)
{
    BUG_ON(builder->catalog->count == 0);
    builder->tables[builder->catalog->count - 1]->last_attnum = last_attnum;
    hash(builder, &last_attnum, sizeof last_attnum);
}

void catalog_add_unique_indexes(struct catalog_builder *builder, const char *names)
{
    BUG_ON(builder->catalog->count == 0);
    struct catalog_table *table = builder->tables[builder->catalog->count - 1];
    struct arena *arena = &builder->catalog->arena;
    size_t count = 0;
    for (const char *c = names; *c; c++)
        count += c == names || c[-1] == '\n';
    const char **list = ARENA_NEW_ARRAY(arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(names, "\n");
        list[i] = arena_string_range(arena, names, length);
        names += length + (names[length] == '\n');
        hash(builder, list[i], length + 1);
    }
    table->unique_indexes = list;
    table->unique_index_count = count;
}

void catalog_add_column(struct catalog_builder *builder, const struct catalog_column *column)
{
    BUG_ON(builder->catalog->count == 0);
    if (builder->column_count == builder->column_capacity) {
        builder->column_capacity = builder->column_capacity ? builder->column_capacity * 2 : 64;
        builder->columns =
            memory_resize(builder->columns, builder->column_capacity * sizeof *builder->columns);
    }
    struct catalog_column *copy = &builder->columns[builder->column_count++];
    *copy = *column;
    copy->name = keep(builder, column->name);
    copy->type = keep(builder, column->type);
    copy->default_expression = keep(builder, column->default_expression);
    char flags[] = {column->not_null, column->is_generated, column->identity,
                    column->default_is_volatile};
    hash(builder, flags, sizeof flags);
    hash(builder, &column->type_oid, sizeof column->type_oid);
    hash(builder, &column->typmod, sizeof column->typmod);
    hash(builder, &column->attnum, sizeof column->attnum);
}

void catalog_set_server(struct catalog_builder *builder, int64_t started)
{
    builder->catalog->server = started;
    hash(builder, &started, sizeof started);
}

struct catalog *catalog_finish(struct catalog_builder *builder)
{
    close_table(builder);
    struct catalog *catalog = builder->catalog;
    catalog->by_name = NEW_ARRAY(const struct catalog_table *, catalog->count);
    catalog->by_oid = NEW_ARRAY(const struct catalog_table *, catalog->count);
    for (size_t i = 0; i < catalog->count; i++)
        catalog->by_name[i] = catalog->by_oid[i] = builder->tables[i];
    qsort(catalog->by_name, catalog->count, sizeof *catalog->by_name, order_by_name);
    qsort(catalog->by_oid, catalog->count, sizeof *catalog->by_oid, order_by_oid);
    catalog->fingerprint = XXH3_64bits_digest(builder->hash);
    XXH3_freeState(builder->hash);
    free(builder->tables);
    free(builder->columns);
    free(builder);
    return catalog;
}

static void copy_unique_indexes(struct catalog_builder *builder, const struct catalog_table *table)
{
    struct text names;
    text_init(&names, TEXT_UNBOUNDED);
    for (size_t i = 0; i < table->unique_index_count; i++)
        text_add_format(&names, "%s\n", table->unique_indexes[i]);
    catalog_add_unique_indexes(builder, names.data);
    text_release(&names);
}

/* In the loader's order, which is part of the fingerprint. */
static void copy_table(struct catalog_builder *builder, const struct catalog_table *table)
{
    catalog_add_table(builder, table->oid, table->schema, table->name, table->kind);
    catalog_add_ancestors(builder, table->ancestors, table->ancestor_count);
    catalog_add_dropped(builder, table->dropped, table->dropped_count);
    catalog_add_key(builder, table->key, table->key_count);
    catalog_add_last_attnum(builder, table->last_attnum);
    copy_unique_indexes(builder, table);
    for (size_t i = 0; i < table->column_count; i++)
        catalog_add_column(builder, &table->columns[i]);
}

struct catalog *catalog_with_tree(const struct catalog *catalog, const struct catalog *tree,
                                  uint32_t root)
{
    struct catalog_builder *builder = catalog_begin();
    catalog_set_server(builder, catalog->server);
    size_t next = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct catalog_table *table = catalog->by_oid[i];
        for (; next < tree->count && tree->by_oid[next]->oid <= table->oid; next++)
            copy_table(builder, tree->by_oid[next]);
        bool is_replaced = next > 0 && tree->by_oid[next - 1]->oid == table->oid;
        /* dropped or detached meanwhile, or of a name that one of the tree has now */
        bool has_left =
            catalog_descends(table, root) || catalog_find(tree, table->schema, table->name);
        if (!is_replaced && !has_left)
            copy_table(builder, table);
    }
    for (; next < tree->count; next++)
        copy_table(builder, tree->by_oid[next]);
    return catalog_finish(builder);
}
