/* The phase table against DESIGN.md section 2. */
#include "segue/transition/phase.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void names_are_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < PHASE_COUNT; i++) {
        enum phase phase;
        assert_true(phase_parse(phase_name((enum phase)i), &phase));
        assert_int_equal(phase, i);
    }
    enum phase phase;
    assert_false(phase_parse("dual", &phase));
    enum shape shape;
    assert_true(shape_parse("new", &shape));
    assert_int_equal(shape, SHAPE_NEW);
    assert_false(shape_parse("", &shape));
    enum stage stage;
    assert_true(stage_parse("contracted", &stage));
    assert_int_equal(stage, STAGE_CONTRACTED);
}

/* What is read as it is must be written, in this phase and in its neighbours. */
static void neighbours_agree(void **state)
{
    (void)state;
    for (int p = 0; p < PHASE_COUNT; p++) {
        for (int s = 0; s < SHAPE_COUNT; s++) {
            if (phase_reads((enum phase)p, (enum shape)s) != PHASE_READ_OWN)
                continue;
            for (int n = p - 1; n <= p + 1; n++) {
                if (n >= 0 && n < PHASE_COUNT)
                    assert_true(phase_writes((enum phase)n, (enum shape)s));
            }
        }
    }
}

/* A column that is read by anybody without looking at the other one must be whole. */
static void what_is_read_is_whole(void **state)
{
    (void)state;
    for (int p = 0; p < PHASE_COUNT; p++) {
        for (int s = 0; s < SHAPE_COUNT; s++) {
            enum shape shape = (enum shape)s, other = shape_other(shape);
            bool read = phase_reads((enum phase)p, shape) == PHASE_READ_OWN ||
                        phase_reads((enum phase)p, other) == PHASE_READ_CONVERTED;
            if (read)
                assert_true(phase_needs((enum phase)p, shape));
        }
    }
}

static void the_line_is_symmetrical(void **state)
{
    (void)state;
    for (int p = 0; p < PHASE_COUNT; p++) {
        for (int s = 0; s < SHAPE_COUNT; s++) {
            enum phase mirror = (enum phase)(PHASE_COUNT - 1 - p);
            enum shape shape = (enum shape)s;
            assert_int_equal(phase_writes((enum phase)p, shape),
                             phase_writes(mirror, shape_other(shape)));
            assert_int_equal(phase_needs((enum phase)p, shape),
                             phase_needs(mirror, shape_other(shape)));
        }
    }
    assert_false(phase_is_dual(PHASE_OLD));
    assert_true(phase_is_dual(PHASE_DUAL_OWN));
    assert_false(phase_is_dual(PHASE_NEW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_back),
        cmocka_unit_test(neighbours_agree),
        cmocka_unit_test(what_is_read_is_whole),
        cmocka_unit_test(the_line_is_symmetrical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
