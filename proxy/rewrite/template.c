/*
 * The stand-ins are a number that does not occur in the text, and an ordinal: integers of ten
 * digits, which fit an int4, so that they may stand wherever an integer may.
 *
 * Positions are kept as in the text with stand-ins, or in what came out of it, and are moved by the
 * difference in length of the constants before them. An edit never begins or ends inside a
 * constant.
 */
#include "template.h"

#include "segue/base/memory.h"
#include "segue/sql/scanner.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ORDINALS = 100000,    /* constants that stand-ins can tell apart */
    FIRST_SERIES = 10000, /* series of stand-ins: the first five of ten digits */
    LAST_SERIES = 21473,
    STAND_IN_MAX = 16
};

/* A place in the sent text where a constant of the client's goes. */
struct hole {
    uint32_t start, end; /* bytes of `sent` */
    uint32_t constant;
};

struct template
{
    enum rewrite_outcome outcome; /* UNTOUCHED or CHANGED */
    uint64_t touched;
    size_t statement_count;
    struct text sent; /* CHANGED: of the core, with stand-ins */
    size_t hole_count;
    struct hole *holes;
    size_t edit_count;
    struct rewrite_edit *edits; /* in bytes of the core with stand-ins, and of `sent` */
    size_t result_count;
    struct rewrite_result *results;
    size_t constant_count;
    uint32_t *constant_ends; /* of the stand-ins, in bytes of the core */
    uint32_t *constant_lengths;
};

/* ---------------------------------------------------------------- stand-ins */

static int write_stand_in(char *buffer, enum shape_constant_kind kind, int series, size_t ordinal)
{
    switch (kind) {
    case CONSTANT_STRING:
        return snprintf(buffer, STAND_IN_MAX, "'%05d%05zu'", series, ordinal);
    case CONSTANT_BITS:
        return snprintf(buffer, STAND_IN_MAX, "x'%05d%05zu'", series, ordinal);
    case CONSTANT_INTEGER:
        return snprintf(buffer, STAND_IN_MAX, "%05d%05zu", series, ordinal);
    case CONSTANT_FLOAT:
        return snprintf(buffer, STAND_IN_MAX, "%05d%05zu.5", series, ordinal);
    }
    BUG("constant kind %d", (int)kind);
}

/* A series whose five digits are nowhere in what is not a constant; 0 where there is none. */
static int choose_series(const struct token_shape *shape)
{
    char digits[STAND_IN_MAX];
    for (int series = FIRST_SERIES; series < LAST_SERIES; series += 37) {
        snprintf(digits, sizeof digits, "%05d", series);
        if (!memmem(shape->bytes.data, shape->bytes.length, digits, 5))
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
        int length = write_stand_in(stand_in, constant->kind, series, i);
        text_add(core, text.data + copied, constant->start - copied);
        text_add(core, stand_in, (size_t)length);
        template->constant_ends[i] = (uint32_t)core->length;
        template->constant_lengths[i] = (uint32_t)length;
        copied = constant->end;
    }
    text_add(core, text.data + copied, shape->core_end - copied);
}

/* Which constant a token of the sent text stands for; -1 for none. */
static long recognise(const struct text *sent, const struct sql_token *token,
                      const struct token_shape *shape, int series)
{
    const char *data = sent->data + token->start;
    if (token->kind == SQL_TOKEN_STRING)
        data += 1;
    else if (token->kind == SQL_TOKEN_BIT_STRING)
        data += 2;
    else if (token->kind != SQL_TOKEN_INTEGER && token->kind != SQL_TOKEN_FLOAT)
        return -1;
    char digits[11] = {0};
    size_t room = sent->length - (size_t)(data - sent->data);
    memcpy(digits, data, room < 10 ? room : 10);
    char prefix[STAND_IN_MAX];
    snprintf(prefix, sizeof prefix, "%05d", series);
    if (strncmp(digits, prefix, 5) != 0)
        return -1;
    char *end;
    long ordinal = strtol(digits + 5, &end, 10);
    if (*end || ordinal < 0 || (size_t)ordinal >= shape->count)
        return -1;
    char expected[STAND_IN_MAX];
    int length = write_stand_in(expected, shape->constants[ordinal].kind, series, (size_t)ordinal);
    bool same = token->end - token->start == (uint32_t)length &&
                memcmp(sent->data + token->start, expected, (size_t)length) == 0;
    return same ? ordinal : -1;
}

/* Finds the holes. False where a stand-in turns up other than as a token of its own. */
static bool find_holes(struct template *template, const struct token_shape *shape, int series,
                       bool standard_conforming_strings)
{
    struct sql_scanner scanner;
    struct slice sent = {template->sent.data, template->sent.length};
    sql_scanner_init(&scanner, sent, standard_conforming_strings);
    size_t room = 0;
    struct sql_token token;
    while ((token = sql_scanner_next(&scanner)).kind > SQL_TOKEN_ERROR) {
        long constant = recognise(&template->sent, &token, shape, series);
        if (constant < 0) {
            char digits[STAND_IN_MAX];
            snprintf(digits, sizeof digits, "%05d", series);
            if (memmem(sent.data + token.start, token.end - token.start, digits, 5))
                return false;
            continue;
        }
        if (template->hole_count == room) {
            room = room ? room * 2 : 32;
            template->holes = memory_resize(template->holes, room * sizeof *template->holes);
        }
        template->holes[template->hole_count++] =
            (struct hole){token.start, token.end, (uint32_t)constant};
    }
    return token.kind == SQL_TOKEN_END;
}

