/*
 * The statements of the two versions of the app, and the jobs made of them. A job changes a draft
 * of its block's rows, and the model takes the draft over when the database has said yes to
 * everything.
 */
#include "demo_work.h"

#include <stdio.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- statements */

enum statement {
    USER_STAR,
    USER_RANGE,
    USER_READ,
    USER_LOCK,
    USER_EQUAL,
    USER_HAS,
    USER_GROUP,
    USER_SET,
    USER_SAVE,
    USER_RENAME,
    USER_GRANT,
    USER_INSERT,
    USER_UPSERT,
    USER_DELETE,
    AMOUNT_STAR,
    AMOUNT_RANGE,
    AMOUNT_SET,
    AMOUNT_ADD,
    AMOUNT_SUM,
    AMOUNT_EQUAL,
    AMOUNT_ABOVE,
    AMOUNT_INSERT,
    AMOUNT_DELETE,
    BOTH_JOIN,
    BOTH_IN,
    STATEMENT_COUNT
};
_Static_assert((int)STATEMENT_COUNT <= (int)DEMO_STATEMENTS_MAX, "a client counts them in bits");

/* As the old and as the new version of the app say it; NULL: like the old one. */
static const char *const statements[STATEMENT_COUNT][SHAPE_COUNT] = {
    [USER_STAR] = {"SELECT * FROM users WHERE id = $1"},
    [USER_RANGE] = {"SELECT id, name, role FROM users WHERE id BETWEEN $1 AND $2 ORDER BY id",
                    "SELECT id, name, roles FROM users WHERE id BETWEEN $1 AND $2 ORDER BY id"},
    [USER_READ] = {"SELECT u.name, u.role AS r FROM public.users AS u WHERE u.id = $1",
                   "SELECT u.name, u.roles AS r FROM public.users AS u WHERE u.id = $1"},
    [USER_LOCK] = {"SELECT role FROM users WHERE id = $1 FOR UPDATE",
                   "SELECT roles FROM users WHERE id = $1 FOR UPDATE"},
    [USER_EQUAL] = {"SELECT count(*) FROM users WHERE id BETWEEN $1 AND $2 AND role = $3",
                    "SELECT count(*) FROM users WHERE id BETWEEN $1 AND $2 AND roles = $3"},
    [USER_HAS] = {"SELECT count(*) FROM users WHERE id BETWEEN $1 AND $2 "
                  "AND ',' || role || ',' LIKE '%,' || $3 || ',%'",
                  "SELECT count(*) FROM users WHERE id BETWEEN $1 AND $2 AND $3 = ANY (roles)"},
    [USER_GROUP] = {"SELECT role, count(*) FROM users WHERE id BETWEEN $1 AND $2 GROUP BY role",
                    "SELECT roles, count(*) FROM users WHERE id BETWEEN $1 AND $2 GROUP BY roles"},
    [USER_SET] = {"UPDATE users SET role = $2 WHERE id = $1 RETURNING id, role",
                  "UPDATE users SET roles = $2 WHERE id = $1 RETURNING id, roles"},
    [USER_SAVE] = {"UPDATE users SET name = $2, role = $3 WHERE id = $1",
                   "UPDATE users SET name = $2, roles = $3 WHERE id = $1"},
    [USER_RENAME] = {"UPDATE users SET name = $2 WHERE id = $1 RETURNING *"},
    [USER_GRANT] = {"UPDATE users SET role = role || ',dev' WHERE id = $1 AND role <> '' "
                    "RETURNING role",
                    "UPDATE users SET roles = array_append(roles, 'dev') "
                    "WHERE id = $1 AND cardinality(roles) > 0 RETURNING roles"},
    [USER_INSERT] = {"INSERT INTO users VALUES ($1, $2, $3), ($4, $5, $6)"},
    [USER_UPSERT] = {"INSERT INTO users (id, name, role) VALUES ($1, $2, $3) ON CONFLICT (id) "
                     "DO UPDATE SET name = EXCLUDED.name, role = EXCLUDED.role RETURNING role",
                     "INSERT INTO users (id, name, roles) VALUES ($1, $2, $3) ON CONFLICT (id) "
                     "DO UPDATE SET name = EXCLUDED.name, roles = EXCLUDED.roles RETURNING roles"},
    [USER_DELETE] = {"DELETE FROM users WHERE id = $1 RETURNING role",
                     "DELETE FROM users WHERE id = $1 RETURNING roles"},
    [AMOUNT_STAR] = {"SELECT * FROM transactions WHERE id = $1"},
    [AMOUNT_RANGE] = {"SELECT id, amount FROM transactions WHERE id BETWEEN $1 AND $2 ORDER BY id"},
    [AMOUNT_SET] = {"UPDATE transactions SET amount = $2 WHERE id = $1 RETURNING amount"},
    [AMOUNT_ADD] = {"UPDATE transactions SET amount = (amount::numeric + $2::numeric)::text "
                    "WHERE id = $1 RETURNING amount",
                    "UPDATE transactions SET amount = amount + $2::numeric "
                    "WHERE id = $1 RETURNING amount"},
    [AMOUNT_SUM] = {"SELECT sum(amount::numeric) FROM transactions WHERE id BETWEEN $1 AND $2",
                    "SELECT sum(amount) FROM transactions WHERE id BETWEEN $1 AND $2"},
    [AMOUNT_EQUAL] = {"SELECT count(*) FROM transactions WHERE id BETWEEN $1 AND $2 "
                      "AND amount = $3"},
    [AMOUNT_ABOVE] = {"SELECT count(*) FROM transactions WHERE id BETWEEN $1 AND $2 "
                      "AND amount::numeric > $3::numeric",
                      "SELECT count(*) FROM transactions WHERE id BETWEEN $1 AND $2 "
                      "AND amount > $3"},
    [AMOUNT_INSERT] = {"INSERT INTO transactions (id, user_id, amount) "
                       "VALUES ($1, $2, $3), ($4, $5, $6) RETURNING id, amount"},
    [AMOUNT_DELETE] = {"DELETE FROM transactions WHERE id = $1"},
    [BOTH_JOIN] = {"SELECT u.id, u.name, u.role, t.amount FROM users u "
                   "JOIN transactions t ON t.user_id = u.id "
                   "WHERE u.id BETWEEN $1 AND $2 ORDER BY u.id",
                   "SELECT u.id, u.name, u.roles, t.amount FROM users u "
                   "JOIN transactions t ON t.user_id = u.id "
                   "WHERE u.id BETWEEN $1 AND $2 ORDER BY u.id"},
    [BOTH_IN] = {"WITH mine AS (SELECT user_id, amount FROM transactions WHERE id = $1) "
                 "SELECT role FROM users "
                 "WHERE id IN (SELECT user_id FROM mine WHERE amount IS NOT NULL)",
                 "WITH mine AS (SELECT user_id, amount FROM transactions WHERE id = $1) "
                 "SELECT roles FROM users "
                 "WHERE id IN (SELECT user_id FROM mine WHERE amount IS NOT NULL)"},
};

