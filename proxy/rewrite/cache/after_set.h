/* Is a word that may be a setting (role, schema) one, or only a column's name? */
#ifndef SEGUE_REWRITE_AFTER_SET_H
#define SEGUE_REWRITE_AFTER_SET_H

#include "segue/base/text.h"

/* What is found out about a text at most once. */
struct scanned_text {
    struct slice text;
    bool comments_looked_for, has_comments;
};

/*
 * May the word at `at` be what a SET statement sets? The SET of UPDATE and of ON CONFLICT is told
 * from it by what stands before. Where a comment may stand between the words the answer is yes.
 */
bool may_follow_set(struct scanned_text *scanned, size_t at);

#endif
