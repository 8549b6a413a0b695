/* The demo's own copy of the two tables, and how values look in either shape. */
#include "model.h"

#include "segue/base/memory.h"

#include <libpq-fe.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const words[DEMO_WORDS] = {"admin", "dev", "ops", "night", "audit", "ops,night"};
enum { WORD_OPS = 2, WORD_NIGHT = 3, WORD_OPS_NIGHT = 5 };
enum { EXTRA_BASE = 10000000 }; /* ids of the rows that come and go */

const char *demo_word(unsigned word)
{
    BUG_ON(word >= DEMO_WORDS);
    return words[word];
}

/* Everything follows from the id, so that two runs begin alike. */
static struct demo_row first_row(long id)
{
    struct demo_row row = {.has_user = true, .has_transaction = true};
    row.roles.count = (int8_t)(id % 23 == 0 ? -1 : id % 4);
    for (int i = 0; i < row.roles.count; i++)
        row.roles.words[i] = (uint8_t)((id / 4 + i) % DEMO_WORDS_PLAIN);
    row.amount_is_null = id % 41 == 0;
    row.cents = row.amount_is_null ? 0 : id * 7919 % 10000000 - 500000;
    return row;
}

void demo_model_init(struct demo_model *model, size_t rows)
{
    model->spoilt = 0;
    model->block_count = (rows + DEMO_BLOCK_ROWS - 1) / DEMO_BLOCK_ROWS;
    model->blocks = NEW_ARRAY(struct demo_block, model->block_count);
    for (size_t b = 0; b < model->block_count; b++) {
        for (size_t i = 0; i < DEMO_BLOCK_ROWS; i++)
            model->blocks[b].rows[i] = first_row(demo_row_id(b, i));
    }
}

void demo_model_release(struct demo_model *model)
{
    free(model->blocks);
    model->blocks = NULL;
}

size_t demo_model_rows(const struct demo_model *model)
{
    return model->block_count * DEMO_BLOCK_ROWS;
}

long demo_row_id(size_t block, size_t row)
{
    if (row < DEMO_BLOCK_ROWS)
        return (long)(block * DEMO_BLOCK_ROWS + row + 1);
    return (long)(EXTRA_BASE + block * DEMO_BLOCK_EXTRAS + (row - DEMO_BLOCK_ROWS));
}

bool demo_model_take(struct demo_model *model, uint64_t wish, size_t *block)
{
    size_t tried = 0;
    size_t b = (size_t)(wish % model->block_count);
    while (atomic_exchange_explicit(&model->blocks[b].taken, true, memory_order_acquire)) {
        b = (b + 1) % model->block_count;
        if (++tried % model->block_count != 0)
            continue;
        if (atomic_load(&model->spoilt) >= model->block_count)
            return false;
        sched_yield();
    }
    *block = b;
    return true;
}

void demo_model_give(struct demo_model *model, size_t block)
{
    atomic_store_explicit(&model->blocks[block].taken, false, memory_order_release);
}

void demo_model_spoil(struct demo_model *model, size_t block)
{
    BUG_ON(!atomic_load(&model->blocks[block].taken));
    atomic_fetch_add(&model->spoilt, 1);
}

/* ---------------------------------------------------------------- values */

bool demo_roles_format(const struct demo_roles *roles, enum shape shape,
                       char value[DEMO_VALUE_SIZE])
{
    value[0] = '\0';
    if (roles->count < 0)
        return false;
    size_t length = 0;
    for (int i = 0; i < roles->count; i++) {
        bool quoted = shape == SHAPE_NEW && strchr(words[roles->words[i]], ',');
        length +=
            (size_t)snprintf(value + length, DEMO_VALUE_SIZE - length, quoted ? "%s\"%s\"" : "%s%s",
                             i > 0                ? ","
                             : shape == SHAPE_NEW ? "{"
                                                  : "",
                             words[roles->words[i]]);
    }
    if (shape == SHAPE_NEW)
        snprintf(value + length, DEMO_VALUE_SIZE - length, roles->count ? "}" : "{}");
    return true;
}

void demo_cents_format(int64_t cents, char value[DEMO_VALUE_SIZE])
{
    int64_t size = cents < 0 ? -cents : cents;
    snprintf(value, DEMO_VALUE_SIZE, "%s%lld.%02lld", cents < 0 ? "-" : "", (long long)(size / 100),
             (long long)(size % 100));
}

