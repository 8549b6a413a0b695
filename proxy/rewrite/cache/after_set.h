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

/* Bytes that SET, LOCAL or SESSION may end with; quotes, blanks and a comment's end. */
extern const bool after_set_bytes[256];

/* False only where may_follow_set is false, and nearly always then. Without a branch for a byte. */
static inline bool may_follow_set_at_a_glance(struct slice text, size_t at)
{
    if (at < 2)
        return true;
    unsigned char last = (unsigned char)text.data[at - 1];
    unsigned char second = (unsigned char)text.data[at - 2];
    return after_set_bytes[last == ' ' ? second : last];
}

#endif
