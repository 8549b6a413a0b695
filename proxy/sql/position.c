/*
 * Positions as PostgreSQL counts them: in characters of the text that it has converted to the
 * database's encoding. A conversion keeps characters one for one (those that EUC_JIS_2004 composes
 * apart), so they can be counted in the client's own bytes.
 */
#include "segue/sql/position.h"

#include <strings.h>

enum sql_encoding sql_encoding_of(const char *server, const char *client)
{
    static const char *const euc[] = {"EUC_JP", "EUC_KR", "EUC_CN", "EUC_JIS_2004"};
    if (strcasecmp(server, "SQL_ASCII") == 0)
        return SQL_ENCODING_BYTES; /* nothing is converted, and the server counts bytes */
    const char *name = strcasecmp(client, "SQL_ASCII") == 0 ? server : client;
    if (strcasecmp(name, "UTF8") == 0)
        return SQL_ENCODING_UTF8;
    for (size_t i = 0; i < sizeof euc / sizeof *euc; i++)
        if (strcasecmp(name, euc[i]) == 0)
            return SQL_ENCODING_EUC;
    if (strcasecmp(name, "EUC_TW") == 0)
        return SQL_ENCODING_EUC_TW;
    return strcasecmp(name, "MULE_INTERNAL") == 0 ? SQL_ENCODING_MULE : SQL_ENCODING_BYTES;
}

/* SS2 and SS3 announce a character of another code set. */
static size_t euc_length(unsigned char first, size_t behind_ss2)
{
    enum { SS2 = 0x8E, SS3 = 0x8F };
    if (first == SS2)
        return behind_ss2 + 1;
    return first == SS3 ? 3 : 2;
}

/* By the leading byte, which says which character set follows. */
static size_t mule_length(unsigned char first)
{
    if (first >= 0x81 && first <= 0x8D)
        return 2;
    if (first >= 0x90 && first <= 0x9B)
        return 3;
    return first == 0x9C || first == 0x9D ? 4 : 1;
}

static size_t character_length(struct slice text, size_t at, enum sql_encoding encoding)
{
    unsigned char first = (unsigned char)text.data[at];
    if (first < 0x80)
        return 1;
    switch (encoding) {
    case SQL_ENCODING_UTF8: {
        size_t end = at + 1;
        while (end < text.length && ((unsigned char)text.data[end] & 0xC0) == 0x80)
            end++;
        return end - at;
    }
    case SQL_ENCODING_BYTES:
        return 1;
    case SQL_ENCODING_EUC:
        return euc_length(first, 1);
    case SQL_ENCODING_EUC_TW:
        return euc_length(first, 3);
    case SQL_ENCODING_MULE:
        return mule_length(first);
    }
    BUG("encoding of a text");
}

int sql_position(struct slice text, uint32_t offset, enum sql_encoding encoding)
{
    int position = 1;
    for (size_t at = 0; at < offset && at < text.length; at += character_length(text, at, encoding))
        position++;
    return position;
}

uint32_t sql_position_offset(struct slice text, int position, enum sql_encoding encoding)
{
    size_t at = 0;
    for (int i = 1; i < position && at < text.length; i++)
        at += character_length(text, at, encoding);
    return (uint32_t)(at < text.length ? at : text.length);
}