bool demo_amount_format(const struct demo_row *row, char value[DEMO_VALUE_SIZE])
{
    value[0] = '\0';
    if (row->amount_is_null)
        return false;
    demo_cents_format(row->cents, value);
    return true;
}

void demo_name_format(long id, uint32_t renamed, char value[DEMO_VALUE_SIZE])
{
    snprintf(value, DEMO_VALUE_SIZE, "User %ld.%u", id, renamed);
}

struct demo_roles demo_roles_split(const struct demo_roles *roles)
{
    struct demo_roles split = {.count = roles->count < 0 ? -1 : 0};
    for (int i = 0; i < roles->count; i++) {
        bool two = roles->words[i] == WORD_OPS_NIGHT;
        BUG_ON(split.count + 1 + two > DEMO_ROLES_MAX);
        split.words[split.count++] = two ? WORD_OPS : roles->words[i];
        if (two)
            split.words[split.count++] = WORD_NIGHT;
    }
    return split;
}

static bool same_words(const struct demo_roles *a, const struct demo_roles *b)
{
    return a->count == b->count &&
           (a->count <= 0 || memcmp(a->words, b->words, (size_t)a->count) == 0);
}

bool demo_roles_equal(const struct demo_roles *a, const struct demo_roles *b, enum shape seen_as)
{
    if (seen_as == SHAPE_NEW)
        return same_words(a, b);
    /* The same text, whichever commas were in words. */
    struct demo_roles split_a = demo_roles_split(a), split_b = demo_roles_split(b);
    return same_words(&split_a, &split_b);
}

void demo_roles_assign(struct demo_roles *roles, const struct demo_roles *value, enum shape shape)
{
    if (shape == SHAPE_NEW)
        *roles = *value;
    else if (!demo_roles_equal(roles, value, SHAPE_OLD))
        *roles = demo_roles_split(value);
}

/* ---------------------------------------------------------------- to the server */

static bool run(PGconn *server, const char *sql, ExecStatusType expected, struct error *error)
{
    PGresult *result = PQexec(server, sql);
    bool good = PQresultStatus(result) == expected;
    if (!good)
        error_set(error, "58000", "%s: %s", sql, PQerrorMessage(server));
    PQclear(result);
    return good;
}

static void add_copy_field(struct text *line, bool present, const char *value, char end)
{
    text_add_string(line, present ? value : "\\N");
    text_add_char(line, end);
}

static void add_row(struct text *line, const struct demo_row *row, long id, bool users)
{
    char value[DEMO_VALUE_SIZE];
    text_add_format(line, "%ld\t", id);
    if (users) {
        demo_name_format(id, row->renamed, value);
        add_copy_field(line, true, value, '\t');
        bool present = demo_roles_format(&row->roles, SHAPE_OLD, value);
        add_copy_field(line, present, value, '\n');
        return;
    }
    text_add_format(line, "%ld\t", id);
    bool present = demo_amount_format(row, value);
    add_copy_field(line, present, value, '\n');
}

static bool fill(const struct demo_model *model, PGconn *server, bool users, struct error *error)
{
    if (!run(server, users ? "COPY users FROM STDIN" : "COPY transactions FROM STDIN",
             PGRES_COPY_IN, error))
        return false;
    struct text lines;
    text_init(&lines, TEXT_UNBOUNDED);
    bool sent = true;
    for (size_t b = 0; b < model->block_count && sent; b++) {
        text_clear(&lines);
        for (size_t i = 0; i < DEMO_BLOCK_ROWS; i++)
            add_row(&lines, &model->blocks[b].rows[i], demo_row_id(b, i), users);
        sent = PQputCopyData(server, lines.data, (int)lines.length) == 1;
    }
    text_release(&lines);
    if (PQputCopyEnd(server, sent ? NULL : "not all rows could be sent") != 1)
        return error_set(error, "58000", "cannot fill the tables: %s", PQerrorMessage(server));
    PGresult *result;
    while ((result = PQgetResult(server))) {
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            sent = error_set(error, "58000", "cannot fill the tables: %s", PQerrorMessage(server));
        PQclear(result);
    }
    return sent;
}

