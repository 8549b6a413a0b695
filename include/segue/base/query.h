/*
 * Query: libpq spoken by a thread that may block. Never on a loop's thread.
 *
 * Failure is told in a struct error with the server's own SQLSTATE, message, detail and hint; a
 * lost connection is 08006. A result is the caller's to PQclear.
 */
#ifndef SEGUE_BASE_QUERY_H
#define SEGUE_BASE_QUERY_H

#include "segue/base/error.h"

#include <stdint.h>

struct pg_conn;
struct pg_result;

/* One statement without parameters, or several of which the last result is given. NULL on failure.
 */
struct pg_result *query_run(struct pg_conn *connection, const char *sql, struct error *error);
/* One statement with text parameters ($1..); NULL is SQL NULL. */
struct pg_result *query_run_with(struct pg_conn *connection, const char *sql,
                                 const char *const *parameters, int count, struct error *error);
/* The same where the result does not matter. */
bool query_do(struct pg_conn *connection, const char *sql, struct error *error) MUST_CHECK;
bool query_do_with(struct pg_conn *connection, const char *sql, const char *const *parameters,
                   int count, struct error *error) MUST_CHECK;
/*
 * As query_run, for what may take long: `wanted` is asked ten times a second, and once it says no
 * the server is told to cancel it, which fails it with 57014.
 */
typedef bool query_wanted(const void *context);
struct pg_result *query_run_while(struct pg_conn *connection, const char *sql, query_wanted *wanted,
                                  const void *context, struct error *error);
/* ROLLBACK after a failure that is being reported: its own failure adds nothing and is left out. */
void query_rollback(struct pg_conn *connection);

/* Values of a result: NULL for SQL NULL; 0 or false for SQL NULL. */
const char *query_value(const struct pg_result *result, int row, int column);
int64_t query_integer(const struct pg_result *result, int row, int column);
bool query_boolean(const struct pg_result *result, int row, int column);

#endif
