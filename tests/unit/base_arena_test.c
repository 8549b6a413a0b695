/* Facts about base/arena and base/error. */
#include "segue/base/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void memory_is_cleared_and_aligned_at_every_size(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    for (size_t size = 1; size < 40000; size = size * 3 + 1) {
        unsigned char *memory = arena_get(&arena, size);
        assert_int_equal((uintptr_t)memory % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xff, size);
    }
    arena_release(&arena);
}

static void memory_is_cleared_again_after_a_reset(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    memset(arena_get(&arena, 100), 0xff, 100);
    arena_reset(&arena);
    assert_int_equal(arena.total, 0);
    unsigned char *again = arena_get(&arena, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(again[i], 0);
    arena_release(&arena);
}

static void strings_are_copies(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    char original[] = "users";
    char *copy = arena_string(&arena, original);
    original[0] = 'X';
    assert_string_equal(copy, "users");
    assert_null(arena_string(&arena, NULL));
    assert_string_equal(arena_string_range(&arena, "abcdef", 3), "abc");
    assert_string_equal(arena_format(&arena, "%s-%d", "a", 7), "a-7");
    arena_release(&arena);
}

static void an_error_is_set_whole_and_gives_false(void **state)
{
    (void)state;
    struct error error;
    error_set(&error, "42601", "first");
    error_detail(&error, "of the first");
    assert_false(error_set(&error, "0A000", "%d rows", 3));
    assert_string_equal(error.sqlstate, "0A000");
    assert_string_equal(error.message, "3 rows");
    assert_string_equal(error.detail, "");
    assert_false(error_set(NULL, "0A000", "nobody listens"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_cleared_and_aligned_at_every_size),
        cmocka_unit_test(memory_is_cleared_again_after_a_reset),
        cmocka_unit_test(strings_are_copies),
        cmocka_unit_test(an_error_is_set_whole_and_gives_false),
    };
    return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
