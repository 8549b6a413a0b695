/*
 * Matching a statement's tokens against the table of commands. A pattern is matched word by word
 * without going back, which is all that commands need: an optional part is told by its first word.
 */
#include "command.h"

#include "segue/base/memory.h"
#include "segue/base/nearest.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

const struct wire_column *statement_columns(const struct statement *statement)
{
    return statement->command->columns ? statement->command->columns : &statement->named;
}

/* ------------------------------------------------------------ matching */

struct match {
    struct arena *arena;
    const struct token *tokens; /* of one statement */
    size_t count;
    size_t at; /* how far it went */
    struct arguments arguments;
    enum token_kind value_kind;
};

/* The next word of a pattern; its length, 0 at the end. */
static size_t next_word(const char **pattern)
{
    *pattern += strspn(*pattern, " ");
    return strcspn(*pattern, " ");
}

static bool token_is(const struct token *token, const char *word, size_t length)
{
    return (token->kind == TOKEN_WORD || token->kind == TOKEN_SYMBOL) &&
           strlen(token->text) == length && strncasecmp(token->text, word, length) == 0;
}

static bool is_name(const struct token *token)
{
    return token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED;
}

static const struct token *current(const struct match *match)
{
    static const struct token end = {TOKEN_END, "", 0};
    return match->at < match->count ? &match->tokens[match->at] : &end;
}

static bool match_name(struct match *match, const char **name)
{
    if (!is_name(current(match)))
        return false;
    *name = match->tokens[match->at++].text;
    return true;
}

/* name, or database.name */
static bool match_transition(struct match *match)
{
    if (!match_name(match, &match->arguments.transition))
        return false;
    if (!token_is(current(match), ".", 1))
        return true;
    match->at++;
    match->arguments.database = match->arguments.transition;
    return match_name(match, &match->arguments.transition);
}

static bool match_string(struct match *match, const char **string)
{
    if (current(match)->kind != TOKEN_STRING)
        return false;
    *string = match->tokens[match->at++].text;
    return true;
}

static bool match_value(struct match *match)
{
    match->value_kind = current(match)->kind;
    if (match->value_kind != TOKEN_NUMBER && match->value_kind != TOKEN_STRING)
        return false;
    match->arguments.text = match->tokens[match->at++].text;
    return true;
}

/* Whatever it is: what is wrong with it, the command can say better. */
static bool match_client(struct match *match)
{
    return match_value(match) || match_name(match, &match->arguments.text);
}

static bool match_phase(struct match *match)
{
    char name[32];
    snprintf(name, sizeof name, "%s", current(match)->text);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    match->arguments.has_phase = phase_parse(name, &match->arguments.phase);
    match->at += match->arguments.has_phase;
    return match->arguments.has_phase;
}

static bool match_shape(struct match *match)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        if (strcasecmp(current(match)->text, shape_name((enum shape)shape)) == 0) {
            match->arguments.shape = (enum shape)shape;
            match->arguments.has_shape = true;
            match->at++;
            return true;
        }
    }
    return false;
}

/* Everything that is left, as one text with single blanks; nothing is fine. */
static bool match_rest(struct match *match)
{
    struct text rest;
    text_init(&rest, TEXT_UNBOUNDED);
    for (; match->at < match->count; match->at++)
        text_add_format(&rest, "%s%s", rest.length ? " " : "", match->tokens[match->at].text);
    match->arguments.text = arena_string(match->arena, rest.data);
    text_release(&rest);
    return true;
}

static bool match_word(struct match *match, const char *word, size_t length)
{
    static const struct {
        const char *placeholder;
        bool (*match)(struct match *match);
    } placeholders[] = {{"transition", match_transition}, {"phase", match_phase},
                        {"shape", match_shape},           {"rest", match_rest},
                        {"client", match_client},         {"value", match_value}};
    if (word[0] == '\'')
        return match_string(match, strncmp(word, "'file'", length) == 0  ? &match->arguments.file
                                   : strncmp(word, "'sql'", length) == 0 ? &match->arguments.sql
                                                                         : &match->arguments.text);
    if (!islower((unsigned char)word[0])) {
        bool same = token_is(current(match), word, length);
        match->at += same;
        return same;
    }
    for (size_t i = 0; i < sizeof placeholders / sizeof placeholders[0]; i++)
        if (strncmp(placeholders[i].placeholder, word, length) == 0 &&
            !placeholders[i].placeholder[length])
            return placeholders[i].match(match);
    return match_name(match, strncmp(word, "database", length) == 0 ? &match->arguments.database
                                                                    : &match->arguments.word);
}

/* "[TO phase]", from behind the bracket: skipped where its first word is not there. Moves past it.
 */