/* ---------------------------------------------------------------- making */

void template_free(struct template *template)
{
    if (!template)
        return;
    text_release(&template->sent);
    free(template->holes);
    free(template->edits);
    free(template->results);
    free(template->constant_ends);
    free(template->constant_lengths);
    free(template);
}

size_t template_bytes(const struct template *template)
{
    return sizeof *template + template->sent.capacity +
           template->hole_count * sizeof *template->holes +
           template->edit_count * sizeof *template->edits +
           template->result_count * sizeof *template->results +
           template->constant_count * 2 * sizeof *template->constant_ends;
}

/* Takes over what the rewrite holds. */
static bool take_rewrite(struct template *template, struct rewrite *rewrite,
                         const struct token_shape *shape, int series,
                         bool standard_conforming_strings)
{
    bool usable = rewrite->named_count == 0 &&
                  (rewrite->outcome == REWRITE_UNTOUCHED || rewrite->outcome == REWRITE_CHANGED);
    if (!usable)
        return false;
    template->outcome = rewrite->outcome;
    template->touched = rewrite->touched;
    template->statement_count = rewrite->statement_count;
    text_release(&template->sent);
    template->sent = rewrite->text;
    text_init(&rewrite->text, TEXT_UNBOUNDED);
    template->edits = rewrite->edits;
    template->edit_count = rewrite->edit_count;
    rewrite->edits = NULL;
    rewrite->edit_count = 0;
    template->results = rewrite->results;
    template->result_count = rewrite->result_count;
    rewrite->results = NULL;
    rewrite->result_count = 0;
    return rewrite->outcome == REWRITE_UNTOUCHED ||
           find_holes(template, shape, series, standard_conforming_strings);
}

struct template *template_new(const struct rewrite_context *context, struct slice text,
                              const struct token_shape *shape)
{
    int series = choose_series(shape);
    if (series == 0 || shape->count >= ORDINALS)
        return NULL;
    struct template *template = NEW(struct template);
    text_init(&template->sent, TEXT_UNBOUNDED);
    template->constant_count = shape->count;
    template->constant_ends = NEW_ARRAY(uint32_t, shape->count);
    template->constant_lengths = NEW_ARRAY(uint32_t, shape->count);
    struct text core;
    text_init(&core, TEXT_UNBOUNDED);
    write_core(template, text, shape, series, &core);
    struct rewrite *rewrite = rewrite_text(context, (struct slice){core.data, core.length});
    text_release(&core);
    bool usable =
        take_rewrite(template, rewrite, shape, series, context->standard_conforming_strings);
    rewrite_put(rewrite);
    if (usable)
        return template;
    template_free(template);
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

static void fill_text(const struct template *template, struct slice text,
                      const struct token_shape *shape, struct text *out)
{
    text_add(out, text.data, shape->core_start);
    uint32_t copied = 0;
    for (size_t i = 0; i < template->hole_count; i++) {
        const struct hole *hole = &template->holes[i];
        const struct shape_constant *constant = &shape->constants[hole->constant];
        text_add(out, template->sent.data + copied, hole->start - copied);
        text_add(out, text.data + constant->start, length_of(constant));
        copied = hole->end;
    }
    text_add(out, template->sent.data + copied, template->sent.length - copied);
    text_add(out, text.data + shape->core_end, text.length - shape->core_end);
}

static void fill_edits(const struct template *template, const struct token_shape *shape,
                       struct rewrite *rewrite)
{
    struct mover start = {.moved = shape->core_start}, end = start, sent_start = start,
                 sent_end = start;
    rewrite->edits = NEW_ARRAY(struct rewrite_edit, template->edit_count);
    rewrite->edit_count = template->edit_count;
    for (size_t i = 0; i < template->edit_count; i++) {
        const struct rewrite_edit *edit = &template->edits[i];
        rewrite->edits[i] = (struct rewrite_edit){
            .start = move_source(template, shape, &start, edit->start),
            .end = move_source(template, shape, &end, edit->end),
            .sent_start = move_sent(template, shape, &sent_start, edit->sent_start),
            .sent_end = move_sent(template, shape, &sent_end, edit->sent_end),
        };
    }
}

struct rewrite *template_fill(const struct template *template, struct slice text,
                              const struct token_shape *shape)
{
    BUG_ON(shape->count != template->constant_count);
    struct rewrite *rewrite = NEW(struct rewrite);
    rewrite->references = 1;
    rewrite->outcome = template->outcome;
    rewrite->touched = template->touched;
    rewrite->statement_count = template->statement_count;
    text_init(&rewrite->text, TEXT_UNBOUNDED);
    if (template->outcome != REWRITE_CHANGED)
        return rewrite;
    fill_text(template, text, shape, &rewrite->text);
    fill_edits(template, shape, rewrite);
    if (template->result_count) {
        rewrite->results = NEW_ARRAY(struct rewrite_result, template->result_count);
        rewrite->result_count = template->result_count;
        memcpy(rewrite->results, template->results,
               template->result_count * sizeof *rewrite->results);
    }
    return rewrite;
}
