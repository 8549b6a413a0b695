/*
 * The stand-ins are a number that does not occur in the text, and an ordinal: integers of ten
 * digits, which fit an int4, so that they may stand wherever an integer may; quoted as the constant
 * is that they stand for.
 *
 * Positions are kept as in the text with stand-ins, or in what came out of it, and are moved by the
 * difference in length of the constants before them. An edit never begins or ends inside a
 * constant.
 */
#include "template.h"

#include "segue/base/memory.h"
#include "segue/sql/parse.h"
#include "segue/sql/scanner.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SERIES_DIGITS = 4,
    ORDINAL_DIGITS = 6,
    ORDINALS = 1000000,  /* constants that stand-ins can tell apart */
    FIRST_SERIES = 1000, /* series of stand-ins: the first digits of an int4 of ten */
    LAST_SERIES = 2146,
    STAND_IN_MAX = 16
};

/* A place in the sent text where a constant of the client's goes. */
struct hole {
    uint32_t start, end; /* bytes of `sent` */
    uint32_t constant;
};

struct template
{
    uint32_t references;
    struct rewrite *rewrite; /* of the core with stand-ins */
    size_t hole_count;
    struct hole *holes; /* in its text */
    size_t constant_count;
    uint32_t *constant_ends; /* of the stand-ins, in bytes of the core */
    uint32_t *constant_lengths;
    uint32_t core_length;
    uint32_t error_offset; /* REFUSED: bytes of the core before the error's position */
};

/* ---------------------------------------------------------------- stand-ins */

/* How a constant is written around its digits. */
struct quotes {
    const char *before, *behind;
};

static struct quotes quotes_of(const struct shape_constant *constant)
{
    switch (constant->kind) {
    case CONSTANT_STRING:
        switch (constant->first) {
        case 'e':
            return (struct quotes){"E'", "'"};
        case 'u':
            return (struct quotes){"U&'", "'"};
        case '$':
            return (struct quotes){"$$", "$$"};
        default:
            return (struct quotes){"'", "'"};
        }
    case CONSTANT_BITS:
        return (struct quotes){constant->first == 'b' ? "B'" : "X'", "'"};
    case CONSTANT_INTEGER:
        return (struct quotes){"", ""};
    case CONSTANT_FLOAT:
        return (struct quotes){"", ".5"};
    case CONSTANT_COMMENT:
        return constant->first == '/' ? (struct quotes){"/*", "*/"} : (struct quotes){"--", ""};
    }
    BUG("constant kind %d", (int)constant->kind);
}

static void write_digits(char *buffer, unsigned number, size_t digits)
{
    while (digits-- > 0) {
        buffer[digits] = (char)('0' + number % 10);
        number /= 10;
    }
}

static size_t write_stand_in(char buffer[STAND_IN_MAX], const struct shape_constant *constant,
                             int series, size_t ordinal)
{
    struct quotes quotes = quotes_of(constant);
    size_t before = strlen(quotes.before), behind = strlen(quotes.behind);
    memcpy(buffer, quotes.before, before);
    write_digits(buffer + before, (unsigned)series, SERIES_DIGITS);
    write_digits(buffer + before + SERIES_DIGITS, (unsigned)ordinal, ORDINAL_DIGITS);
    memcpy(buffer + before + SERIES_DIGITS + ORDINAL_DIGITS, quotes.behind, behind);
    return before + SERIES_DIGITS + ORDINAL_DIGITS + behind;
}

/* A series whose digits are nowhere in what is not a constant; 0 where there is none. */
static int choose_series(const struct token_shape *shape)
{
    char digits[STAND_IN_MAX];
    for (int series = FIRST_SERIES; series < LAST_SERIES; series += 37) {
        snprintf(digits, sizeof digits, "%04d", series);
        if (!memmem(shape->bytes, shape->length, digits, SERIES_DIGITS))
            return series;
    }
    return 0;
}

