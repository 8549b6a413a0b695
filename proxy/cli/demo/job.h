/*
 * A piece of work on one block of rows. It changes a draft of the rows, which the model takes over
 * when the database has said yes to everything.
 */
#ifndef SEGUE_PROXY_CLI_DEMO_JOB_H
#define SEGUE_PROXY_CLI_DEMO_JOB_H

#include "client.h"
#include "model.h"
#include "statements.h"

struct demo_job {
    struct demo_client *client;
    enum shape shape;
    size_t block;
    struct demo_row rows[DEMO_BLOCK_ALL]; /* the draft */
};

/* Arguments of a statement, as text; begin with {0}. */
struct demo_values {
    size_t count;
    char text[DEMO_ARGUMENTS_MAX][DEMO_VALUE_SIZE];
    const char *arguments[DEMO_ARGUMENTS_MAX];
};

void demo_values_add_id(struct demo_values *values, long id);
void demo_values_add_name(struct demo_values *values, long id, uint32_t renamed);
void demo_values_add_roles(struct demo_values *values, const struct demo_roles *roles,
                           enum shape shape);
void demo_values_add_amount(struct demo_values *values, const struct demo_row *row);
void demo_values_add_text(struct demo_values *values, const char *text);
void demo_values_add_cents(struct demo_values *values, int64_t cents);
/* Two: the first and the last id of the rows that are always there. */
void demo_values_add_range(struct demo_values *values, const struct demo_job *job);

/* NULL after a failure, which the following may all be given. */
PGresult *demo_job_ask(struct demo_job *job, enum demo_statement statement,
                       const struct demo_values *values);
void demo_job_expect_roles(struct demo_job *job, const PGresult *result, int row, int column,
                           const struct demo_roles *roles);
void demo_job_expect_amount(struct demo_job *job, const PGresult *result, int row, int column,
                            const struct demo_row *expected);
void demo_job_expect_name(struct demo_job *job, const PGresult *result, int row, int column,
                          size_t index);
void demo_job_expect_number(struct demo_job *job, const PGresult *result, int row, int column,
                            long number);

/* Chance. */
size_t demo_job_any_row(struct demo_job *job); /* of those that are always there */
bool demo_job_one_in(struct demo_job *job, unsigned times);
struct demo_roles demo_job_new_roles(struct demo_job *job);
void demo_job_new_amount(struct demo_job *job, struct demo_row *row);

#endif
