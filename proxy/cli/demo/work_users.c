/* Work on the table `users`. */
#include "work_tables.h"

/* ---------------------------------------------------------------- reading */

void demo_work_read_user_star(struct demo_job *job)
{
    size_t i = demo_job_any_row(job);
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    PGresult *result = demo_job_ask(job, USER_STAR, &values);
    bool old = job->shape == SHAPE_OLD;
    demo_client_expect_rows(job->client, result, 1);
    demo_client_expect_column(job->client, result, 0, "id", DEMO_INT4, -1);
    demo_client_expect_column(job->client, result, 1, "name", DEMO_TEXT, -1);
    demo_client_expect_column(job->client, result, 2, old ? "role" : "roles",
                              old ? DEMO_TEXT : DEMO_TEXT_ARRAY, -1);
    demo_job_expect_name(job, result, 0, 1, i);
    demo_job_expect_roles(job, result, 0, 2, &job->rows[i].roles);
    PQclear(result);
}

void demo_work_read_user(struct demo_job *job)
{
    size_t i = demo_job_any_row(job);
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    PGresult *result = demo_job_ask(job, USER_READ, &values);
    demo_client_expect_rows(job->client, result, 1);
    demo_job_expect_name(job, result, 0, 0, i);
    demo_job_expect_roles(job, result, 0, 1, &job->rows[i].roles);
    PQclear(result);
}

void demo_work_read_users(struct demo_job *job)
{
    struct demo_values values = {0};
    demo_values_add_range(&values, job);
    PGresult *result = demo_job_ask(job, USER_RANGE, &values);
    demo_client_expect_rows(job->client, result, DEMO_BLOCK_ROWS);
    for (int i = 0; i < DEMO_BLOCK_ROWS; i++) {
        demo_job_expect_number(job, result, i, 0, demo_row_id(job->block, (size_t)i));
        demo_job_expect_name(job, result, i, 1, (size_t)i);
        demo_job_expect_roles(job, result, i, 2, &job->rows[i].roles);
    }
    PQclear(result);
}

static int count_equal(const struct demo_job *job, const struct demo_roles *roles)
{
    int count = 0;
    for (size_t i = 0; i < DEMO_BLOCK_ROWS; i++)
        count += demo_roles_equal(&job->rows[i].roles, roles, job->shape);
    return count;
}

void demo_work_count_users_with_roles(struct demo_job *job)
{
    const struct demo_roles *roles = &job->rows[demo_job_any_row(job)].roles;
    struct demo_values values = {0};
    demo_values_add_range(&values, job);
    demo_values_add_roles(&values, roles, job->shape);
    PGresult *result = demo_job_ask(job, USER_EQUAL, &values);
    demo_job_expect_number(job, result, 0, 0, roles->count < 0 ? 0 : count_equal(job, roles));
    PQclear(result);
}

static int count_having(const struct demo_job *job, unsigned word)
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

void demo_work_count_users_having_role(struct demo_job *job)
{
    unsigned known = job->shape == SHAPE_OLD ? DEMO_WORDS_PLAIN : DEMO_WORDS;
    unsigned word = (unsigned)demo_client_random(job->client, known);
    struct demo_values values = {0};
    demo_values_add_range(&values, job);
    demo_values_add_text(&values, demo_word(word));
    PGresult *result = demo_job_ask(job, USER_HAS, &values);
    demo_job_expect_number(job, result, 0, 0, count_having(job, word));
    PQclear(result);
}

/* The first row of the block that has such roles. */
static bool is_first_of_its_kind(const struct demo_job *job, size_t i)
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

void demo_work_group_users(struct demo_job *job)
{
    struct demo_values values = {0};
    demo_values_add_range(&values, job);
    PGresult *result = demo_job_ask(job, USER_GROUP, &values);
    int groups = 0;
    for (size_t i = 0; result && i < DEMO_BLOCK_ROWS; i++) {
        if (!is_first_of_its_kind(job, i))
            continue;
        groups++;
        char value[DEMO_VALUE_SIZE];
        bool present = demo_roles_format(&job->rows[i].roles, job->shape, value);
        for (int row = 0; row < PQntuples(result); row++) {
            if (is_value(result, row, value, present))
                demo_job_expect_number(job, result, row, 1, count_equal(job, &job->rows[i].roles));
        }
    }
    demo_client_expect_rows(job->client, result, groups);
    PQclear(result);
}

/* ---------------------------------------------------------------- writing */

