/*
 * The lexer of the console. Commands are few and short, but their arguments are not: the text of a
 * transition file or a statement arrives as a string constant, in whichever of PostgreSQL's
 * notations the tool at the other end prefers.
 */
#include "token.h"

#include "segue/base/memory.h"

#include <ctype.h>
#include <stdlib.h>

struct lexer {
    struct arena *arena;
    struct slice text;
    size_t at;
    struct text decoded; /* the string being read */
    struct token *tokens;
    size_t count, capacity;
    struct error *error;
};

int token_position(struct slice text, size_t offset)
{
    int characters = 1;
    for (size_t i = 0; i < offset && i < text.length; i++)
        characters += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return characters;
}

static char peek(const struct lexer *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;
    return at < lexer->text.length ? lexer->text.data[at] : '\0';
}

static bool done(const struct lexer *lexer)
{
    return lexer->at >= lexer->text.length;
}

static bool is_word_start(char c)
{
    return isalpha((unsigned char)c) || c == '_' || ((unsigned char)c & 0x80);
}

static bool is_word(char c)
{
    return is_word_start(c) || isdigit((unsigned char)c) || c == '$';
}

static void add(struct lexer *lexer, enum token_kind kind, size_t start, const char *text)
{
    if (lexer->count == lexer->capacity) {
        lexer->capacity = lexer->capacity ? lexer->capacity * 2 : 32;
        lexer->tokens = memory_resize(lexer->tokens, lexer->capacity * sizeof *lexer->tokens);
    }
    lexer->tokens[lexer->count++] = (struct token){kind, text, start};
}

static void add_range(struct lexer *lexer, enum token_kind kind, size_t start)
{
    add(lexer, kind, start,
        arena_string_range(lexer->arena, lexer->text.data + start, lexer->at - start));
}

static void add_decoded(struct lexer *lexer, enum token_kind kind, size_t start)
{
    add(lexer, kind, start,
        arena_string_range(lexer->arena, lexer->decoded.data, lexer->decoded.length));
}

static bool fail(struct lexer *lexer, size_t start, const char *what)
{
    error_set(lexer->error, "42601", "%s", what);
    if (lexer->error)
        lexer->error->position = token_position(lexer->text, start);
    return false;
}

/* ------------------------------------------------------------ blanks */

static bool skip_comment(struct lexer *lexer)
{
    size_t start = lexer->at;
    int depth = 0; /* comments nest in SQL */
    do {
        if (done(lexer))
            return fail(lexer, start, "unterminated /* comment");
        if (peek(lexer, 0) == '/' && peek(lexer, 1) == '*') {
            depth++;
            lexer->at += 2;
        } else if (peek(lexer, 0) == '*' && peek(lexer, 1) == '/') {
            depth--;
            lexer->at += 2;
        } else
            lexer->at++;
    } while (depth > 0);
    return true;
}

static bool skip_blanks(struct lexer *lexer)
{
    while (!done(lexer)) {
        if (isspace((unsigned char)peek(lexer, 0)))
            lexer->at++;
        else if (peek(lexer, 0) == '-' && peek(lexer, 1) == '-')
            while (!done(lexer) && peek(lexer, 0) != '\n')
                lexer->at++;
        else if (peek(lexer, 0) == '/' && peek(lexer, 1) == '*') {
            if (!skip_comment(lexer))
                return false;
        } else
            break;
    }
    return true;
}

/* ------------------------------------------------------------ strings */

static void add_utf8(struct text *out, unsigned long code)
{
    if (code < 0x80) {
        text_add_char(out, (char)code);
        return;
    }
    if (code >= 0x10000) {
        text_add_char(out, (char)(0xf0 | code >> 18));
        text_add_char(out, (char)(0x80 | (code >> 12 & 0x3f)));
    } else if (code >= 0x800)
        text_add_char(out, (char)(0xe0 | code >> 12));
    if (code >= 0x800)
        text_add_char(out, (char)(0x80 | (code >> 6 & 0x3f)));
    else
        text_add_char(out, (char)(0xc0 | code >> 6));
    text_add_char(out, (char)(0x80 | (code & 0x3f)));
}

/* Digits of a numeric escape, at most so many; how many there were. */
static size_t read_digits(struct lexer *lexer, int base, size_t most, unsigned long *value)
{
    char digits[9];
    size_t count = 0;
    while (count < most) {
        char c = peek(lexer, count);
        if (base == 8 ? c < '0' || c > '7' : !isxdigit((unsigned char)c))
            break;
        digits[count++] = c;
    }
    digits[count] = '\0';
    *value = strtoul(digits, NULL, base);
    lexer->at += count;
    return count;
}

static bool read_unicode_escape(struct lexer *lexer, size_t digits)
{
    size_t start = lexer->at;
    unsigned long code;
    bool surrogate_or_beyond = read_digits(lexer, 16, digits, &code) != digits || code == 0 ||
                               code > 0x10ffff || (code >= 0xd800 && code < 0xe000);
    if (surrogate_or_beyond)
        return fail(lexer, start, "invalid Unicode escape value");
    add_utf8(&lexer->decoded, code);
    return true;
}