/* ---------------------------------------------------------------- a job and its values */

struct job {
    struct demo_client *client;
    enum shape shape;
    size_t block;
    struct demo_row rows[DEMO_BLOCK_ALL]; /* the draft */
};

struct values {
    size_t count;
    char text[DEMO_ARGUMENTS_MAX][DEMO_VALUE_SIZE];
    const char *arguments[DEMO_ARGUMENTS_MAX];
};

static void add(struct values *values, bool present)
{
    values->arguments[values->count] = present ? values->text[values->count] : NULL;
    values->count++;
}

static void add_id(struct values *values, long id)
{
    snprintf(values->text[values->count], DEMO_VALUE_SIZE, "%ld", id);
    add(values, true);
}

static void add_name(struct values *values, long id, uint32_t renamed)
{
    demo_name_format(id, renamed, values->text[values->count]);
    add(values, true);
}

static void add_roles(struct values *values, const struct demo_roles *roles, enum shape shape)
{
    add(values, demo_roles_format(roles, shape, values->text[values->count]));
}

static void add_amount(struct values *values, const struct demo_row *row)
{
    add(values, demo_amount_format(row, values->text[values->count]));
}

static void add_cents(struct values *values, int64_t cents)
{
    demo_cents_format(cents, values->text[values->count]);
    add(values, true);
}

/* The rows that are always there. */
static void add_range(const struct job *job, struct values *values)
{
    add_id(values, demo_row_id(job->block, 0));
    add_id(values, demo_row_id(job->block, DEMO_BLOCK_ROWS - 1));
}