void demo_work_set_roles(struct demo_job *job)
{
    size_t i = demo_job_any_row(job);
    struct demo_roles roles = demo_job_new_roles(job);
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    demo_values_add_roles(&values, &roles, job->shape);
    demo_roles_assign(&job->rows[i].roles, &roles, job->shape);
    PGresult *result = demo_job_ask(job, USER_SET, &values);
    demo_client_expect_affected(job->client, result, 1);
    demo_job_expect_number(job, result, 0, 0, demo_row_id(job->block, i));
    demo_job_expect_roles(job, result, 0, 1, &job->rows[i].roles);
    PQclear(result);
}

/* As an object mapper does: every field, whether it changed or not. */
void demo_work_save_user(struct demo_job *job)
{
    size_t i = demo_job_any_row(job);
    struct demo_row *row = &job->rows[i];
    struct demo_roles roles = demo_job_one_in(job, 2) ? demo_job_new_roles(job) : row->roles;
    row->renamed++;
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    demo_values_add_name(&values, demo_row_id(job->block, i), row->renamed);
    demo_values_add_roles(&values, &roles, job->shape);
    demo_roles_assign(&row->roles, &roles, job->shape);
    PGresult *result = demo_job_ask(job, USER_SAVE, &values);
    demo_client_expect_affected(job->client, result, 1);
    PQclear(result);
}

void demo_work_rename_user(struct demo_job *job)
{
    size_t i = demo_job_any_row(job);
    job->rows[i].renamed++;
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    demo_values_add_name(&values, demo_row_id(job->block, i), job->rows[i].renamed);
    PGresult *result = demo_job_ask(job, USER_RENAME, &values);
    demo_client_expect_rows(job->client, result, 1);
    demo_job_expect_name(job, result, 0, 1, i);
    demo_job_expect_roles(job, result, 0, 2, &job->rows[i].roles);
    PQclear(result);
}

void demo_work_grant_dev(struct demo_job *job)
{
    size_t i = demo_job_any_row(job);
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
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    PGresult *result = demo_job_ask(job, USER_GRANT, &values);
    demo_client_expect_rows(job->client, result, matches);
    if (matches)
        demo_job_expect_roles(job, result, 0, 0, roles);
    PQclear(result);
}

/* The rows that come and go: both in, or each out. */
static void insert_users(struct demo_job *job)
{
    struct demo_values values = {0};
    for (size_t i = DEMO_BLOCK_ROWS; i < DEMO_BLOCK_ALL; i++) {
        struct demo_row *row = &job->rows[i];
        row->has_user = true;
        row->roles = demo_job_new_roles(job);
        demo_values_add_id(&values, demo_row_id(job->block, i));
        demo_values_add_name(&values, demo_row_id(job->block, i), row->renamed);
        demo_values_add_roles(&values, &row->roles, job->shape);
    }
    PGresult *result = demo_job_ask(job, USER_INSERT, &values);
    demo_client_expect_affected(job->client, result, 2);
    PQclear(result);
}

static void delete_user(struct demo_job *job, size_t i)
{
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    PGresult *result = demo_job_ask(job, USER_DELETE, &values);
    demo_client_expect_rows(job->client, result, job->rows[i].has_user);
    if (job->rows[i].has_user)
        demo_job_expect_roles(job, result, 0, 0, &job->rows[i].roles);
    job->rows[i].has_user = false;
    PQclear(result);
}

void demo_work_insert_or_delete_users(struct demo_job *job)
{
    size_t first = DEMO_BLOCK_ROWS;
    if (!job->rows[first].has_user && !job->rows[first + 1].has_user)
        insert_users(job);
    else
        delete_user(job, first + demo_client_random(job->client, DEMO_BLOCK_EXTRAS));
}

void demo_work_upsert_user(struct demo_job *job)
{
    size_t i = DEMO_BLOCK_ROWS + demo_client_random(job->client, DEMO_BLOCK_EXTRAS);
    struct demo_row *row = &job->rows[i];
    struct demo_roles roles = demo_job_new_roles(job);
    row->renamed++;
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    demo_values_add_name(&values, demo_row_id(job->block, i), row->renamed);
    demo_values_add_roles(&values, &roles, job->shape);
    if (row->has_user)
        demo_roles_assign(&row->roles, &roles, job->shape);
    else
        row->roles = roles;
    row->has_user = true;
    PGresult *result = demo_job_ask(job, USER_UPSERT, &values);
    demo_client_expect_rows(job->client, result, 1);
    demo_job_expect_roles(job, result, 0, 0, &row->roles);
    PQclear(result);
}
