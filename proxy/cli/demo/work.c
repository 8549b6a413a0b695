/* Which piece of work comes next, and those on both tables. */
#include "work.h"

#include "work_tables.h"

/* ---------------------------------------------------------------- both tables */

static void join_both(struct demo_job *job)
{
    struct demo_values values = {0};
    demo_values_add_range(&values, job);
    PGresult *result = demo_job_ask(job, BOTH_JOIN, &values);
    demo_client_expect_rows(job->client, result, DEMO_BLOCK_ROWS);
    for (int i = 0; i < DEMO_BLOCK_ROWS; i++) {
        demo_job_expect_name(job, result, i, 1, (size_t)i);
        demo_job_expect_roles(job, result, i, 2, &job->rows[i].roles);
        demo_job_expect_amount(job, result, i, 3, &job->rows[i]);
    }
    PQclear(result);
}

static void read_user_of_transaction(struct demo_job *job)
{
    size_t i = demo_job_any_row(job);
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    PGresult *result = demo_job_ask(job, BOTH_IN, &values);
    demo_client_expect_rows(job->client, result, !job->rows[i].amount_is_null);
    if (!job->rows[i].amount_is_null)
        demo_job_expect_roles(job, result, 0, 0, &job->rows[i].roles);
    PQclear(result);
}

static void lock_user(struct demo_job *job, size_t i)
{
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    PGresult *result = demo_job_ask(job, USER_LOCK, &values);
    demo_client_expect_rows(job->client, result, 1);
    demo_job_expect_roles(job, result, 0, 0, &job->rows[i].roles);
    PQclear(result);
}

/* Several statements in one transaction; one in four is rolled back. */
static void transact(struct demo_job *job, bool users)
{
    struct demo_row before[DEMO_BLOCK_ALL];
    memcpy(before, job->rows, sizeof before);
    int64_t cents = (int64_t)demo_client_random(job->client, 10000);

    PQclear(demo_client_ask_simple(job->client, "BEGIN"));
    if (users)
        lock_user(job, demo_job_any_row(job));
    demo_work_add_to_amount(job, demo_job_any_row(job), -cents);
    demo_work_add_to_amount(job, demo_job_any_row(job), cents);
    demo_work_sum_amounts(job);
    if (users)
        demo_work_save_user(job);
    bool undone = demo_job_one_in(job, 4);
    PQclear(demo_client_ask_simple(job->client, undone ? "ROLLBACK" : "COMMIT"));
    if (undone)
        memcpy(job->rows, before, sizeof before);
}

static void transact_on_both(struct demo_job *job)
{
    transact(job, true);
}

static void transact_on_transactions(struct demo_job *job)
{
    transact(job, false);
}

/* ---------------------------------------------------------------- choosing */

typedef void (*job_function)(struct demo_job *job);

static const job_function jobs_on_transactions[] = {
    demo_work_read_amount_star,    demo_work_read_amounts,
    demo_work_read_amounts,        demo_work_set_amount,
    demo_work_set_amount,          demo_work_sum_amounts,
    demo_work_count_amounts,       demo_work_add_to_any_amount,
    demo_work_set_and_read_amount, demo_work_insert_or_delete_amounts,
    transact_on_transactions,
};

static const job_function jobs_on_users[] = {
    demo_work_read_user_star,
    demo_work_read_user,
    demo_work_read_users,
    demo_work_count_users_with_roles,
    demo_work_count_users_having_role,
    demo_work_group_users,
    demo_work_set_roles,
    demo_work_set_roles,
    demo_work_save_user,
    demo_work_save_user,
    demo_work_rename_user,
    demo_work_grant_dev,
    demo_work_upsert_user,
    demo_work_insert_or_delete_users,
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
    struct demo_job job = {.client = client, .shape = client->shape};
    uint64_t wish = demo_client_random(client, model->block_count);
    if (!demo_model_take(model, wish, &job.block))
        return false;
    struct demo_row *rows = model->blocks[job.block].rows;
    memcpy(job.rows, rows, sizeof job.rows);
    function(&job);
    if (client->failed) {
        demo_model_spoil(model, job.block);
        demo_client_reopen(client);
        return false;
    }
    memcpy(rows, job.rows, sizeof job.rows);
    demo_model_give(model, job.block);
    return true;
}