static PGresult *ask(struct job *job, enum statement statement, const struct values *values)
{
    const char *sql = statements[statement][job->shape];
    return demo_client_ask(job->client, statement, sql ? sql : statements[statement][SHAPE_OLD],
                           values->count, values->arguments);
}

static void expect_roles(struct job *job, const PGresult *result, int row, int column,
                         const struct demo_roles *roles)
{
    char value[DEMO_VALUE_SIZE];
    bool present = demo_roles_format(roles, job->shape, value);
    demo_client_expect_value(job->client, result, row, column, present ? value : NULL);
}

static void expect_amount(struct job *job, const PGresult *result, int row, int column,
                          const struct demo_row *expected)
{
    char value[DEMO_VALUE_SIZE];
    bool present = demo_amount_format(expected, value);
    demo_client_expect_value(job->client, result, row, column, present ? value : NULL);
}

static void expect_name(struct job *job, const PGresult *result, int row, int column, size_t index)
{
    char value[DEMO_VALUE_SIZE];
    demo_name_format(demo_row_id(job->block, index), job->rows[index].renamed, value);
    demo_client_expect_value(job->client, result, row, column, value);
}

static void expect_number(struct job *job, const PGresult *result, int row, int column, long number)
{
    char value[DEMO_VALUE_SIZE];
    snprintf(value, sizeof value, "%ld", number);
    demo_client_expect_value(job->client, result, row, column, value);
}

static size_t any_row(struct job *job)
{
    return (size_t)demo_client_random(job->client, DEMO_BLOCK_ROWS);
}

static bool one_in(struct job *job, unsigned times)
{
    return demo_client_random(job->client, times) == 0;
}

/* The old version knows no commas within a role. */
static struct demo_roles new_roles(struct job *job)
{
    struct demo_roles roles = {.count = -1};
    if (one_in(job, 20))
        return roles;
    unsigned known = job->shape == SHAPE_OLD ? DEMO_WORDS_PLAIN : DEMO_WORDS;
    roles.count = (int8_t)demo_client_random(job->client, 3);
    for (int i = 0; i < roles.count; i++)
        roles.words[i] = (uint8_t)demo_client_random(job->client, known);
    return roles;
}

static void new_amount(struct job *job, struct demo_row *row)
{
    row->amount_is_null = one_in(job, 40);
    row->cents =
        row->amount_is_null ? 0 : (int64_t)demo_client_random(job->client, 9999999) - 99999;
}

/* ---------------------------------------------------------------- users: reading */

enum { INT4 = 23, TEXT = 25, TEXT_ARRAY = 1009, NUMERIC = 1700 };
enum { NUMERIC_12_2 = (12 << 16 | 2) + 4 }; /* typmod */

static void read_user_star(struct job *job)
{
    size_t i = any_row(job);
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    PGresult *result = ask(job, USER_STAR, &values);
    bool old = job->shape == SHAPE_OLD;
    demo_client_expect_rows(job->client, result, 1);
    demo_client_expect_column(job->client, result, 0, "id", INT4, -1);
    demo_client_expect_column(job->client, result, 1, "name", TEXT, -1);
    demo_client_expect_column(job->client, result, 2, old ? "role" : "roles",
                              old ? TEXT : TEXT_ARRAY, -1);
    expect_name(job, result, 0, 1, i);
    expect_roles(job, result, 0, 2, &job->rows[i].roles);
    PQclear(result);
}

static void read_user(struct job *job)
{
    size_t i = any_row(job);
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    PGresult *result = ask(job, USER_READ, &values);
    demo_client_expect_rows(job->client, result, 1);
    expect_name(job, result, 0, 0, i);
    expect_roles(job, result, 0, 1, &job->rows[i].roles);
    PQclear(result);
}

static void read_users(struct job *job)
{
    struct values values = {0};
    add_range(job, &values);
    PGresult *result = ask(job, USER_RANGE, &values);
    demo_client_expect_rows(job->client, result, DEMO_BLOCK_ROWS);
    for (int i = 0; i < DEMO_BLOCK_ROWS; i++) {
        expect_number(job, result, i, 0, demo_row_id(job->block, (size_t)i));
        expect_name(job, result, i, 1, (size_t)i);
        expect_roles(job, result, i, 2, &job->rows[i].roles);
    }
    PQclear(result);
}

