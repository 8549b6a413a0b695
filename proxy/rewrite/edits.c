/* The list is kept as it grows and sorted when it is used: most statements have a handful. */
#include "edits.h"

#include "cache/words.h"
#include "segue/base/memory.h"

#include <stdlib.h>

void edits_init(struct edits *edits, struct arena *arena, struct slice source)
{
    *edits = (struct edits){.arena = arena, .source = source};
}

static void add_edit(struct edits *edits, struct edit edit)
{
    if (edits->count == edits->room) {
        size_t room = edits->room ? edits->room * 2 : 16;
        struct edit *wider = ARENA_NEW_ARRAY(edits->arena, struct edit, room);
        if (edits->count)
            memcpy(wider, edits->list, edits->count * sizeof *wider);
        edits->list = wider;
        edits->room = room;
    }
    edit.sequence = (uint32_t)edits->count;
    edits->list[edits->count++] = edit;
}

void edits_before(struct edits *edits, uint32_t at, const char *text)
{
    if (*text)
        add_edit(edits, (struct edit){.start = at, .end = at, .kind = EDIT_BEFORE, .text = text});
}

void edits_after(struct edits *edits, uint32_t at, const char *text)
{
    if (*text)
        add_edit(edits, (struct edit){.start = at, .end = at, .kind = EDIT_AFTER, .text = text});
}

/* What belongs to the text of a range: not what was put behind the thing before it, nor before the
 * thing after it. */
static bool lies_in(const struct edit *edit, uint32_t start, uint32_t end)
{
    if (edit->start < start || edit->end > end)
        return false;
    if (edit->kind == EDIT_AFTER && edit->start == start)
        return false;
    return !(edit->kind == EDIT_BEFORE && edit->start == end);
}

void edits_replace(struct edits *edits, uint32_t start, uint32_t end, const char *text)
{
    add_edit(edits, (struct edit){.start = start, .end = end, .kind = EDIT_REPLACE, .text = text});
}

void edits_truncate(struct edits *edits, size_t count)
{
    BUG_ON(count > edits->count);
    edits->count = count;
}

static int compare_edits(const void *a, const void *b)
{
    const struct edit *left = a, *right = b;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    int by_sequence = (left->sequence > right->sequence) - (left->sequence < right->sequence);
    return left->kind == EDIT_BEFORE ? -by_sequence : by_sequence;
}

/* Is the edit in one of the ranges that were replaced after it was made? */
static bool is_replaced(const struct edit *edit, const struct edit *replaced, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (replaced[i].sequence > edit->sequence &&
            lies_in(edit, replaced[i].start, replaced[i].end))
            return true;
    return false;
}

/*
 * Sorts the list and takes out what was replaced; gives how many are left. The ranges that reach
 * the edit at hand are few: a statement's pieces nest, and no deeper than its brackets.
 */
static size_t sort_edits(const struct edits *edits, struct edit *list, size_t count)
{
    if (count > 1)
        qsort(list, count, sizeof *list, compare_edits);
    struct edit *reaching = ARENA_NEW_ARRAY(edits->arena, struct edit, count + 1);
    size_t reaching_count = 0, next = 0, kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct edit edit = list[i];
        size_t still = 0;
        for (size_t r = 0; r < reaching_count; r++)
            if (reaching[r].end >= edit.start)
                reaching[still++] = reaching[r];
        reaching_count = still;
        for (; next < count && list[next].start <= edit.start; next++)
            if (list[next].kind == EDIT_REPLACE)
                reaching[reaching_count++] = list[next];
        if (!is_replaced(&edit, reaching, reaching_count))
            list[kept++] = edit;
    }
    return kept;
}

/* Those that lie in the range, sorted. */
static struct edit *select_edits(const struct edits *edits, size_t since, uint32_t start,
                                 uint32_t end, size_t *count)
{
    struct edit *selected = ARENA_NEW_ARRAY(edits->arena, struct edit, edits->count - since + 1);
    *count = 0;
    for (size_t i = since; i < edits->count; i++)
        if (lies_in(&edits->list[i], start, end))
            selected[(*count)++] = edits->list[i];
    *count = sort_edits(edits, selected, *count);
    return selected;
}

/*
 * Appends what is put in, and keeps it apart from what is around: `='x'WHERE` must not become
 * `::textWHERE`, nor two quoted names one.
 */
static bool would_stick(char left, char right)
{
    return (word_byte((unsigned char)left) && word_byte((unsigned char)right)) ||
           (left == '"' && right == '"');
}

static void add_inserted(struct text *out, const struct edit *edit, const char *next)
{
    if (*edit->text && out->length && would_stick(out->data[out->length - 1], *edit->text))
        text_add_char(out, ' ');
    text_add_string(out, edit->text);
    if (out->length && would_stick(out->data[out->length - 1], *next))
        text_add_char(out, ' ');
}

const char *edits_render(const struct edits *edits, size_t since, uint32_t start, uint32_t end)
{
    const char *source = edits->source.data;
    size_t count;
    struct edit *selected = select_edits(edits, since, start, end, &count);
    if (count == 0)
        return arena_string_range(edits->arena, source + start, end - start);
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    uint32_t at = start;
    for (size_t i = 0; i < count; i++) {
        BUG_ON(selected[i].start < at);
        text_add(&out, source + at, selected[i].start - at);
        at = selected[i].end;
        add_inserted(&out, &selected[i], at < end ? source + at : "");
    }
    text_add(&out, source + at, end - at);
    const char *rendered = arena_string_range(edits->arena, out.data, out.length);
    text_release(&out);
    return rendered;
}

void edits_apply(struct edits *edits, struct rewrite *rewrite)
{
    struct slice source = edits->source;
    struct edit *list = edits->list;
    size_t count = sort_edits(edits, list, edits->count);
    rewrite->edits = NEW_ARRAY(struct rewrite_edit, count + 1);
    rewrite->edit_count = count;
    uint32_t at = 0;
    for (size_t i = 0; i < count; i++) {
        BUG_ON(list[i].start < at);
        text_add(&rewrite->text, source.data + at, list[i].start - at);
        uint32_t sent_start = (uint32_t)rewrite->text.length;
        add_inserted(&rewrite->text, &list[i], source.data + list[i].end);
        rewrite->edits[i] = (struct rewrite_edit){list[i].start, list[i].end, sent_start,
                                                  (uint32_t)rewrite->text.length};
        at = list[i].end;
    }
    text_add(&rewrite->text, source.data + at, source.length - at);
}