/* The core with stand-ins; notes where they lie. */
static void write_core(struct template *template, struct slice text,
                       const struct token_shape *shape, int series, struct text *core)
{
    uint32_t copied = shape->core_start;
    for (size_t i = 0; i < shape->count; i++) {
        const struct shape_constant *constant = &shape->constants[i];
        char stand_in[STAND_IN_MAX];
        size_t length = write_stand_in(stand_in, constant, series, i);
        text_add(core, text.data + copied, constant->start - copied);
        text_add(core, stand_in, length);
        template->constant_ends[i] = (uint32_t)core->length;
        template->constant_lengths[i] = (uint32_t)length;
        copied = constant->end;
    }
    text_add(core, text.data + copied, shape->core_end - copied);
    template->core_length = (uint32_t)core->length;
}

/* ---------------------------------------------------------------- finding them again */

static bool may_be_constant(enum sql_token_kind kind)
{
    return kind == SQL_TOKEN_STRING || kind == SQL_TOKEN_BIT_STRING || kind == SQL_TOKEN_INTEGER ||
           kind == SQL_TOKEN_FLOAT || kind == SQL_TOKEN_COMMENT;
}

/* Which constant a token of the sent text stands for; -1 for none. */
static long recognise(const struct text *sent, const struct sql_token *token,
                      const struct token_shape *shape, int series)
{
    if (!may_be_constant(token->kind) || token->end - token->start > STAND_IN_MAX)
        return -1;
    const char *data = sent->data + token->start;
    size_t length = token->end - token->start, quotes = 0;
    while (quotes < length && (data[quotes] < '0' || data[quotes] > '9'))
        quotes++;
    if (length < quotes + SERIES_DIGITS + ORDINAL_DIGITS)
        return -1;
    char digits[ORDINAL_DIGITS + 1] = {0};
    memcpy(digits, data + quotes + SERIES_DIGITS, ORDINAL_DIGITS);
    long ordinal = strtol(digits, NULL, 10);
    if (ordinal < 0 || (size_t)ordinal >= shape->count)
        return -1;
    char expected[STAND_IN_MAX];
    size_t written = write_stand_in(expected, &shape->constants[ordinal], series, (size_t)ordinal);
    return length == written && memcmp(data, expected, length) == 0 ? ordinal : -1;
}

/* Does the series turn up between two bytes of the sent text, in whole or in part of it? */
static bool holds_series(const struct text *sent, uint32_t start, uint32_t end, int series)
{
    char digits[STAND_IN_MAX];
    snprintf(digits, sizeof digits, "%04d", series);
    return memmem(sent->data + start, end - start, digits, SERIES_DIGITS) != NULL;
}

/* False where a stand-in turns up other than as a token of its own. */
static bool find_holes(struct template *template, const struct token_shape *shape, int series,
                       bool standard_conforming_strings)
{
    const struct text *sent = &template->rewrite->text;
    struct sql_scanner scanner;
    sql_scanner_init(&scanner, (struct slice){sent->data, sent->length},
                     standard_conforming_strings);
    size_t room = 0;
    uint32_t passed = 0;
    struct sql_token token;
    while ((token = sql_scanner_next(&scanner)).kind > SQL_TOKEN_ERROR) {
        long constant = recognise(sent, &token, shape, series);
        if (constant < 0)
            continue;
        if (holds_series(sent, passed, token.start, series))
            return false;
        passed = token.end;
        if (template->hole_count == room) {
            room = room ? room * 2 : shape->count + 8;
            template->holes = memory_resize(template->holes, room * sizeof *template->holes);
        }
        template->holes[template->hole_count++] =
            (struct hole){token.start, token.end, (uint32_t)constant};
    }
    return token.kind == SQL_TOKEN_END &&
           !holds_series(sent, passed, (uint32_t)sent->length, series);
}

/* ---------------------------------------------------------------- making */

void template_put(struct template *template)
{
    if (!template || --template->references > 0)
        return;
    rewrite_put(template->rewrite);
    free(template->holes);
    free(template->constant_ends);
    free(template->constant_lengths);
    free(template);
}

struct template *template_get(struct template *template)
{
    template->references++;
    return template;
}

size_t template_bytes(const struct template *template)
{
    return sizeof *template + rewrite_bytes(template->rewrite) +
           template->hole_count * sizeof *template->holes +
           template->constant_count * 2 * sizeof *template->constant_ends;
}

static bool names_series(const char *message, int series)
{
    char digits[STAND_IN_MAX];
    snprintf(digits, sizeof digits, "%04d", series);
    return strstr(message, digits) != NULL;
}