static int count_equal(const struct job *job, const struct demo_roles *roles)
{
    int count = 0;
    for (size_t i = 0; i < DEMO_BLOCK_ROWS; i++)
        count += demo_roles_equal(&job->rows[i].roles, roles, job->shape);
    return count;
}

static void count_users_with_roles(struct job *job)
{
    const struct demo_roles *roles = &job->rows[any_row(job)].roles;
    struct values values = {0};
    add_range(job, &values);
    add_roles(&values, roles, job->shape);
    PGresult *result = ask(job, USER_EQUAL, &values);
    expect_number(job, result, 0, 0, roles->count < 0 ? 0 : count_equal(job, roles));
    PQclear(result);
}

static int count_having(const struct job *job, unsigned word)
{
    int count = 0;
    for (size_t i = 0; i < DEMO_BLOCK_ROWS; i++) {
        struct demo_roles roles = job->rows[i].roles;
        if (job->shape == SHAPE_OLD)
            roles = demo_roles_split(&roles);
        bool has = false;
        for (int w = 0; w < roles.count; w++)
            has = has || roles.words[w] == word;
        count += has;
    }
    return count;
}

static void count_users_having_role(struct job *job)
{
    unsigned known = job->shape == SHAPE_OLD ? DEMO_WORDS_PLAIN : DEMO_WORDS;
    unsigned word = (unsigned)demo_client_random(job->client, known);
    struct values values = {0};
    add_range(job, &values);
    snprintf(values.text[values.count], DEMO_VALUE_SIZE, "%s", demo_word(word));
    add(&values, true);
    PGresult *result = ask(job, USER_HAS, &values);
    expect_number(job, result, 0, 0, count_having(job, word));
    PQclear(result);
}

/* The first row of the block that has such roles. */
static bool is_first_of_its_kind(const struct job *job, size_t i)
{
    for (size_t before = 0; before < i; before++) {
        if (demo_roles_equal(&job->rows[before].roles, &job->rows[i].roles, job->shape))
            return false;
    }
    return true;
}

static bool is_value(const PGresult *result, int row, const char *value, bool present)
{
    return PQgetisnull(result, row, 0) ? !present
                                       : present && strcmp(PQgetvalue(result, row, 0), value) == 0;
}

static void group_users(struct job *job)
{
    struct values values = {0};
    add_range(job, &values);
    PGresult *result = ask(job, USER_GROUP, &values);
    int groups = 0;
    for (size_t i = 0; result && i < DEMO_BLOCK_ROWS; i++) {
        if (!is_first_of_its_kind(job, i))
            continue;
        groups++;
        char value[DEMO_VALUE_SIZE];
        bool present = demo_roles_format(&job->rows[i].roles, job->shape, value);
        for (int row = 0; row < PQntuples(result); row++) {
            if (is_value(result, row, value, present))
                expect_number(job, result, row, 1, count_equal(job, &job->rows[i].roles));
        }
    }
    demo_client_expect_rows(job->client, result, groups);
    PQclear(result);
}

/* ---------------------------------------------------------------- users: writing */

static void set_roles(struct job *job)
{
    size_t i = any_row(job);
    struct demo_roles roles = new_roles(job);
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    add_roles(&values, &roles, job->shape);
    demo_roles_assign(&job->rows[i].roles, &roles, job->shape);
    PGresult *result = ask(job, USER_SET, &values);
    demo_client_expect_affected(job->client, result, 1);
    expect_number(job, result, 0, 0, demo_row_id(job->block, i));
    expect_roles(job, result, 0, 1, &job->rows[i].roles);
    PQclear(result);
}

/* As an object mapper does: every field, whether it changed or not. */
static void save_user(struct job *job)
{
    size_t i = any_row(job);
    struct demo_row *row = &job->rows[i];
    struct demo_roles roles = one_in(job, 2) ? new_roles(job) : row->roles;
    row->renamed++;
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    add_name(&values, demo_row_id(job->block, i), row->renamed);
    add_roles(&values, &roles, job->shape);
    demo_roles_assign(&row->roles, &roles, job->shape);
    PGresult *result = ask(job, USER_SAVE, &values);
    demo_client_expect_affected(job->client, result, 1);
    PQclear(result);
}

