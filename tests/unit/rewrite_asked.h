/* What becomes of a text in the world of rewrite_world.h. */
#ifndef SEGUE_TESTS_REWRITE_ASKED_H
#define SEGUE_TESTS_REWRITE_ASKED_H

#include "rewrite_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static inline struct rewrite *ask(enum phase phase, enum shape shape, const char *text)
{
    struct rewrite_world world = world_make(phase, STAGE_EXPANDED, shape);
    struct rewrite *rewrite = rewrite_text(&world.context, slice_of(text));
    world_free(&world);
    return rewrite;
}

static inline void check_sent(enum phase phase, enum shape shape, const char *text,
                              const char *expected)
{
    struct rewrite *rewrite = ask(phase, shape, text);
    if (rewrite->error)
        fail_msg("%s: %s", text, rewrite->error->message);
    assert_string_equal(rewrite->outcome == REWRITE_CHANGED ? rewrite->text.data : text, expected);
    rewrite_put(rewrite);
}

static inline void check_untouched(const char *text)
{
    struct rewrite *rewrite = ask(PHASE_DUAL_NEW, SHAPE_OLD, text);
    if (rewrite->outcome != REWRITE_UNTOUCHED)
        fail_msg("%s: %s", text, rewrite->error ? rewrite->error->message : rewrite->text.data);
    rewrite_put(rewrite);
}

static inline void check_refused(enum phase phase, enum shape shape, const char *text,
                                 const char *sqlstate, int position)
{
    struct rewrite *rewrite = ask(phase, shape, text);
    if (rewrite->outcome != REWRITE_REFUSED)
        fail_msg("sent: %s", rewrite->text.data);
    assert_string_equal(rewrite->error->sqlstate, sqlstate);
    assert_int_equal(rewrite->error->position, position);
    rewrite_put(rewrite);
}

#endif