bool demo_model_load(const struct demo_model *model, struct pg_conn *server, struct error *error)
{
    return run(server,
               "CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL, role text);"
               "CREATE TABLE transactions (id integer PRIMARY KEY, user_id integer NOT NULL,"
               "                           amount text);"
               "CREATE INDEX ON transactions (user_id)",
               PGRES_COMMAND_OK, error) &&
           fill(model, server, true, error) && fill(model, server, false, error) &&
           run(server,
               "GRANT SELECT, INSERT, UPDATE, DELETE ON users, transactions TO shop_app;"
               "ANALYZE users; ANALYZE transactions",
               PGRES_COMMAND_OK, error);
}

/* ---------------------------------------------------------------- against the server */

enum { DIFFERENCES_TOLD = 5 };

static void add_expected(struct text *line, const struct demo_row *row, long id, bool users,
                         enum shape shape)
{
    char value[DEMO_VALUE_SIZE];
    bool present;
    if (users) {
        demo_name_format(id, row->renamed, value);
        text_add_format(line, "%ld | %s | ", id, value);
        present = demo_roles_format(&row->roles, shape, value);
    } else {
        text_add_format(line, "%ld | %ld | ", id, id);
        present = demo_amount_format(row, value);
    }
    text_add_string(line, present ? value : "NULL");
}

static void add_found(struct text *line, const PGresult *result, int row)
{
    for (int i = 0; i < 3; i++)
        text_add_format(line, "%s%s", i ? " | " : "",
                        PQgetisnull(result, row, i) ? "NULL" : PQgetvalue(result, row, i));
}

static void differ(struct demo_comparison *comparison, const char *table, const char *expected,
                   const char *found)
{
    if (comparison->different++ < DIFFERENCES_TOLD)
        text_add_format(&comparison->first, "%s: expected (%s), found (%s)\n", table, expected,
                        found);
}

/* The n-th row in the order of ids: the rows of the start first, then those that come and go. */
static void locate(const struct demo_model *model, size_t n, size_t *block, size_t *row)
{
    size_t first = model->block_count * DEMO_BLOCK_ROWS;
    *block = n < first ? n / DEMO_BLOCK_ROWS : (n - first) / DEMO_BLOCK_EXTRAS;
    *row = n < first ? n % DEMO_BLOCK_ROWS : DEMO_BLOCK_ROWS + (n - first) % DEMO_BLOCK_EXTRAS;
}

/* Both sides in the order of their ids; a row that one side lacks is a difference too. */
static void compare_table(const struct demo_model *model, const PGresult *result, bool users,
                          enum shape shape, struct demo_comparison *comparison)
{
    const char *table = users ? "users" : "transactions";
    struct text expected, found;
    text_init(&expected, TEXT_UNBOUNDED);
    text_init(&found, TEXT_UNBOUNDED);
    int next = 0;
    for (size_t n = 0; n < model->block_count * DEMO_BLOCK_ALL; n++) {
        size_t block, i;
        locate(model, n, &block, &i);
        const struct demo_row *row = &model->blocks[block].rows[i];
        long id = demo_row_id(block, i);
        text_clear(&expected);
        text_clear(&found);
        if (users ? row->has_user : row->has_transaction)
            add_expected(&expected, row, id, users, shape);
        if (next < PQntuples(result) && atol(PQgetvalue(result, next, 0)) == id)
            add_found(&found, result, next++);
        if (!expected.length && !found.length)
            continue;
        comparison->rows++;
        if (strcmp(expected.data, found.data) != 0)
            differ(comparison, table, expected.length ? expected.data : "no row",
                   found.length ? found.data : "no row");
    }
    for (; next < PQntuples(result); next++) {
        text_clear(&found);
        add_found(&found, result, next);
        differ(comparison, table, "no row", found.data);
    }
    text_release(&expected);
    text_release(&found);
}

bool demo_model_compare(const struct demo_model *model, struct pg_conn *server, enum shape shape,
                        struct demo_comparison *comparison, struct error *error)
{
    const char *const queries[] = {
        shape == SHAPE_OLD ? "SELECT id, name, role FROM users ORDER BY id"
                           : "SELECT id, name, roles FROM users ORDER BY id",
        "SELECT id, user_id, amount FROM transactions ORDER BY id",
    };
    for (size_t i = 0; i < 2; i++) {
        PGresult *result = PQexec(server, queries[i]);
        bool good = PQresultStatus(result) == PGRES_TUPLES_OK;
        if (good)
            compare_table(model, result, i == 0, shape, comparison);
        else
            error_set(error, "58000", "%s: %s", queries[i], PQerrorMessage(server));
        PQclear(result);
        if (!good)
            return false;
    }
    return true;
}