static void rename_user(struct job *job)
{
    size_t i = any_row(job);
    job->rows[i].renamed++;
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    add_name(&values, demo_row_id(job->block, i), job->rows[i].renamed);
    PGresult *result = ask(job, USER_RENAME, &values);
    demo_client_expect_rows(job->client, result, 1);
    expect_name(job, result, 0, 1, i);
    expect_roles(job, result, 0, 2, &job->rows[i].roles);
    PQclear(result);
}

static void grant_dev(struct job *job)
{
    size_t i = any_row(job);
    struct demo_roles *roles = &job->rows[i].roles;
    struct demo_roles split = demo_roles_split(roles);
    if (split.count == DEMO_ROLES_MAX)
        return;
    bool matches = roles->count > 0;
    if (matches) {
        struct demo_roles granted = job->shape == SHAPE_OLD ? split : *roles;
        granted.words[granted.count++] = DEMO_WORD_DEV;
        *roles = granted;
    }
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    PGresult *result = ask(job, USER_GRANT, &values);
    demo_client_expect_rows(job->client, result, matches);
    if (matches)
        expect_roles(job, result, 0, 0, roles);
    PQclear(result);
}

/* The rows that come and go: both in, or each out. */
static void insert_users(struct job *job)
{
    struct values values = {0};
    for (size_t i = DEMO_BLOCK_ROWS; i < DEMO_BLOCK_ALL; i++) {
        struct demo_row *row = &job->rows[i];
        row->has_user = true;
        row->roles = new_roles(job);
        add_id(&values, demo_row_id(job->block, i));
        add_name(&values, demo_row_id(job->block, i), row->renamed);
        add_roles(&values, &row->roles, job->shape);
    }
    PGresult *result = ask(job, USER_INSERT, &values);
    demo_client_expect_affected(job->client, result, 2);
    PQclear(result);
}

static void delete_user(struct job *job, size_t i)
{
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    PGresult *result = ask(job, USER_DELETE, &values);
    demo_client_expect_rows(job->client, result, job->rows[i].has_user);
    if (job->rows[i].has_user)
        expect_roles(job, result, 0, 0, &job->rows[i].roles);
    job->rows[i].has_user = false;
    PQclear(result);
}

static void insert_or_delete_users(struct job *job)
{
    size_t first = DEMO_BLOCK_ROWS;
    if (!job->rows[first].has_user && !job->rows[first + 1].has_user)
        insert_users(job);
    else
        delete_user(job, first + demo_client_random(job->client, DEMO_BLOCK_EXTRAS));
}

static void upsert_user(struct job *job)
{
    size_t i = DEMO_BLOCK_ROWS + demo_client_random(job->client, DEMO_BLOCK_EXTRAS);
    struct demo_row *row = &job->rows[i];
    struct demo_roles roles = new_roles(job);
    row->renamed++;
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    add_name(&values, demo_row_id(job->block, i), row->renamed);
    add_roles(&values, &roles, job->shape);
    if (row->has_user)
        demo_roles_assign(&row->roles, &roles, job->shape);
    else
        row->roles = roles;
    row->has_user = true;
    PGresult *result = ask(job, USER_UPSERT, &values);
    demo_client_expect_rows(job->client, result, 1);
    expect_roles(job, result, 0, 0, &row->roles);
    PQclear(result);
}

/* ---------------------------------------------------------------- transactions */

static void read_amount_star(struct job *job)
{
    size_t i = any_row(job);
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    PGresult *result = ask(job, AMOUNT_STAR, &values);
    bool old = job->shape == SHAPE_OLD;
    demo_client_expect_rows(job->client, result, 1);
    demo_client_expect_column(job->client, result, 1, "user_id", INT4, -1);
    demo_client_expect_column(job->client, result, 2, "amount", old ? TEXT : NUMERIC,
                              old ? -1 : NUMERIC_12_2);
    expect_amount(job, result, 0, 2, &job->rows[i]);
    PQclear(result);
}

static void read_amounts(struct job *job)
{
    struct values values = {0};
    add_range(job, &values);
    PGresult *result = ask(job, AMOUNT_RANGE, &values);
    demo_client_expect_rows(job->client, result, DEMO_BLOCK_ROWS);
    for (int i = 0; i < DEMO_BLOCK_ROWS; i++)
        expect_amount(job, result, i, 1, &job->rows[i]);
    PQclear(result);
}

