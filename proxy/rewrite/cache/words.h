/* Words in a text, without parsing it. */
#ifndef SEGUE_REWRITE_WORDS_H
#define SEGUE_REWRITE_WORDS_H

#include "segue/rewrite/rewrite.h"

/* What the server leaves of a name that is too long has at least so many bytes: 63, less the rest
 * of a character. */
enum { WORDS_CUT_MIN = 60 };

/* Can the byte be part of an unquoted identifier? */
static inline bool word_byte(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c >= 0x80;
}

/* May the text name a table in transition? May say so wrongly, never the contrary. */
bool words_name_table(const struct snapshot *snapshot, struct slice text);

#endif
