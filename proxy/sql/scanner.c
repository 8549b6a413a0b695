/*
 * A lexer by hand, one function per kind of token, dispatched on the class of its first byte.
 *
 * The rules that surprise: a string goes on in the next quote if only white space *with a newline*
 * (and line comments) lies between; an operator stops where a comment begins inside it and gives
 * back trailing + and - unless it holds a character that no SQL operator has; `1..2` is an integer,
 * "..", an integer; n'..' is the word n, then a string.
 */
#include "segue/sql/scanner.h"

enum class {
    CLASS_OTHER,
    CLASS_SPACE,
    CLASS_LETTER, /* begins an identifier; bytes above 127 too */
    CLASS_DIGIT,
    CLASS_SELF,
    CLASS_OPERATOR = 16 /* a bit: may be part of an operator */
};

/* clang-format off */
#define D CLASS_DIGIT
#define L CLASS_LETTER
#define L16 L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L
static const uint8_t classes[256] = {
    [' '] = CLASS_SPACE, ['\t'] = CLASS_SPACE, ['\n'] = CLASS_SPACE, ['\r'] = CLASS_SPACE, ['\f'] = CLASS_SPACE,
    ['0'] = D, D, D, D, D, D, D, D, D, D,
    ['A'] = L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
    ['a'] = L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L,
    ['_'] = L,
    [128] = L16, L16, L16, L16, L16, L16, L16, L16,
    [','] = CLASS_SELF, ['('] = CLASS_SELF, [')'] = CLASS_SELF, ['['] = CLASS_SELF, [']'] = CLASS_SELF,
    ['.'] = CLASS_SELF, [';'] = CLASS_SELF, [':'] = CLASS_SELF,
    ['+'] = CLASS_SELF | CLASS_OPERATOR, ['-'] = CLASS_SELF | CLASS_OPERATOR, ['*'] = CLASS_SELF | CLASS_OPERATOR,
    ['/'] = CLASS_SELF | CLASS_OPERATOR, ['%'] = CLASS_SELF | CLASS_OPERATOR, ['^'] = CLASS_SELF | CLASS_OPERATOR,
    ['<'] = CLASS_SELF | CLASS_OPERATOR, ['>'] = CLASS_SELF | CLASS_OPERATOR, ['='] = CLASS_SELF | CLASS_OPERATOR,
    ['~'] = CLASS_OPERATOR, ['!'] = CLASS_OPERATOR, ['@'] = CLASS_OPERATOR, ['#'] = CLASS_OPERATOR,
    ['&'] = CLASS_OPERATOR, ['|'] = CLASS_OPERATOR, ['`'] = CLASS_OPERATOR, ['?'] = CLASS_OPERATOR,
};
#undef D
#undef L
#undef L16
/* clang-format on */

static unsigned class_of(unsigned char c)
{
    return classes[c] & (CLASS_OPERATOR - 1);
}

/* The byte at `at`, 0 behind the end. */
static unsigned char peek(const struct sql_scanner *scanner, uint32_t at)
{
    return at < scanner->length ? (unsigned char)scanner->text[at] : 0;
}

static bool continues_identifier(unsigned char c)
{
    return class_of(c) == CLASS_LETTER || class_of(c) == CLASS_DIGIT || c == '$';
}

static bool is_digit(unsigned char c)
{
    return class_of(c) == CLASS_DIGIT;
}

static struct sql_token token(enum sql_token_kind kind, uint32_t start, uint32_t end)
{
    return (struct sql_token){.kind = kind, .start = start, .end = end};
}

static struct sql_token unterminated(const struct sql_scanner *scanner, uint32_t start)
{
    return token(SQL_TOKEN_ERROR, start, scanner->length);
}

static uint32_t skip_line(const struct sql_scanner *scanner, uint32_t at)
{
    while (at < scanner->length && scanner->text[at] != '\n' && scanner->text[at] != '\r')
        at++;
    return at;
}

static struct sql_token scan_block_comment(const struct sql_scanner *scanner, uint32_t start)
{
    uint32_t depth = 0;
    for (uint32_t at = start; at + 1 < scanner->length;) {
        if (scanner->text[at] == '/' && scanner->text[at + 1] == '*') {
            depth++;
            at += 2;
        } else if (scanner->text[at] == '*' && scanner->text[at + 1] == '/') {
            at += 2;
            if (--depth == 0)
                return token(SQL_TOKEN_COMMENT, start, at);
        } else {
            at++;
        }
    }
    return unterminated(scanner, start);
}

/*
 * From behind a closing quote: the place behind the quote that continues the string, or 0. Between
 * them there must be a newline, and nothing but white space and line comments, each comment ended
 * by a newline.
 */