static void set_amount(struct job *job)
{
    size_t i = any_row(job);
    new_amount(job, &job->rows[i]);
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    add_amount(&values, &job->rows[i]);
    PGresult *result = ask(job, AMOUNT_SET, &values);
    demo_client_expect_affected(job->client, result, 1);
    expect_amount(job, result, 0, 0, &job->rows[i]);
    PQclear(result);
}

static void add_to_amount(struct job *job, size_t i, int64_t cents)
{
    struct demo_row *row = &job->rows[i];
    if (!row->amount_is_null)
        row->cents += cents;
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    add_cents(&values, cents);
    PGresult *result = ask(job, AMOUNT_ADD, &values);
    demo_client_expect_rows(job->client, result, 1);
    expect_amount(job, result, 0, 0, row);
    PQclear(result);
}

static void add_to_any_amount(struct job *job)
{
    add_to_amount(job, any_row(job), (int64_t)demo_client_random(job->client, 20000) - 10000);
}

static void sum_amounts(struct job *job)
{
    struct demo_row sum = {.amount_is_null = true};
    for (size_t i = 0; i < DEMO_BLOCK_ROWS; i++) {
        sum.cents += job->rows[i].cents;
        sum.amount_is_null = sum.amount_is_null && job->rows[i].amount_is_null;
    }
    struct values values = {0};
    add_range(job, &values);
    PGresult *result = ask(job, AMOUNT_SUM, &values);
    expect_amount(job, result, 0, 0, &sum);
    PQclear(result);
}

static void count_amounts(struct job *job)
{
    const struct demo_row *like = &job->rows[any_row(job)];
    bool equal = one_in(job, 2);
    if (like->amount_is_null)
        return;
    int count = 0;
    for (size_t i = 0; i < DEMO_BLOCK_ROWS; i++) {
        const struct demo_row *row = &job->rows[i];
        count +=
            !row->amount_is_null && (equal ? row->cents == like->cents : row->cents > like->cents);
    }
    struct values values = {0};
    add_range(job, &values);
    add_amount(&values, like);
    PGresult *result = ask(job, equal ? AMOUNT_EQUAL : AMOUNT_ABOVE, &values);
    expect_number(job, result, 0, 0, count);
    PQclear(result);
}

static void insert_amounts(struct job *job)
{
    struct values values = {0};
    for (size_t i = DEMO_BLOCK_ROWS; i < DEMO_BLOCK_ALL; i++) {
        job->rows[i].has_transaction = true;
        new_amount(job, &job->rows[i]);
        add_id(&values, demo_row_id(job->block, i));
        add_id(&values, demo_row_id(job->block, i));
        add_amount(&values, &job->rows[i]);
    }
    PGresult *result = ask(job, AMOUNT_INSERT, &values);
    demo_client_expect_rows(job->client, result, 2);
    for (int i = 0; i < DEMO_BLOCK_EXTRAS; i++)
        expect_amount(job, result, i, 1, &job->rows[DEMO_BLOCK_ROWS + i]);
    PQclear(result);
}

static void insert_or_delete_amounts(struct job *job)
{
    size_t first = DEMO_BLOCK_ROWS;
    if (!job->rows[first].has_transaction && !job->rows[first + 1].has_transaction) {
        insert_amounts(job);
        return;
    }
    size_t i = first + demo_client_random(job->client, DEMO_BLOCK_EXTRAS);
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    PGresult *result = ask(job, AMOUNT_DELETE, &values);
    demo_client_expect_affected(job->client, result, job->rows[i].has_transaction);
    job->rows[i].has_transaction = false;
    PQclear(result);
}

/* Two statements in one query string. */
static void set_and_read_amount(struct job *job)
{
    size_t i = any_row(job);
    long id = demo_row_id(job->block, i);
    char sql[300], value[DEMO_VALUE_SIZE];
    new_amount(job, &job->rows[i]);
    job->rows[i].amount_is_null = false;
    demo_amount_format(&job->rows[i], value);
    snprintf(sql, sizeof sql,
             "UPDATE transactions SET amount = '%s' WHERE id = %ld; "
             "SELECT amount FROM transactions WHERE id = %ld",
             value, id, id);
    PGresult *result = demo_client_ask_simple(job->client, sql);
    demo_client_expect_rows(job->client, result, 1);
    expect_amount(job, result, 0, 0, &job->rows[i]);
    PQclear(result);
    job->client->sql = "an UPDATE and a SELECT in one query"; /* `sql` ends here */
}

