/*
 * The statements of a file or log, as psql would send them: cut at the semicolons that are in no
 * string, comment or brackets. Lines that begin a statement with a backslash (psql's own commands)
 * are left out. An SQL-standard function body (BEGIN ATOMIC) is cut at its semicolons, too.
 */
#ifndef SEGUE_SQL_SPLIT_H
#define SEGUE_SQL_SPLIT_H

#include "segue/base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct sql_split {
    struct slice text; /* shorter than 2 GB */
    uint32_t position; /* what is before it has been given */
};

/*
 * The next statement that is more than comments, without its semicolon and the comments at its
 * edges, but with its hints; false where none is left.
 */
bool sql_split_next(struct sql_split *split, struct slice *statement);

#endif
