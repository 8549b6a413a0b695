/* The demo's own copy of the tables must itself be right, or its verdicts are worth nothing. */
#include "../../proxy/cli/demo/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ADMIN, DEV, OPS, NIGHT, AUDIT, OPS_NIGHT };

static void expect_roles(const struct demo_roles *roles, const char *old, const char *new)
{
    char value[DEMO_VALUE_SIZE];
    assert_true(demo_roles_format(roles, SHAPE_OLD, value));
    assert_string_equal(value, old);
    assert_true(demo_roles_format(roles, SHAPE_NEW, value));
    assert_string_equal(value, new);
}

static void roles_look_as_postgresql_prints_them(void **state)
{
    (void)state;
    expect_roles(&(struct demo_roles){.count = 0}, "", "{}");
    expect_roles(&(struct demo_roles){.count = 1, .words = {DEV}}, "dev", "{dev}");
    expect_roles(&(struct demo_roles){.count = 2, .words = {OPS_NIGHT, ADMIN}}, "ops,night,admin",
                 "{\"ops,night\",admin}");
    char value[DEMO_VALUE_SIZE];
    assert_false(demo_roles_format(&(struct demo_roles){.count = -1}, SHAPE_NEW, value));
}

static void an_old_client_that_saves_what_it_read_keeps_a_comma_within_a_role(void **state)
{
    (void)state;
    struct demo_roles roles = {.count = 1, .words = {OPS_NIGHT}};
    const struct demo_roles same_text = {.count = 2, .words = {OPS, NIGHT}};
    demo_roles_assign(&roles, &same_text, SHAPE_OLD);
    expect_roles(&roles, "ops,night", "{\"ops,night\"}");
    demo_roles_assign(&roles, &same_text, SHAPE_NEW);
    expect_roles(&roles, "ops,night", "{ops,night}");
}

static void an_old_client_that_writes_another_text_splits_it(void **state)
{
    (void)state;
    struct demo_roles roles = {.count = 1, .words = {OPS_NIGHT}};
    const struct demo_roles longer = {.count = 2, .words = {OPS_NIGHT, DEV}};
    demo_roles_assign(&roles, &longer, SHAPE_OLD);
    expect_roles(&roles, "ops,night,dev", "{ops,night,dev}");
}

static void null_is_not_the_empty_list(void **state)
{
    (void)state;
    const struct demo_roles null = {.count = -1}, empty = {.count = 0};
    assert_false(demo_roles_equal(&null, &empty, SHAPE_OLD));
    assert_false(demo_roles_equal(&null, &empty, SHAPE_NEW));
    assert_true(demo_roles_equal(&null, &null, SHAPE_OLD));
}

static void amounts_have_two_decimals_and_their_sign(void **state)
{
    (void)state;
    char value[DEMO_VALUE_SIZE];
    demo_cents_format(1234, value);
    assert_string_equal(value, "12.34");
    demo_cents_format(-5, value);
    assert_string_equal(value, "-0.05");
    demo_cents_format(0, value);
    assert_string_equal(value, "0.00");
}

static void a_block_is_given_to_one_at_a_time_and_never_when_spoilt(void **state)
{
    (void)state;
    struct demo_model model;
    demo_model_init(&model, 30);
    assert_int_equal(model.block_count, 3);
    size_t block;
    assert_true(demo_model_take(&model, 1, &block));
    assert_int_equal(block, 1);
    demo_model_spoil(&model, block);
    assert_true(demo_model_take(&model, 0, &block));
    assert_int_equal(block, 0);
    assert_true(demo_model_take(&model, 0, &block));
    assert_int_equal(block, 2);
    demo_model_give(&model, 0);
    assert_true(demo_model_take(&model, 1, &block));
    assert_int_equal(block, 0);
    demo_model_release(&model);
}

static void nothing_can_be_taken_when_all_is_spoilt(void **state)
{
    (void)state;
    struct demo_model model;
    demo_model_init(&model, 20);
    size_t block;
    for (int i = 0; i < 2; i++) {
        assert_true(demo_model_take(&model, 0, &block));
        demo_model_spoil(&model, block);
    }
    assert_false(demo_model_take(&model, 0, &block));
    demo_model_release(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_look_as_postgresql_prints_them),
        cmocka_unit_test(an_old_client_that_saves_what_it_read_keeps_a_comma_within_a_role),
        cmocka_unit_test(an_old_client_that_writes_another_text_splits_it),
        cmocka_unit_test(null_is_not_the_empty_list),
        cmocka_unit_test(amounts_have_two_decimals_and_their_sign),
        cmocka_unit_test(a_block_is_given_to_one_at_a_time_and_never_when_spoilt),
        cmocka_unit_test(nothing_can_be_taken_when_all_is_spoilt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
