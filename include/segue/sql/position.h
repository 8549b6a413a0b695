/*
 * Positions in a text: 1-based, in characters, as in the field P of an error. What a character is
 * depends on the encoding of the client that wrote the text.
 */
#ifndef SEGUE_SQL_POSITION_H
#define SEGUE_SQL_POSITION_H

#include "segue/base/text.h"

#include <stdint.h>

/* How bytes from 0x80 on make characters; those below are one each. */
enum sql_encoding {
    SQL_ENCODING_UTF8,  /* a byte that is not UTF-8 counts with those before it */
    SQL_ENCODING_BYTES, /* one each: LATIN1, WIN1252, KOI8R .., or a database that has no encoding
                         */
    SQL_ENCODING_EUC,   /* EUC_JP, EUC_KR, EUC_CN */
    SQL_ENCODING_EUC_TW,
    SQL_ENCODING_MULE,
};
/* By PostgreSQL's names, as ParameterStatus has them. */
enum sql_encoding sql_encoding_of(const char *server, const char *client);

/* The position of the character that begins at, or holds, a byte. */
int sql_position(struct slice text, uint32_t offset, enum sql_encoding encoding);
/* The byte at which the character of a position begins. */
uint32_t sql_position_offset(struct slice text, int position, enum sql_encoding encoding);

#endif
