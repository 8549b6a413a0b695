/* What binding and fitting share. Within this room only. */
#ifndef SEGUE_TRANSITION_BIND_H
#define SEGUE_TRANSITION_BIND_H

#include "segue/base/query.h"
#include "segue/transition/transition.h"

struct bound_column {
    bool exists;
    char *type; /* format_type */
    char *default_expression;
    uint32_t type_oid;
    int32_t typmod;
    uint32_t collation;
    int attnum;
    bool not_null, is_generated, default_is_volatile;
    char identity; /* attidentity, or 0; the default is then the nextval of its sequence */
};
bool bind_find_column(struct pg_conn *connection, uint32_t table_oid, const char *name,
                      struct bound_column *found, struct error *error) MUST_CHECK;
void bound_column_release(struct bound_column *column);

/* A volatile function that an expression may call, as regprocedure prints it; NULL for none. By
 * name: any overload counts. The caller frees. */
bool bind_volatile_function(struct pg_conn *connection, const char *expression, char **function,
                            struct error *error) MUST_CHECK;

/* bind_reading.c: fills read_collation and keeps_null, once types and collations are known. */
bool bind_reading(struct transition *transition, struct pg_conn *connection,
                  struct error *error) MUST_CHECK;

#endif