static uint32_t find_continuation(const struct sql_scanner *scanner, uint32_t at)
{
    bool newline = false;
    for (;; at++) {
        unsigned char c = peek(scanner, at);
        if (c == '\n' || c == '\r') {
            newline = true;
        } else if (c == '-' && peek(scanner, at + 1) == '-') {
            at = skip_line(scanner, at);
            if (at >= scanner->length)
                return 0;
            newline = true;
        } else if (c == '\'') {
            return newline ? at + 1 : 0;
        } else if (class_of(c) != CLASS_SPACE) {
            return 0;
        }
    }
}

enum quoting {
    QUOTING_NONE = 0,
    QUOTING_DOUBLED = 1,  /* '' is a quote */
    QUOTING_BACKSLASH = 2 /* \x is one character */
};

/* `at` is behind the opening quote. */
static struct sql_token scan_string(const struct sql_scanner *scanner, enum sql_token_kind kind,
                                    uint32_t start, uint32_t at, unsigned quoting)
{
    while (at < scanner->length) {
        char c = scanner->text[at++];
        if (c == '\\' && (quoting & QUOTING_BACKSLASH)) {
            at++;
        } else if (c == '\'') {
            if ((quoting & QUOTING_DOUBLED) && peek(scanner, at) == '\'') {
                at++;
                continue;
            }
            uint32_t continued = find_continuation(scanner, at);
            if (!continued)
                return token(kind, start, at);
            at = continued;
        } else if (c == '\0') {
            break;
        }
    }
    return unterminated(scanner, start);
}

static struct sql_token scan_quoted_identifier(const struct sql_scanner *scanner,
                                               enum sql_token_kind kind, uint32_t start,
                                               uint32_t at)
{
    for (; at < scanner->length && scanner->text[at]; at++) {
        if (scanner->text[at] != '"')
            continue;
        if (peek(scanner, at + 1) != '"')
            return token(kind, start, at + 1);
        at++;
    }
    return unterminated(scanner, start);
}

/* $1, $tag$..$tag$, or a lone $ */
static struct sql_token scan_dollar(const struct sql_scanner *scanner, uint32_t start)
{
    uint32_t at = start + 1;
    if (is_digit(peek(scanner, at))) {
        while (is_digit(peek(scanner, at)))
            at++;
        bool junk = class_of(peek(scanner, at)) == CLASS_LETTER;
        return token(junk ? SQL_TOKEN_ERROR : SQL_TOKEN_PARAMETER, start, at);
    }
    while (class_of(peek(scanner, at)) == CLASS_LETTER ||
           (at > start + 1 && is_digit(peek(scanner, at))))
        at++;
    if (peek(scanner, at) != '$')
        return token(SQL_TOKEN_STRAY, start, start + 1);
    uint32_t tag_length = at + 1 - start;
    const char *body = scanner->text + at + 1;
    const char *end = memmem(body, scanner->length - (at + 1), scanner->text + start, tag_length);
    if (!end)
        return unterminated(scanner, start);
    return token(SQL_TOKEN_STRING, start, (uint32_t)(end - scanner->text) + tag_length);
}

static uint32_t skip_digits(const struct sql_scanner *scanner, uint32_t at)
{
    while (is_digit(peek(scanner, at)))
        at++;
    return at;
}

static struct sql_token scan_number(const struct sql_scanner *scanner, uint32_t start)
{
    enum sql_token_kind kind = SQL_TOKEN_INTEGER;
    uint32_t at = skip_digits(scanner, start);
    bool range = at > start && peek(scanner, at) == '.' && peek(scanner, at + 1) == '.';
    if (peek(scanner, at) == '.' && !range) {
        kind = SQL_TOKEN_FLOAT;
        at = skip_digits(scanner, at + 1);
    }
    if ((peek(scanner, at) | 0x20) == 'e') {
        uint32_t exponent = at + 1;
        if (peek(scanner, exponent) == '+' || peek(scanner, exponent) == '-')
            exponent++;
        if (!is_digit(peek(scanner, exponent)))
            return token(SQL_TOKEN_ERROR, start, exponent);
        kind = SQL_TOKEN_FLOAT;
        at = skip_digits(scanner, exponent);
    }
    if (class_of(peek(scanner, at)) == CLASS_LETTER)
        return token(SQL_TOKEN_ERROR, start, at + 1); /* trailing junk, since PostgreSQL 15 */
    return token(kind, start, at);
}

/* Characters that allow an operator to end in + or -: no operator of the SQL standard has them. */
static bool is_beyond_standard(char c)
{
    return strchr("~!@#^&|`?%", c) != NULL;
}

static struct sql_token scan_operator(const struct sql_scanner *scanner, uint32_t start)
{
    uint32_t end = start;
    while (end < scanner->length && (classes[(unsigned char)scanner->text[end]] & CLASS_OPERATOR)) {
        char next = (char)peek(scanner, end + 1);
        bool comment = (scanner->text[end] == '/' && next == '*') ||
                       (scanner->text[end] == '-' && next == '-');
        if (comment && end > start)
            break;
        end++;
    }
    bool beyond = false;
    for (uint32_t at = start; at < end && !beyond; at++)
        beyond = is_beyond_standard(scanner->text[at]);
    while (!beyond && end > start + 1 &&
           (scanner->text[end - 1] == '+' || scanner->text[end - 1] == '-'))
        end--;
    bool self = end == start + 1 && class_of((unsigned char)scanner->text[start]) == CLASS_SELF;
    return token(self ? SQL_TOKEN_SELF : SQL_TOKEN_OPERATOR, start, end);
}

