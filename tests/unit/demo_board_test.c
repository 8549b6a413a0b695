/* Facts about the score board of the demo: its latencies, steps and failures. */
#include "../../proxy/cli/demo/board.h"

#include "segue/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct demo_board board;
static struct demo_meter *meters[2];

static int set_up(void **state)
{
    (void)state;
    demo_board_init(&board);
    for (size_t i = 0; i < 2; i++)
        meters[i] = NEW(struct demo_meter);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        free(meters[i]);
    demo_board_release(&board);
    return 0;
}

static void expect_within_a_sixteenth(uint64_t expected, uint64_t found)
{
    assert_in_range(found, expected, expected + expected / 16 + 1);
}

static void nothing_measured_reads_as_nothing(void **state)
{
    (void)state;
    struct demo_reading reading = demo_board_read(meters, 2, 0);
    assert_int_equal(reading.statements, 0);
    assert_int_equal(reading.p99_us, 0);
}

static void quantiles_are_right_to_a_sixteenth_over_all_meters(void **state)
{
    (void)state;
    for (uint64_t us = 1; us <= 10000; us++)
        demo_board_count(&board, meters[us % 2], us * 1000);
    struct demo_reading reading = demo_board_read(meters, 2, 0);
    assert_int_equal(reading.statements, 10000);
    expect_within_a_sixteenth(5000, reading.p50_us);
    expect_within_a_sixteenth(9900, reading.p99_us);
    assert_int_equal(reading.slowest_us, 10000);
}

static void an_endless_statement_has_a_bucket_too(void **state)
{
    (void)state;
    demo_board_count(&board, meters[0], UINT64_MAX);
    struct demo_reading reading = demo_board_read(meters, 2, 0);
    assert_int_equal(reading.statements, 1);
    assert_true(reading.p99_us > 3600ULL * 1000000);
}

static void steps_are_counted_apart(void **state)
{
    (void)state;
    demo_board_count(&board, meters[0], 1000);
    demo_board_go(&board, 1, "second");
    demo_board_count(&board, meters[0], 1000);
    demo_board_count(&board, meters[0], 1000);
    assert_int_equal(demo_board_read(meters, 2, 0).statements, 1);
    assert_int_equal(demo_board_read(meters, 2, 1).statements, 2);
}

static void failures_are_all_counted_and_the_first_ones_told(void **state)
{
    (void)state;
    demo_board_go(&board, 2, "dual_own");
    for (int i = 0; i < 20; i++)
        demo_board_fail(&board, meters[1], "new app", "SELECT 1", "number %d\n", i);
    assert_int_equal(demo_board_read(meters, 2, 2).failed, 20);
    assert_int_equal(board.failure_count, 20);
    assert_string_equal(board.failures[0], "[dual_own] new app: SELECT 1\n    number 0");
    assert_non_null(strstr(board.failures[DEMO_FAILURES_KEPT - 1], "number 7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_measured_reads_as_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quantiles_are_right_to_a_sixteenth_over_all_meters, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_endless_statement_has_a_bucket_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(steps_are_counted_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_are_all_counted_and_the_first_ones_told, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
