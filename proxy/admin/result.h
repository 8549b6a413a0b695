/* What a command answers: rows as whole DataRow messages, ready to be sent, or an error. */
#ifndef SEGUE_PROXY_ADMIN_RESULT_H
#define SEGUE_PROXY_ADMIN_RESULT_H

#include "segue/base/arena.h"
#include "segue/wire/message.h"

enum { RESULT_ROWS_MAX = 64 * 1024 * 1024 }; /* bytes */

struct result {
    struct text rows;
    size_t row_count;
    bool failed;
    struct error error; /* where failed */
};

void result_init(struct result *result);
void result_release(struct result *result);
/* One row of text values; NULL is SQL NULL. */
void result_add(struct result *result, const char *const *values, size_t count);
/* Moves rows from offset `*sent` on to `out`, at most `limit` (0: all). True when none are left. */
bool result_send(const struct result *result, size_t *sent, size_t limit, struct text *out);

#define RESULT_ADD(result, ...)                                                                    \
    result_add((result), (const char *const[]){__VA_ARGS__},                                       \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

#endif