static struct sql_token scan_self(const struct sql_scanner *scanner, uint32_t start)
{
    char c = scanner->text[start];
    char next = (char)peek(scanner, start + 1);
    if (c == '.' && is_digit((unsigned char)next))
        return scan_number(scanner, start);
    bool pair = (c == '.' && next == '.') || (c == ':' && (next == ':' || next == '='));
    return token(pair ? SQL_TOKEN_OPERATOR : SQL_TOKEN_SELF, start, start + (pair ? 2 : 1));
}

/* A word, or what begins with a letter and a quote: E'..', B'..', X'..', U&'..', U&"..". */
static struct sql_token scan_word(const struct sql_scanner *scanner, uint32_t start)
{
    char first = (char)(scanner->text[start] | 0x20);
    unsigned char second = peek(scanner, start + 1);
    if (second == '\'') {
        if (first == 'e')
            return scan_string(scanner, SQL_TOKEN_STRING, start, start + 2,
                               QUOTING_DOUBLED | QUOTING_BACKSLASH);
        if (first == 'b' || first == 'x')
            return scan_string(scanner, SQL_TOKEN_BIT_STRING, start, start + 2, QUOTING_NONE);
    }
    if (first == 'u' && second == '&') {
        unsigned char third = peek(scanner, start + 2);
        if (third == '"')
            return scan_quoted_identifier(scanner, SQL_TOKEN_UNICODE_IDENTIFIER, start, start + 3);
        if (third == '\'')
            return scan_string(scanner, SQL_TOKEN_STRING, start, start + 3, QUOTING_DOUBLED);
    }
    uint32_t at = start + 1;
    while (continues_identifier(peek(scanner, at)))
        at++;
    return token(SQL_TOKEN_IDENTIFIER, start, at);
}

static struct sql_token scan_other(const struct sql_scanner *scanner, uint32_t start)
{
    unsigned quoting = scanner->standard_conforming_strings ? QUOTING_DOUBLED
                                                            : QUOTING_DOUBLED | QUOTING_BACKSLASH;
    switch (scanner->text[start]) {
    case '\'':
        return scan_string(scanner, SQL_TOKEN_STRING, start, start + 1, quoting);
    case '"':
        return scan_quoted_identifier(scanner, SQL_TOKEN_QUOTED_IDENTIFIER, start, start + 1);
    case '$':
        return scan_dollar(scanner, start);
    case '\0':
        return token(SQL_TOKEN_ERROR, start, start + 1);
    default:
        return token(SQL_TOKEN_STRAY, start, start + 1);
    }
}

void sql_scanner_init(struct sql_scanner *scanner, struct slice text,
                      bool standard_conforming_strings)
{
    BUG_ON(text.length > INT32_MAX);
    *scanner = (struct sql_scanner){.text = text.data,
                                    .length = (uint32_t)text.length,
                                    .standard_conforming_strings = standard_conforming_strings};
}

static struct sql_token scan_at(const struct sql_scanner *scanner, uint32_t start)
{
    unsigned char c = (unsigned char)scanner->text[start];
    unsigned char next = peek(scanner, start + 1);
    if (c == '-' && next == '-')
        return token(SQL_TOKEN_COMMENT, start, skip_line(scanner, start));
    if (c == '/' && next == '*')
        return scan_block_comment(scanner, start);
    if (class_of(c) == CLASS_LETTER)
        return scan_word(scanner, start);
    if (class_of(c) == CLASS_DIGIT)
        return scan_number(scanner, start);
    if (classes[c] & CLASS_OPERATOR)
        return scan_operator(scanner, start);
    if (class_of(c) == CLASS_SELF)
        return scan_self(scanner, start);
    return scan_other(scanner, start);
}

struct sql_token sql_scanner_next(struct sql_scanner *scanner)
{
    uint32_t start = scanner->position;
    while (start < scanner->length && class_of((unsigned char)scanner->text[start]) == CLASS_SPACE)
        start++;
    scanner->position = start;
    if (start >= scanner->length)
        return token(SQL_TOKEN_END, start, start);
    struct sql_token found = scan_at(scanner, start);
    if (found.kind != SQL_TOKEN_ERROR)
        scanner->position = found.end;
    return found;
}

bool sql_integer_fits(const char *digits, size_t length)
{
    while (length > 0 && *digits == '0')
        digits++, length--;
    return length < 10 || (length == 10 && memcmp(digits, "2147483647", 10) <= 0);
}
