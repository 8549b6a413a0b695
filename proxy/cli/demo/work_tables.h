/* The pieces of work on each table, for work.c to choose from and to make transactions of. */
#ifndef SEGUE_PROXY_CLI_DEMO_WORK_TABLES_H
#define SEGUE_PROXY_CLI_DEMO_WORK_TABLES_H

#include "job.h"

/* Type OIDs, and the typmod of numeric(12,2). */
enum { DEMO_INT4 = 23, DEMO_TEXT = 25, DEMO_TEXT_ARRAY = 1009, DEMO_NUMERIC = 1700 };
enum { DEMO_NUMERIC_12_2 = (12 << 16 | 2) + 4 };

void demo_work_read_user_star(struct demo_job *job);
void demo_work_read_user(struct demo_job *job);
void demo_work_read_users(struct demo_job *job);
void demo_work_count_users_with_roles(struct demo_job *job);
void demo_work_count_users_having_role(struct demo_job *job);
void demo_work_group_users(struct demo_job *job);
void demo_work_set_roles(struct demo_job *job);
void demo_work_save_user(struct demo_job *job);
void demo_work_rename_user(struct demo_job *job);
void demo_work_grant_dev(struct demo_job *job);
void demo_work_insert_or_delete_users(struct demo_job *job);
void demo_work_upsert_user(struct demo_job *job);

void demo_work_read_amount_star(struct demo_job *job);
void demo_work_read_amounts(struct demo_job *job);
void demo_work_set_amount(struct demo_job *job);
void demo_work_add_to_amount(struct demo_job *job, size_t i, int64_t cents);
void demo_work_add_to_any_amount(struct demo_job *job);
void demo_work_sum_amounts(struct demo_job *job);
void demo_work_count_amounts(struct demo_job *job);
void demo_work_insert_or_delete_amounts(struct demo_job *job);
void demo_work_set_and_read_amount(struct demo_job *job);

#endif
