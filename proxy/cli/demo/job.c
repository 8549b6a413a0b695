/* Arguments in, answers compared: what every piece of work is made of. */
#include "job.h"

#include <stdio.h>

static void add(struct demo_values *values, bool present)
{
    values->arguments[values->count] = present ? values->text[values->count] : NULL;
    values->count++;
}

void demo_values_add_id(struct demo_values *values, long id)
{
    snprintf(values->text[values->count], DEMO_VALUE_SIZE, "%ld", id);
    add(values, true);
}

void demo_values_add_name(struct demo_values *values, long id, uint32_t renamed)
{
    demo_name_format(id, renamed, values->text[values->count]);
    add(values, true);
}

void demo_values_add_roles(struct demo_values *values, const struct demo_roles *roles,
                           enum shape shape)
{
    add(values, demo_roles_format(roles, shape, values->text[values->count]));
}

void demo_values_add_amount(struct demo_values *values, const struct demo_row *row)
{
    add(values, demo_amount_format(row, values->text[values->count]));
}

void demo_values_add_text(struct demo_values *values, const char *text)
{
    snprintf(values->text[values->count], DEMO_VALUE_SIZE, "%s", text);
    add(values, true);
}

void demo_values_add_cents(struct demo_values *values, int64_t cents)
{
    demo_cents_format(cents, values->text[values->count]);
    add(values, true);
}

/* The rows that are always there. */
void demo_values_add_range(struct demo_values *values, const struct demo_job *job)
{
    demo_values_add_id(values, demo_row_id(job->block, 0));
    demo_values_add_id(values, demo_row_id(job->block, DEMO_BLOCK_ROWS - 1));
}

PGresult *demo_job_ask(struct demo_job *job, enum demo_statement statement,
                       const struct demo_values *values)
{
    return demo_client_ask(job->client, statement, demo_statement_text(statement, job->shape),
                           values->count, values->arguments);
}

void demo_job_expect_roles(struct demo_job *job, const PGresult *result, int row, int column,
                           const struct demo_roles *roles)
{
    char value[DEMO_VALUE_SIZE];
    bool present = demo_roles_format(roles, job->shape, value);
    demo_client_expect_value(job->client, result, row, column, present ? value : NULL);
}

void demo_job_expect_amount(struct demo_job *job, const PGresult *result, int row, int column,
                            const struct demo_row *expected)
{
    char value[DEMO_VALUE_SIZE];
    bool present = demo_amount_format(expected, value);
    demo_client_expect_value(job->client, result, row, column, present ? value : NULL);
}

void demo_job_expect_name(struct demo_job *job, const PGresult *result, int row, int column,
                          size_t index)
{
    char value[DEMO_VALUE_SIZE];
    demo_name_format(demo_row_id(job->block, index), job->rows[index].renamed, value);
    demo_client_expect_value(job->client, result, row, column, value);
}

void demo_job_expect_number(struct demo_job *job, const PGresult *result, int row, int column,
                            long number)
{
    char value[DEMO_VALUE_SIZE];
    snprintf(value, sizeof value, "%ld", number);
    demo_client_expect_value(job->client, result, row, column, value);
}

size_t demo_job_any_row(struct demo_job *job)
{
    return (size_t)demo_client_random(job->client, DEMO_BLOCK_ROWS);
}

bool demo_job_one_in(struct demo_job *job, unsigned times)
{
    return demo_client_random(job->client, times) == 0;
}

/* The old version knows no commas within a role. */
struct demo_roles demo_job_new_roles(struct demo_job *job)
{
    struct demo_roles roles = {.count = -1};
    if (demo_job_one_in(job, 20))
        return roles;
    unsigned known = job->shape == SHAPE_OLD ? DEMO_WORDS_PLAIN : DEMO_WORDS;
    roles.count = (int8_t)demo_client_random(job->client, 3);
    for (int i = 0; i < roles.count; i++)
        roles.words[i] = (uint8_t)demo_client_random(job->client, known);
    return roles;
}

void demo_job_new_amount(struct demo_job *job, struct demo_row *row)
{
    row->amount_is_null = demo_job_one_in(job, 40);
    row->cents =
        row->amount_is_null ? 0 : (int64_t)demo_client_random(job->client, 9999999) - 99999;
}
