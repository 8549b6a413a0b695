/* Facts about pairs: which side is there, and what clients call it. */
#include "segue/transition/transition.h"

#include "segue/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct transition *with_primary_key(void)
{
    struct transition *transition = NEW(struct transition);
    atomic_init(&transition->references, 1);
    transition->name = memory_string("t");
    transition->pairs = NEW_ARRAY(struct pair, 1);
    transition->pair_count = 1;
    transition->pairs[0] = (struct pair){
        .kind = PAIR_PRIMARY_KEY,
        .relation = 7,
        .side[SHAPE_OLD] = {.name = memory_string("t_pkey"), .logical = memory_string("t_pkey")},
        .side[SHAPE_NEW] = {.name = memory_string("segue_t_1"), .logical = memory_string("t_new")},
    };
    return transition;
}

static void the_side_that_leads_is_there(void **state)
{
    (void)state;
    for (int client = 0; client < SHAPE_COUNT; client++) {
        assert_int_equal(pair_side(PHASE_OLD, (enum shape)client), SHAPE_OLD);
        assert_int_equal(pair_side(PHASE_DUAL_OLD, (enum shape)client), SHAPE_OLD);
        assert_int_equal(pair_side(PHASE_DUAL_OWN, (enum shape)client), client);
        assert_int_equal(pair_side(PHASE_DUAL_NEW, (enum shape)client), SHAPE_NEW);
        assert_int_equal(pair_side(PHASE_NEW, (enum shape)client), SHAPE_NEW);
    }
}

static void neighbouring_phases_share_a_side_for_every_client(void **state)
{
    (void)state;
    /* dual_own has both, so whichever its neighbour names is there too */
    for (int phase = PHASE_OLD; phase < PHASE_NEW; phase++) {
        if (phase == PHASE_DUAL_OWN || phase + 1 == PHASE_DUAL_OWN)
            continue;
        for (int client = 0; client < SHAPE_COUNT; client++)
            assert_int_equal(pair_side((enum phase)phase, (enum shape)client),
                             pair_side((enum phase)(phase + 1), (enum shape)client));
    }
}

static void each_client_knows_either_index_by_the_name_of_its_own_shape(void **state)
{
    (void)state;
    struct transition *transition = with_primary_key();
    static const char *const names[] = {"t_pkey", "segue_t_1"};
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(pair_logical_name(transition, 7, names[i], SHAPE_OLD), "t_pkey");
        assert_string_equal(pair_logical_name(transition, 0, names[i], SHAPE_NEW), "t_new");
    }
    assert_null(pair_logical_name(transition, 8, "t_pkey", SHAPE_OLD));
    assert_null(pair_logical_name(transition, 7, "t_new", SHAPE_NEW));
    assert_ptr_equal(pair_find(transition, SHAPE_NEW, "t_new"), &transition->pairs[0]);
    assert_null(pair_find(transition, SHAPE_NEW, "t_pkey"));
    transition_put(transition);
}

static void kinds_have_names_that_are_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < PAIR_KIND_COUNT; i++) {
        enum pair_kind kind;
        assert_true(pair_kind_parse(pair_kind_name((enum pair_kind)i), &kind));
        assert_int_equal(kind, i);
    }
    enum pair_kind kind;
    assert_false(pair_kind_parse("exclusion", &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_side_that_leads_is_there),
        cmocka_unit_test(neighbouring_phases_share_a_side_for_every_client),
        cmocka_unit_test(each_client_knows_either_index_by_the_name_of_its_own_shape),
        cmocka_unit_test(kinds_have_names_that_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
