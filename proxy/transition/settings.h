/*
 * Which settings of a session a conversion depends on. A conversion must give the same in every
 * session: what one writes another reads, and VERIFY compares. Within this room only.
 */
#ifndef SEGUE_TRANSITION_SETTINGS_H
#define SEGUE_TRANSITION_SETTINGS_H

#include "segue/base/query.h"

struct settings_needed {
    bool styles;           /* DateStyle or IntervalStyle: sessions are watched for these */
    const char *forbidden; /* "TimeZone", ..: no two sessions need have it the same. NULL: none */
};

/* `expression` over the columns of the (temporary) table; in a transaction, leaves nothing behind.
 */
bool settings_needed_by(const char *expression, const char *table, struct pg_conn *connection,
                        struct settings_needed *needed, struct error *error) MUST_CHECK;

/*
 * The same of the server's own text of the analysed expression (pg_rewrite.ev_action), as far as
 * the tree alone tells. Functions and operators that touch such types are appended to `functions`
 * as "(oid,class),..", where the server must say whether they are stable.
 */
struct text;
void settings_read_tree(const char *tree, struct settings_needed *needed, struct text *functions,
                        struct text *operators);

#endif
