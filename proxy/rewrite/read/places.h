/*
 * Where the columns that CONTRACT dropped stood among the others. A contracted transition keeps the
 * attribute numbers that its old columns had in its table; a partition, or a child, that is named
 * directly may have its own.
 */
#ifndef SEGUE_REWRITE_PLACES_H
#define SEGUE_REWRITE_PLACES_H

#include "view.h"

/* A place among the table's columns: between two of them there is room for those that it never had,
 * in the order of their numbers, of which PostgreSQL gives at most 1,600. */
static inline int place_of_number(int attnum)
{
    return attnum * 4096;
}

/* Have the columns of the view's table the numbers of the transitions' table? */
bool has_numbers_of_table(const struct rewrite_context *context, const struct view *view);
/* That of an old column of a contracted transition; 0 where it is not known. Asks for
 * view->has_numbers_of_table. */
int place_of_old(const struct rewrite_context *context, const struct view *view,
                 const struct view_transition *transition, size_t number);
/* Has the client's shape a column of this name that CONTRACT dropped? Then the view's table, which
 * has one all the same, is a child that declares it itself: there the shape's column stands. */
bool is_kept_old(const struct view *view, const char *name);
/* Is that known of all? */
bool are_places_known(const struct rewrite_context *context, const struct view *view);

#endif