static bool match_optional(struct match *match, const char **pattern)
{
    const char *end = strchr(*pattern, ']');
    size_t length = strcspn(*pattern, " ]");
    bool there = match_word(match, *pattern, length);
    *pattern += length;
    bool only_word = *pattern == end;
    if (there && only_word)
        match->arguments.option = true;
    while (there && *pattern < end) {
        *pattern += strspn(*pattern, " ");
        length = strcspn(*pattern, " ]");
        if (!match_word(match, *pattern, length))
            return false;
        *pattern += length;
    }
    *pattern = end + 1;
    return true;
}

static bool match_pattern(struct match *match, const char *pattern)
{
    size_t length;
    while ((length = next_word(&pattern)) > 0) {
        if (*pattern == '[') {
            pattern++;
            if (!match_optional(match, &pattern))
                return false;
        } else {
            if (!match_word(match, pattern, length))
                return false;
            pattern += length;
        }
    }
    return match->at == match->count;
}

/* ------------------------------------------------------------ what does not match */

static bool first_word_is(const struct command *command, const struct token *token)
{
    return token_is(token, command->pattern, strcspn(command->pattern, " "));
}

static void tell_usage(const struct token *first, struct error *error)
{
    struct text usage;
    bool phase = false;
    text_init(&usage, sizeof error->hint - 16);
    for (const struct command *c = commands; c < commands + command_count; c++) {
        if (!c->help || !first_word_is(c, first))
            continue;
        text_add_format(&usage, "%s%s", usage.length ? "; " : "", c->pattern);
        phase |= strstr(c->pattern, " phase") != NULL;
    }
    if (phase)
        text_add_string(&usage, "; phase is old, dual_old, dual_own, dual_new or new");
    if (usage.length > 0)
        error_hint(error, "Usage: %s", usage.data);
    else
        error_hint(error, "SHOW HELP lists the commands.");
    text_release(&usage);
}

static void tell_unknown(struct arena *arena, const char *word, struct error *error)
{
    struct nearest nearest;
    nearest_init(&nearest, word);
    for (const struct command *c = commands; c < commands + command_count; c++)
        if (c->help)
            nearest_offer(&nearest,
                          arena_string_range(arena, c->pattern, strcspn(c->pattern, " ")));
    error_set(error, "42601", "unknown command \"%s\"", word);
    if (nearest.best)
        error_hint(error, "Did you mean %s? SHOW HELP lists the commands.", nearest.best);
    else
        error_hint(error, "SHOW HELP lists the commands.");
}

static bool tell_no_match(struct arena *arena, struct slice text, const struct token *tokens,
                          size_t count, size_t furthest, struct error *error)
{
    if (furthest == 0)
        tell_unknown(arena, tokens[0].text, error);
    else {
        if (furthest < count)
            error_set(error, "42601", "syntax error at or near \"%s\"", tokens[furthest].text);
        else
            error_set(error, "42601", "syntax error at the end of the command");
        tell_usage(&tokens[0], error);
    }
    if (error)
        error->position = token_position(text, tokens[furthest].start);
    return false;
}

static void name_column(struct statement *statement, const struct match *match)
{
    const char *name = match->arguments.word ? match->arguments.word : "?column?";
    uint32_t type = match->value_kind == TOKEN_NUMBER ? OID_INT8 : OID_TEXT;
    statement->named = (struct wire_column){name, type};
}

/* `tokens[count]` is the one that ends it. */
static bool statement_read(struct arena *arena, struct slice text, const struct token *tokens,
                           size_t count, struct statement *statement, struct error *error)
{
    *statement = (struct statement){0};
    size_t furthest = 0;
    for (const struct command *c = commands; count > 0 && c < commands + command_count; c++) {
        struct match match = {
            .arena = arena, .tokens = tokens, .count = count, .value_kind = TOKEN_END};
        if (match_pattern(&match, c->pattern)) {
            statement->command = c;
            statement->arguments = match.arguments;
            name_column(statement, &match);
            return true;
        }
        if (match.at > furthest)
            furthest = match.at;
    }
    return count == 0 || tell_no_match(arena, text, tokens, count, furthest, error);
}

bool statements_read(struct arena *arena, struct slice text, struct statement **statements,
                     size_t *count, struct error *error)
{
    struct tokens tokens;
    *count = 0;
    if (!tokens_read(arena, text, &tokens, error))
        return false;
    *statements = ARENA_NEW_ARRAY(arena, struct statement, tokens.count);
    size_t start = 0;
    for (size_t i = 0; i < tokens.count; i++) {
        enum token_kind kind = tokens.at[i].kind;
        if (kind != TOKEN_SEMICOLON && kind != TOKEN_END)
            continue;
        struct statement *next = &(*statements)[*count];
        if (!statement_read(arena, text, tokens.at + start, i - start, next, error))
            return false;
        size_t from = tokens.at[start].start;
        next->source = (struct slice){text.data + from, tokens.at[i].start - from};
        *count += next->command != NULL;
        start = i + 1;
    }
    return true;
}
