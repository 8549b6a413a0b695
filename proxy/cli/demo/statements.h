/* What the two versions of the app say to the database. */
#ifndef SEGUE_PROXY_CLI_DEMO_STATEMENTS_H
#define SEGUE_PROXY_CLI_DEMO_STATEMENTS_H

#include "segue/transition/phase.h"

enum demo_statement {
    USER_STAR,
    USER_RANGE,
    USER_READ,
    USER_LOCK,
    USER_EQUAL,
    USER_HAS,
    USER_GROUP,
    USER_SET,
    USER_SAVE,
    USER_RENAME,
    USER_GRANT,
    USER_INSERT,
    USER_UPSERT,
    USER_DELETE,
    AMOUNT_STAR,
    AMOUNT_RANGE,
    AMOUNT_SET,
    AMOUNT_ADD,
    AMOUNT_SUM,
    AMOUNT_EQUAL,
    AMOUNT_ABOVE,
    AMOUNT_INSERT,
    AMOUNT_DELETE,
    BOTH_JOIN,
    BOTH_IN,
    STATEMENT_COUNT
};

const char *demo_statement_text(enum demo_statement statement, enum shape shape);

#endif
