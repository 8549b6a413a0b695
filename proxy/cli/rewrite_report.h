/* What `segue rewrite` says of a statement: for a reviewer to read, or as JSON. Within this room.
 */
#ifndef SEGUE_PROXY_CLI_REWRITE_REPORT_H
#define SEGUE_PROXY_CLI_REWRITE_REPORT_H

#include "segue/base/text.h"

#include <libpq-fe.h>

/* The worst of all shapes and phases that were asked for. */
enum report_outcome { REPORT_UNTOUCHED, REPORT_CHANGED, REPORT_REFUSED };
enum { REPORT_OUTCOMES = 3 };

struct report_statement {
    struct slice sql;
    size_t line;  /* of the file; 0: of none */
    size_t times; /* that it stands there */
};

struct report {
    bool json, colour;
    bool shows_untouched;
    size_t statements, different;
    size_t outcomes[REPORT_OUTCOMES]; /* of the different ones */
};

/* Adds the statement to `out`; its rows are [first, end) of the answer to REWRITE. */
void report_add(struct report *report, const struct report_statement *statement,
                const PGresult *result, int first, int end, struct text *out);
/* "12 statements, 9 of them different: 5 untouched, 3 changed, 1 refused" */
void report_summary(const struct report *report, struct text *out);

/* Columns of the answer. */
enum {
    REWRITE_STATEMENT,
    REWRITE_SHAPE,
    REWRITE_PHASE,
    REWRITE_NOW,
    REWRITE_OUTCOME,
    REWRITE_SQL,
    REWRITE_CHANGES,
    REWRITE_PARAMETERS,
    REWRITE_SQLSTATE,
    REWRITE_MESSAGE,
    REWRITE_DETAIL,
    REWRITE_HINT,
    REWRITE_POSITION
};

#endif