/* ---------------------------------------------------------------- both tables */

static void join_both(struct job *job)
{
    struct values values = {0};
    add_range(job, &values);
    PGresult *result = ask(job, BOTH_JOIN, &values);
    demo_client_expect_rows(job->client, result, DEMO_BLOCK_ROWS);
    for (int i = 0; i < DEMO_BLOCK_ROWS; i++) {
        expect_name(job, result, i, 1, (size_t)i);
        expect_roles(job, result, i, 2, &job->rows[i].roles);
        expect_amount(job, result, i, 3, &job->rows[i]);
    }
    PQclear(result);
}

static void read_user_of_transaction(struct job *job)
{
    size_t i = any_row(job);
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    PGresult *result = ask(job, BOTH_IN, &values);
    demo_client_expect_rows(job->client, result, !job->rows[i].amount_is_null);
    if (!job->rows[i].amount_is_null)
        expect_roles(job, result, 0, 0, &job->rows[i].roles);
    PQclear(result);
}

static void lock_user(struct job *job, size_t i)
{
    struct values values = {0};
    add_id(&values, demo_row_id(job->block, i));
    PGresult *result = ask(job, USER_LOCK, &values);
    demo_client_expect_rows(job->client, result, 1);
    expect_roles(job, result, 0, 0, &job->rows[i].roles);
    PQclear(result);
}

/* Several statements in one transaction; one in four is rolled back. */
static void transact(struct job *job, bool users)
{
    struct demo_row before[DEMO_BLOCK_ALL];
    memcpy(before, job->rows, sizeof before);
    int64_t cents = (int64_t)demo_client_random(job->client, 10000);

    PQclear(demo_client_ask_simple(job->client, "BEGIN"));
    if (users)
        lock_user(job, any_row(job));
    add_to_amount(job, any_row(job), -cents);
    add_to_amount(job, any_row(job), cents);
    sum_amounts(job);
    if (users)
        save_user(job);
    bool undone = one_in(job, 4);
    PQclear(demo_client_ask_simple(job->client, undone ? "ROLLBACK" : "COMMIT"));
    if (undone)
        memcpy(job->rows, before, sizeof before);
}

static void transact_on_both(struct job *job)
{
    transact(job, true);
}

static void transact_on_transactions(struct job *job)
{
    transact(job, false);
}

/* ---------------------------------------------------------------- choosing */

typedef void (*job_function)(struct job *job);

static const job_function jobs_on_transactions[] = {
    read_amount_star,
    read_amounts,
    read_amounts,
    set_amount,
    set_amount,
    sum_amounts,
    count_amounts,
    add_to_any_amount,
    set_and_read_amount,
    insert_or_delete_amounts,
    transact_on_transactions,
};

static const job_function jobs_on_users[] = {
    read_user_star,
    read_user,
    read_users,
    count_users_with_roles,
    count_users_having_role,
    group_users,
    set_roles,
    set_roles,
    save_user,
    save_user,
    rename_user,
    grant_dev,
    upsert_user,
    insert_or_delete_users,
    join_both,
    transact_on_both,
    read_user_of_transaction,
};

static job_function choose(struct demo_client *client, bool users)
{
    size_t of_transactions = sizeof jobs_on_transactions / sizeof *jobs_on_transactions;
    size_t of_users = sizeof jobs_on_users / sizeof *jobs_on_users;
    uint64_t choice = demo_client_random(client, of_transactions + (users ? of_users : 0));
    return choice < of_transactions ? jobs_on_transactions[choice]
                                    : jobs_on_users[choice - of_transactions];
}

bool demo_work_once(struct demo_client *client, struct demo_model *model, bool users)
{
    job_function function = choose(client, users);
    struct job job = {.client = client, .shape = client->shape};
    job.block = demo_model_take(model, demo_client_random(client, model->block_count));
    struct demo_block *block = &model->blocks[job.block];
    memcpy(job.rows, block->rows, sizeof job.rows);
    function(&job);
    bool good = !client->failed;
    if (good)
        memcpy(block->rows, job.rows, sizeof job.rows);
    block->spoilt = !good;
    demo_model_give(model, job.block);
    if (!good)
        demo_client_reopen(client);
    return good;
}
