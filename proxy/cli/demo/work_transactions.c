/* Work on the table `transactions`. */
#include "work_tables.h"

#include <stdio.h>

void demo_work_read_amount_star(struct demo_job *job)
{
    size_t i = demo_job_any_row(job);
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    PGresult *result = demo_job_ask(job, AMOUNT_STAR, &values);
    bool old = job->shape == SHAPE_OLD;
    demo_client_expect_rows(job->client, result, 1);
    demo_client_expect_column(job->client, result, 1, "user_id", DEMO_INT4, -1);
    demo_client_expect_column(job->client, result, 2, "amount", old ? DEMO_TEXT : DEMO_NUMERIC,
                              old ? -1 : DEMO_NUMERIC_12_2);
    demo_job_expect_amount(job, result, 0, 2, &job->rows[i]);
    PQclear(result);
}

void demo_work_read_amounts(struct demo_job *job)
{
    struct demo_values values = {0};
    demo_values_add_range(&values, job);
    PGresult *result = demo_job_ask(job, AMOUNT_RANGE, &values);
    demo_client_expect_rows(job->client, result, DEMO_BLOCK_ROWS);
    for (int i = 0; i < DEMO_BLOCK_ROWS; i++)
        demo_job_expect_amount(job, result, i, 1, &job->rows[i]);
    PQclear(result);
}

void demo_work_set_amount(struct demo_job *job)
{
    size_t i = demo_job_any_row(job);
    demo_job_new_amount(job, &job->rows[i]);
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    demo_values_add_amount(&values, &job->rows[i]);
    PGresult *result = demo_job_ask(job, AMOUNT_SET, &values);
    demo_client_expect_affected(job->client, result, 1);
    demo_job_expect_amount(job, result, 0, 0, &job->rows[i]);
    PQclear(result);
}

void demo_work_add_to_amount(struct demo_job *job, size_t i, int64_t cents)
{
    struct demo_row *row = &job->rows[i];
    if (!row->amount_is_null)
        row->cents += cents;
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    demo_values_add_cents(&values, cents);
    PGresult *result = demo_job_ask(job, AMOUNT_ADD, &values);
    demo_client_expect_rows(job->client, result, 1);
    demo_job_expect_amount(job, result, 0, 0, row);
    PQclear(result);
}

void demo_work_add_to_any_amount(struct demo_job *job)
{
    demo_work_add_to_amount(job, demo_job_any_row(job),
                            (int64_t)demo_client_random(job->client, 20000) - 10000);
}

void demo_work_sum_amounts(struct demo_job *job)
{
    struct demo_row sum = {.amount_is_null = true};
    for (size_t i = 0; i < DEMO_BLOCK_ROWS; i++) {
        sum.cents += job->rows[i].cents;
        sum.amount_is_null = sum.amount_is_null && job->rows[i].amount_is_null;
    }
    struct demo_values values = {0};
    demo_values_add_range(&values, job);
    PGresult *result = demo_job_ask(job, AMOUNT_SUM, &values);
    demo_job_expect_amount(job, result, 0, 0, &sum);
    PQclear(result);
}

void demo_work_count_amounts(struct demo_job *job)
{
    const struct demo_row *like = &job->rows[demo_job_any_row(job)];
    bool equal = demo_job_one_in(job, 2);
    if (like->amount_is_null)
        return;
    int count = 0;
    for (size_t i = 0; i < DEMO_BLOCK_ROWS; i++) {
        const struct demo_row *row = &job->rows[i];
        count +=
            !row->amount_is_null && (equal ? row->cents == like->cents : row->cents > like->cents);
    }
    struct demo_values values = {0};
    demo_values_add_range(&values, job);
    demo_values_add_amount(&values, like);
    PGresult *result = demo_job_ask(job, equal ? AMOUNT_EQUAL : AMOUNT_ABOVE, &values);
    demo_job_expect_number(job, result, 0, 0, count);
    PQclear(result);
}

static void insert_amounts(struct demo_job *job)
{
    struct demo_values values = {0};
    for (size_t i = DEMO_BLOCK_ROWS; i < DEMO_BLOCK_ALL; i++) {
        job->rows[i].has_transaction = true;
        demo_job_new_amount(job, &job->rows[i]);
        demo_values_add_id(&values, demo_row_id(job->block, i));
        demo_values_add_id(&values, demo_row_id(job->block, i));
        demo_values_add_amount(&values, &job->rows[i]);
    }
    PGresult *result = demo_job_ask(job, AMOUNT_INSERT, &values);
    demo_client_expect_rows(job->client, result, 2);
    for (int i = 0; i < DEMO_BLOCK_EXTRAS; i++)
        demo_job_expect_amount(job, result, i, 1, &job->rows[DEMO_BLOCK_ROWS + i]);
    PQclear(result);
}

void demo_work_insert_or_delete_amounts(struct demo_job *job)
{
    size_t first = DEMO_BLOCK_ROWS;
    if (!job->rows[first].has_transaction && !job->rows[first + 1].has_transaction) {
        insert_amounts(job);
        return;
    }
    size_t i = first + demo_client_random(job->client, DEMO_BLOCK_EXTRAS);
    struct demo_values values = {0};
    demo_values_add_id(&values, demo_row_id(job->block, i));
    PGresult *result = demo_job_ask(job, AMOUNT_DELETE, &values);
    demo_client_expect_affected(job->client, result, job->rows[i].has_transaction);
    job->rows[i].has_transaction = false;
    PQclear(result);
}

/* Two statements in one query string. */
void demo_work_set_and_read_amount(struct demo_job *job)
{
    size_t i = demo_job_any_row(job);
    long id = demo_row_id(job->block, i);
    char sql[300], value[DEMO_VALUE_SIZE];
    demo_job_new_amount(job, &job->rows[i]);
    job->rows[i].amount_is_null = false;
    demo_amount_format(&job->rows[i], value);
    snprintf(sql, sizeof sql,
             "UPDATE transactions SET amount = '%s' WHERE id = %ld; "
             "SELECT amount FROM transactions WHERE id = %ld",
             value, id, id);
    PGresult *result = demo_client_ask_simple(job->client, sql);
    demo_client_expect_rows(job->client, result, 1);
    demo_job_expect_amount(job, result, 0, 0, &job->rows[i]);
    PQclear(result);
    job->client->sql = "an UPDATE and a SELECT in one query"; /* as the text ends here */
}
