/* The DETAIL of a violated constraint, which shows a row or a key of the physical table. */
#ifndef SEGUE_REWRITE_DETAIL_H
#define SEGUE_REWRITE_DETAIL_H

#include "../read/view.h"

/*
 * What a column of the physical table is to the client: `*name`, where it is one of its columns, or
 * is written from just one of them.
 */
enum column_meaning {
    COLUMN_IS_ITSELF,    /* the client's own, by that name; or none that is known */
    COLUMN_IS_RENAMED,   /* the client's own, by another name */
    COLUMN_IS_CONVERTED, /* the other shape's; `*name` is the column that it is made from */
    COLUMN_IS_SEVERAL    /* the other shape's, made from several columns or none */
};
enum column_meaning column_meaning(const struct view *view, const char *physical,
                                   const char **name);

/* "Failing row contains (1, a, null).": the client's columns only. NULL where what they hold cannot
 * be told. */
const char *detail_of_row(struct arena *arena, const struct view *view, const char *detail);
/* "Key (a, b)=(1, x) already exists.": by the client's names. NULL where a column is not its own.
 */
const char *detail_of_key(struct arena *arena, const struct view *view, const char *detail);

#endif
