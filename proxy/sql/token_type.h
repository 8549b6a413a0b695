/*
 * What libpg_query calls a token of our scanner: a value of PgQuery__Token, which is the ASCII code
 * of brackets, commas and the like.
 */
#ifndef SEGUE_SQL_TOKEN_TYPE_H
#define SEGUE_SQL_TOKEN_TYPE_H

#include "segue/sql/scanner.h"

/* Of any token but COMMENT, END and ERROR. */
uint16_t sql_token_type(const char *text, size_t length, const struct sql_token *token);

#endif
