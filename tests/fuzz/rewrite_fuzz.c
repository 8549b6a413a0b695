/*
 * Any bytes as SQL. Whatever is sent must parse, and the edits must lead from the client's text to
 * it. The first byte chooses phase, stage and shape.
 */
#include "../unit/rewrite_world.h"
#include "segue/sql/parse.h"

static const struct {
    enum phase phase;
    enum stage stage;
} states[] = {{PHASE_OLD, STAGE_APPLIED},       {PHASE_OLD, STAGE_EXPANDED},
              {PHASE_DUAL_OLD, STAGE_EXPANDED}, {PHASE_DUAL_OWN, STAGE_EXPANDED},
              {PHASE_DUAL_NEW, STAGE_EXPANDED}, {PHASE_NEW, STAGE_EXPANDED},
              {PHASE_NEW, STAGE_CONTRACTED}};
enum { STATES = sizeof states / sizeof *states };

static struct rewrite_world *world_for(uint8_t choice)
{
    static struct rewrite_world worlds[STATES * 2];
    struct rewrite_world *world = &worlds[choice % (STATES * 2)];
    if (!world->snapshot)
        *world = world_make(states[choice % STATES].phase, states[choice % STATES].stage,
                            choice % (STATES * 2) >= STATES ? SHAPE_NEW : SHAPE_OLD);
    return world;
}

static void check_edits(const struct rewrite *rewrite, struct slice text)
{
    uint32_t at = 0, sent_at = 0;
    for (size_t i = 0; i <= rewrite->edit_count; i++) {
        bool is_end = i == rewrite->edit_count;
        uint32_t start = is_end ? (uint32_t)text.length : rewrite->edits[i].start;
        uint32_t sent_start =
            is_end ? (uint32_t)rewrite->text.length : rewrite->edits[i].sent_start;
        BUG_ON(start - at != sent_start - sent_at);
        BUG_ON(memcmp(text.data + at, rewrite->text.data + sent_at, start - at) != 0);
        if (!is_end) {
            at = rewrite->edits[i].end;
            sent_at = rewrite->edits[i].sent_end;
        }
    }
}

static void check_parses(const struct rewrite *rewrite)
{
    struct arena arena;
    struct sql_tree tree;
    struct error error;
    arena_init(&arena);
    if (!sql_parse(&arena, (struct slice){rewrite->text.data, rewrite->text.length}, true, &tree,
                   &error) &&
        strncmp(error.sqlstate, "54", 2) != 0)
        BUG("%s in: %s", error.message, rewrite->text.data);
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || memchr(data, 0, size))
        return 0;
    char *text = memory_string_range((const char *)data + 1, size - 1);
    struct slice slice = {text, size - 1};
    struct rewrite *rewrite = rewrite_text(&world_for(data[0])->context, slice);
    if (rewrite->outcome == REWRITE_CHANGED) {
        check_edits(rewrite, slice);
        check_parses(rewrite);
        (void)rewrite_map_position(rewrite, slice, (int)size / 2);
    }
    rewrite_put(rewrite);
    free(text);
    return 0;
}