/* After the backslash of an E'' string. */
static bool read_escape(struct lexer *lexer)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    char c = peek(lexer, 0);
    unsigned long value;
    if (c >= '0' && c <= '7') {
        read_digits(lexer, 8, 3, &value);
        text_add_char(&lexer->decoded, (char)value);
        return true;
    }
    lexer->at++;
    if (c == 'x' && read_digits(lexer, 16, 2, &value) > 0) {
        text_add_char(&lexer->decoded, (char)value);
        return true;
    }
    if (c == 'u' || c == 'U')
        return read_unicode_escape(lexer, c == 'u' ? 4 : 8);
    const char *letter = c ? strchr(letters, c) : NULL;
    text_add_char(&lexer->decoded, letter ? meanings[letter - letters] : c);
    return true;
}

/* At the opening quote; a doubled quote stands for itself. */
static bool read_quoted(struct lexer *lexer, enum token_kind kind, size_t start, bool escapes)
{
    char quote = peek(lexer, 0);
    lexer->at++;
    text_clear(&lexer->decoded);
    for (;;) {
        if (done(lexer))
            return fail(lexer, start,
                        quote == '"' ? "unterminated quoted identifier"
                                     : "unterminated quoted string");
        char c = peek(lexer, 0);
        lexer->at++;
        if (c == quote && peek(lexer, 0) == quote)
            lexer->at++;
        else if (c == quote)
            break;
        else if (c == '\\' && escapes && !done(lexer)) {
            if (!read_escape(lexer))
                return false;
            continue;
        }
        text_add_char(&lexer->decoded, c);
    }
    if (strlen(lexer->decoded.data) != lexer->decoded.length)
        return fail(lexer, start, "a string cannot hold a zero byte");
    add_decoded(lexer, kind, start);
    return true;
}

/* Bytes of "$tag$" at the present place; 0 where there is none. */
static size_t dollar_tag(const struct lexer *lexer)
{
    size_t length = 1;
    if (isdigit((unsigned char)peek(lexer, 1)))
        return 0;
    while (peek(lexer, length) != '$' && is_word(peek(lexer, length)))
        length++;
    return peek(lexer, length) == '$' ? length + 1 : 0;
}

static bool read_dollar_quoted(struct lexer *lexer, size_t tag_length)
{
    size_t start = lexer->at, content = start + tag_length;
    const char *tag = lexer->text.data + start;
    const char *end =
        memmem(lexer->text.data + content, lexer->text.length - content, tag, tag_length);
    if (!end)
        return fail(lexer, start, "unterminated dollar-quoted string");
    size_t end_offset = (size_t)(end - lexer->text.data);
    add(lexer, TOKEN_STRING, start,
        arena_string_range(lexer->arena, lexer->text.data + content, end_offset - content));
    lexer->at = end_offset + tag_length;
    return true;
}

/* ------------------------------------------------------------ tokens */

static bool read_token(struct lexer *lexer)
{
    size_t start = lexer->at;
    char c = peek(lexer, 0), next = peek(lexer, 1);
    size_t tag_length = c == '$' ? dollar_tag(lexer) : 0;
    if (tag_length > 0)
        return read_dollar_quoted(lexer, tag_length);
    if (c == '\'')
        return read_quoted(lexer, TOKEN_STRING, start, false);
    if (c == '"')
        return read_quoted(lexer, TOKEN_QUOTED, start, false);
    if ((c == 'e' || c == 'E') && next == '\'') {
        lexer->at++;
        return read_quoted(lexer, TOKEN_STRING, start, true);
    }
    lexer->at++;
    if (c == '$' && isdigit((unsigned char)next)) {
        error_set(lexer->error, "0A000", "the admin console takes no parameters");
        error_hint(lexer->error, "Write the value into the command, or let the driver do so "
                                 "(psycopg: ClientCursor).");
        return false;
    }
    if (c == ';')
        add(lexer, TOKEN_SEMICOLON, start, ";");
    else if (is_word_start(c)) {
        while (is_word(peek(lexer, 0)))
            lexer->at++;
        add_range(lexer, TOKEN_WORD, start);
    } else if (isdigit((unsigned char)c)) {
        while (isdigit((unsigned char)peek(lexer, 0)))
            lexer->at++;
        add_range(lexer, TOKEN_NUMBER, start);
    } else
        add_range(lexer, TOKEN_SYMBOL, start);
    return true;
}

bool tokens_read(struct arena *arena, struct slice text, struct tokens *tokens, struct error *error)
{
    struct lexer lexer = {.arena = arena, .text = text, .error = error};
    text_init(&lexer.decoded, TEXT_UNBOUNDED);
    bool fine = skip_blanks(&lexer);
    while (fine && !done(&lexer))
        fine = read_token(&lexer) && skip_blanks(&lexer);
    add(&lexer, TOKEN_END, text.length, "");
    tokens->at = ARENA_NEW_ARRAY(arena, struct token, lexer.count);
    memcpy(tokens->at, lexer.tokens, lexer.count * sizeof *lexer.tokens);
    tokens->count = lexer.count;
    free(lexer.tokens);
    text_release(&lexer.decoded);
    return fine;
}
