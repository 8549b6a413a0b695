/*
 * What every text goes through allocates nothing: the scan for words, and finding the same text
 * again. The linker puts these functions in the allocator's place (tests/CMakeLists.txt).
 */
#include "rewrite_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static size_t allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
    allocations++;
    return __real_realloc(pointer, size);
}

/* Of some bytes, with constants; a comment says which table. */
static void write_text(struct text *text, size_t size, const char *table)
{
    text_add_format(text, "INSERT INTO %s (id, role, name) VALUES (1, 'a', 'b')", table);
    while (text->length < size)
        text_add_format(text, ", (%zu, 'admin,dev', 'user %zu')", text->length, text->length);
}

static const size_t sizes[] = {0, 360, 2048, 72 * 1024};

static void the_scan_for_words_allocates_nothing(void **state)
{
    (void)state;
    struct rewrite_world world = world_make(PHASE_DUAL_OLD, STAGE_EXPANDED, SHAPE_OLD);
    struct name_scan *scan = name_scan_new(world.snapshot);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct text text;
        text_init(&text, TEXT_UNBOUNDED);
        write_text(&text, sizes[i], i % 2 ? "users" : "lusers");
        allocations = 0;
        uint32_t bits = name_scan_text(scan, (struct slice){text.data, text.length});
        assert_int_equal(allocations, 0);
        assert_int_equal(bits, i % 2 ? NAME_SCAN_TABLE : 0);
        text_release(&text);
    }
    name_scan_free(scan);
    world_free(&world);
}

static void the_same_text_again_allocates_nothing(void **state)
{
    (void)state;
    struct rewrite_world world = world_make(PHASE_DUAL_OLD, STAGE_EXPANDED, SHAPE_OLD);
    struct rewrite_cache *cache = rewrite_cache_new(64 << 20);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct text text;
        text_init(&text, TEXT_UNBOUNDED);
        write_text(&text, sizes[i], "users");
        struct slice slice = {text.data, text.length};
        allocations = 0;
        for (int times = 0; times < 2; times++) /* the second time it gets an entry of its own */
            rewrite_cache_find(cache, &world.context, slice);
        assert_true(allocations > 0);
        allocations = 0;
        struct rewrite *found = rewrite_cache_find(cache, &world.context, slice);
        assert_int_equal(allocations, 0);
        assert_int_equal(found->outcome, REWRITE_CHANGED);
        text_release(&text);
    }
    rewrite_cache_free(cache);
    world_free(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scan_for_words_allocates_nothing),
        cmocka_unit_test(the_same_text_again_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