/*
 * A statement is refused for its shape, unless it could not be parsed: then it may be for a
 * constant of ours, where the grammar looks at its value.
 */
static bool take_error(struct template *template, struct slice core, int series)
{
    const struct error *error = template->rewrite->error;
    if (template->rewrite->statement_count == 0 || names_series(error->message, series) ||
        names_series(error->detail, series) || names_series(error->hint, series))
        return false;
    template->error_offset = error->position > 0 ? sql_position_offset(core, error->position,
                                                                       template->rewrite->encoding)
                                                 : 0;
    return true;
}

static bool is_usable(struct template *template, struct slice core, const struct token_shape *shape,
                      int series, bool conforming)
{
    switch (template->rewrite->outcome) {
    case REWRITE_UNTOUCHED: /* perhaps since it could not be parsed */
        return template->rewrite->statement_count > 0 || core.length == 0;
    case REWRITE_NEEDS_RESOLUTION:
        return true;
    case REWRITE_CHANGED: /* a staged COPY is more than its text */
        return template->rewrite->staging_count == 0 &&
               find_holes(template, shape, series, conforming);
    case REWRITE_REFUSED:
        return take_error(template, core, series);
    }
    BUG("outcome %d", (int)template->rewrite->outcome);
}

struct template *template_new(const struct rewrite_context *context, struct slice text,
                              const struct token_shape *shape)
{
    int series = choose_series(shape);
    if (series == 0 || shape->count >= ORDINALS)
        return NULL;
    struct template *template = NEW(struct template);
    template->references = 1;
    template->constant_count = shape->count;
    template->constant_ends = NEW_ARRAY(uint32_t, shape->count);
    template->constant_lengths = NEW_ARRAY(uint32_t, shape->count);
    struct text core;
    text_init(&core, TEXT_UNBOUNDED);
    write_core(template, text, shape, series, &core);
    struct slice slice = {core.data, core.length};
    template->rewrite = rewrite_text(context, slice);
    bool usable = is_usable(template, slice, shape, series, context->standard_conforming_strings);
    text_release(&core);
    if (usable)
        return template;
    template_put(template);
    return NULL;
}

/* ---------------------------------------------------------------- filling */

/* Moves positions, which are asked in ascending order, past the constants before them. */
struct mover {
    size_t passed;
    int64_t moved;
};

static uint32_t length_of(const struct shape_constant *constant)
{
    return constant->end - constant->start;
}

static uint32_t move_source(const struct template *template, const struct token_shape *shape,
                            struct mover *mover, uint32_t position)
{
    for (; mover->passed < template->constant_count &&
           template->constant_ends[mover->passed] <= position;
         mover->passed++)
        mover->moved += (int64_t)length_of(&shape->constants[mover->passed]) -
                        (int64_t) template->constant_lengths[mover->passed];
    return (uint32_t)(position + mover->moved);
}

static uint32_t move_sent(const struct template *template, const struct token_shape *shape,
                          struct mover *mover, uint32_t position)
{
    for (; mover->passed < template->hole_count && template->holes[mover->passed].end <= position;
         mover->passed++) {
        const struct hole *hole = &template->holes[mover->passed];
        mover->moved += (int64_t)length_of(&shape->constants[hole->constant]) -
                        (int64_t)(hole->end - hole->start);
    }
    return (uint32_t)(position + mover->moved);
}

static size_t filled_length(const struct template *template, struct slice text,
                            const struct token_shape *shape)
{
    size_t length =
        template->rewrite->text.length + shape->core_start + (text.length - shape->core_end);
    for (size_t i = 0; i < template->hole_count; i++) {
        const struct hole *hole = &template->holes[i];
        length += length_of(&shape->constants[hole->constant]);
        length -= hole->end - hole->start;
    }
    return length;
}

static char *append(char *out, const char *bytes, size_t length)
{
    memcpy(out, bytes, length);
    return out + length;
}

