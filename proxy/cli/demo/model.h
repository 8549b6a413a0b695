/*
 * What the two tables must hold: the demo's own copy in memory, brought up to date by whoever wrote
 * last, old app or new. Every answer of the database is compared with it.
 *
 * Rows come in blocks. A connection takes a block before it touches its rows and gives it back
 * afterwards, so that nobody else changes them meanwhile and every answer is known beforehand; the
 * next one to take the block may well belong to the other app, which must see what the first wrote,
 * converted.
 *
 * A user and the transaction with the same id sit in the same place here.
 */
#ifndef SEGUE_PROXY_CLI_DEMO_MODEL_H
#define SEGUE_PROXY_CLI_DEMO_MODEL_H

#include "segue/base/text.h"
#include "segue/transition/phase.h"

#include <stdatomic.h>
#include <stdint.h>

/* Roles as the new shape has them. The old shape cannot tell {"ops,night"} from {ops,night}: it is
 * lossy, and the demo has such values. */
enum { DEMO_ROLES_MAX = 6 };
struct demo_roles {
    int8_t count; /* -1: NULL */
    uint8_t words[DEMO_ROLES_MAX];
};
enum { DEMO_WORDS = 6, DEMO_WORDS_PLAIN = 5, DEMO_WORD_DEV = 1 };
const char *demo_word(unsigned word); /* the plain ones come first */

struct demo_row {
    bool has_user;
    bool has_transaction;
    bool amount_is_null;
    uint32_t renamed; /* times; part of the name */
    int64_t cents;
    struct demo_roles roles;
};

/* The extra rows are not there at first: the apps insert and delete them. */
enum { DEMO_BLOCK_ROWS = 10, DEMO_BLOCK_EXTRAS = 2, DEMO_BLOCK_ALL = 12 };
struct demo_block {
    _Atomic bool taken;
    struct demo_row rows[DEMO_BLOCK_ALL];
};

struct demo_model {
    size_t block_count;
    struct demo_block *blocks;
    _Atomic size_t spoilt; /* blocks taken for good */
};

void demo_model_init(struct demo_model *model, size_t rows); /* rounded up to whole blocks */
void demo_model_release(struct demo_model *model);
size_t demo_model_rows(const struct demo_model *model); /* that are there from the start */
/* A free block near `wish`; waits where there is none. False when all are spoilt. */
bool demo_model_take(struct demo_model *model, uint64_t wish, size_t *block) MUST_CHECK;
void demo_model_give(struct demo_model *model, size_t block);
/* Instead of giving it back: a statement on it failed, so nobody knows what it holds. */
void demo_model_spoil(struct demo_model *model, size_t block);

long demo_row_id(size_t block, size_t row);

/* Values as PostgreSQL prints them to a client of the shape; `roles` and `amount` give false for
 * NULL. */
enum { DEMO_VALUE_SIZE = 96 };
bool demo_roles_format(const struct demo_roles *roles, enum shape shape,
                       char value[DEMO_VALUE_SIZE]);
bool demo_amount_format(const struct demo_row *row, char value[DEMO_VALUE_SIZE]);
void demo_cents_format(int64_t cents, char value[DEMO_VALUE_SIZE]);
void demo_name_format(long id, uint32_t renamed, char value[DEMO_VALUE_SIZE]);

/* As string_to_array(role, ',') makes of the old shape's value. */
struct demo_roles demo_roles_split(const struct demo_roles *roles);
bool demo_roles_equal(const struct demo_roles *a, const struct demo_roles *b, enum shape seen_as);
/* What a row has after a client of `shape` assigned `value` to it. */
void demo_roles_assign(struct demo_roles *roles, const struct demo_roles *value, enum shape shape);

struct pg_conn;
/* Makes both tables and fills them. */
bool demo_model_load(const struct demo_model *model, struct pg_conn *server,
                     struct error *error) MUST_CHECK;
/*
 * Compares every row in the server, read by the shape's own column names, with what it must be. The
 * caller sets `comparison` to zero, initialises its text and releases it.
 */
struct demo_comparison {
    size_t rows;
    size_t different;
    struct text first; /* differences, told to a person */
};
bool demo_model_compare(const struct demo_model *model, struct pg_conn *server, enum shape shape,
                        struct demo_comparison *comparison, struct error *error) MUST_CHECK;

#endif
