/*
 * Whatever a text is answered from, the answer must be the same. Any bytes as SQL: the text goes
 * through the cache first, which makes a template of its shape; then others of that shape, made of
 * it by other constants; each answer is held against what the rewriter itself says of that text.
 */
#include "../../proxy/rewrite/cache/shape.h"
#include "../unit/rewrite_world.h"
#include "segue/sql/parse.h"

#include <stdio.h>

enum { OTHERS = 3 };

/* ------------------------------------------------------------------ other constants */

static const char *const strings[OTHERS] = {"", "users", "1000000001"};
static const char *const integers[OTHERS] = {"0", "2147483647", "1000000001"};
static const char *const floats[OTHERS] = {"1.5", ".5e-3", "99999999999"};

static void add_constant(struct text *out, const struct shape_constant *constant, int other)
{
    switch (constant->kind) {
    case CONSTANT_STRING:
        text_add_string(out, constant->first == 'e'   ? "e'"
                             : constant->first == 'u' ? "u&'"
                             : constant->first == '$' ? "$$"
                                                      : "'");
        text_add_string(out, strings[other]);
        text_add_string(out, constant->first == '$' ? "$$" : "'");
        return;
    case CONSTANT_BITS:
        text_add_format(out, "%c'%s'", constant->first, other ? "01" : "");
        return;
    case CONSTANT_INTEGER:
        text_add_string(out, integers[other]);
        return;
    case CONSTANT_FLOAT:
        text_add_string(out, floats[other]);
        return;
    case CONSTANT_COMMENT:
        text_add_format(out, constant->first == '/' ? "/*%s*/" : "--%s", strings[other]);
        return;
    }
    BUG("constant kind %d", (int)constant->kind);
}

static void write_other(struct text *out, struct slice text, const struct token_shape *shape,
                        int other)
{
    uint32_t copied = 0;
    for (size_t i = 0; i < shape->count; i++) {
        const struct shape_constant *constant = &shape->constants[i];
        text_add(out, text.data + copied, constant->start - copied);
        add_constant(out, constant, other);
        copied = constant->end;
    }
    text_add(out, text.data + copied, text.length - copied);
}

/* ------------------------------------------------------------------ the same answer */

/* The parser looks into some constants, and refuses what the server will refuse, too. A table's
 * name in a constant makes a statement after SET search_path suspicious; with a template it is not
 * looked for there. */
static bool may_differ(const struct rewrite *expected)
{
    return expected->statement_count == 0 ||
           (expected->outcome == REWRITE_REFUSED &&
            strstr(expected->error->message, "cannot follow, in the same text") != NULL);
}

static bool is_same_fact(const struct rewrite_named *a, const struct rewrite_named *b)
{
    return a->fact == b->fact && a->statement == b->statement && a->start == b->start &&
           a->end == b->end && (a->name != NULL) == (b->name != NULL) &&
           (!a->name || strcmp(a->name, b->name) == 0);
}

static bool is_same(const struct rewrite *found, const struct rewrite *expected)
{
    bool same = found->outcome == expected->outcome && found->touched == expected->touched &&
                found->statement_count == expected->statement_count &&
                found->text.length == expected->text.length &&
                memcmp(found->text.data, expected->text.data, found->text.length) == 0 &&
                found->edit_count == expected->edit_count &&
                found->result_count == expected->result_count &&
                found->named_count == expected->named_count &&
                (found->error != NULL) == (expected->error != NULL);
    for (size_t i = 0; same && i < found->edit_count; i++)
        same = memcmp(&found->edits[i], &expected->edits[i], sizeof found->edits[i]) == 0;
    for (size_t i = 0; same && i < found->named_count; i++)
        same = is_same_fact(&found->named[i], &expected->named[i]);
    if (same && found->error)
        same = strcmp(found->error->message, expected->error->message) == 0 &&
               found->error->position == expected->error->position;
    return same;
}

static void check(struct rewrite_cache *cache, const struct rewrite_context *context,
                  struct slice text)
{
    struct rewrite *expected = rewrite_text(context, text);
    const struct rewrite *found = rewrite_cache_find(cache, context, text);
    if (!is_same(found, expected) && !may_differ(expected)) {
        fprintf(stderr, "text: %s\nfound %d: %s%s\nexpected %d: %s%s\n", text.data,
                (int)found->outcome, found->text.data, found->error ? found->error->message : "",
                (int)expected->outcome, expected->text.data,
                expected->error ? expected->error->message : "");
        abort();
    }
    rewrite_put(expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rewrite_world worlds[PHASE_COUNT * SHAPE_COUNT];
    if (size == 0 || memchr(data, 0, size))
        return 0;
    size_t choice = data[0] % (PHASE_COUNT * SHAPE_COUNT);
    if (!worlds[choice].snapshot)
        worlds[choice] = world_make((enum phase)(choice / SHAPE_COUNT), STAGE_EXPANDED,
                                    (enum shape)(choice % SHAPE_COUNT));
    struct rewrite_context context = worlds[choice].context;
    context.standard_conforming_strings = data[0] < 128;
    char *text = memory_string_range((const char *)data + 1, size - 1);
    struct slice slice = {text, size - 1};
    struct rewrite_cache *cache = rewrite_cache_new(1 << 20);
    struct token_shape shape;
    token_shape_init(&shape);
    check(cache, &context, slice);
    if (token_shape_read(&shape, slice, context.standard_conforming_strings)) {
        for (int other = 0; other < OTHERS; other++) {
            struct text changed;
            text_init(&changed, TEXT_UNBOUNDED);
            write_other(&changed, slice, &shape, other);
            check(cache, &context, (struct slice){changed.data, changed.length});
            text_release(&changed);
        }
    }
    token_shape_release(&shape);
    rewrite_cache_free(cache);
    free(text);
    return 0;
}