static void fill_text(const struct template *template, struct slice text,
                      const struct token_shape *shape, struct text *filled)
{
    const char *sent = template->rewrite->text.data;
    char *out = text_extend(filled, filled_length(template, text, shape));
    out = append(out, text.data, shape->core_start);
    uint32_t copied = 0;
    for (size_t i = 0; i < template->hole_count; i++) {
        const struct hole *hole = &template->holes[i];
        const struct shape_constant *constant = &shape->constants[hole->constant];
        out = append(out, sent + copied, hole->start - copied);
        out = append(out, text.data + constant->start, length_of(constant));
        copied = hole->end;
    }
    out = append(out, sent + copied, template->rewrite->text.length - copied);
    append(out, text.data + shape->core_end, text.length - shape->core_end);
}

static void fill_edits(const struct template *template, const struct token_shape *shape,
                       struct rewrite *rewrite)
{
    const struct rewrite *from = template->rewrite;
    struct mover start = {.moved = shape->core_start}, end = start, sent_start = start,
                 sent_end = start;
    rewrite->edits = NEW_ARRAY(struct rewrite_edit, from->edit_count);
    rewrite->edit_count = from->edit_count;
    for (size_t i = 0; i < from->edit_count; i++) {
        const struct rewrite_edit *edit = &from->edits[i];
        rewrite->edits[i] = (struct rewrite_edit){
            .start = move_source(template, shape, &start, edit->start),
            .end = move_source(template, shape, &end, edit->end),
            .sent_start = move_sent(template, shape, &sent_start, edit->sent_start),
            .sent_end = move_sent(template, shape, &sent_end, edit->sent_end),
        };
    }
}

static void fill_results(const struct template *template, struct rewrite *rewrite)
{
    const struct rewrite *from = template->rewrite;
    if (from->result_count == 0)
        return;
    rewrite->results = NEW_ARRAY(struct rewrite_result, from->result_count);
    rewrite->result_count = from->result_count;
    memcpy(rewrite->results, from->results, from->result_count * sizeof *rewrite->results);
}

/* A statement begins where the one before it ends, so that the first and the last have the text's
 * edges. */
static void fill_named(const struct template *template, struct slice text,
                       const struct token_shape *shape, struct rewrite *rewrite)
{
    const struct rewrite *from = template->rewrite;
    if (from->named_count == 0)
        return;
    rewrite->named = NEW_ARRAY(struct rewrite_named, from->named_count);
    rewrite->named_count = from->named_count;
    for (size_t i = 0; i < from->named_count; i++) {
        struct mover start = {.moved = shape->core_start}, end = start;
        struct rewrite_named *named = &rewrite->named[i];
        *named = from->named[i];
        named->name = memory_string(named->name);
        named->start = named->start ? move_source(template, shape, &start, named->start) : 0;
        named->end = named->end == template->core_length
                         ? (uint32_t)text.length
                         : move_source(template, shape, &end, named->end);
    }
}

static void fill_error(const struct template *template, struct slice text,
                       const struct token_shape *shape, struct rewrite *rewrite)
{
    struct mover mover = {.moved = shape->core_start};
    rewrite->error = NEW(struct error);
    *rewrite->error = *template->rewrite->error;
    if (rewrite->error->position > 0)
        rewrite->error->position = sql_position(
            text, move_source(template, shape, &mover, template->error_offset), rewrite->encoding);
}

struct rewrite *template_fill(const struct template *template, struct slice text,
                              const struct token_shape *shape)
{
    BUG_ON(shape->count != template->constant_count);
    struct rewrite *rewrite = NEW(struct rewrite);
    rewrite->references = 1;
    rewrite->outcome = template->rewrite->outcome;
    rewrite->touched = template->rewrite->touched;
    rewrite->encoding = template->rewrite->encoding;
    rewrite->statement_count = template->rewrite->statement_count;
    text_init(&rewrite->text, TEXT_UNBOUNDED);
    fill_named(template, text, shape, rewrite);
    switch (rewrite->outcome) {
    case REWRITE_CHANGED:
        fill_text(template, text, shape, &rewrite->text);
        fill_edits(template, shape, rewrite);
        fill_results(template, rewrite);
        break;
    case REWRITE_REFUSED:
        fill_error(template, text, shape, rewrite);
        break;
    case REWRITE_UNTOUCHED:
    case REWRITE_NEEDS_RESOLUTION:
        break;
    }
    return rewrite;
}
