/*
 * Facts about the cache: whatever a text is answered from (itself, its token shape, the parser),
 * the answer is the same.
 */
#include "rewrite_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct world {
    struct rewrite_world in;
    struct rewrite_context *context;
    struct rewrite_cache *cache;
};

static void make_world(struct world *world, enum phase phase, enum shape shape, size_t cache_bytes)
{
    world->in = world_make(phase, STAGE_EXPANDED, shape);
    world->context = &world->in.context;
    world->cache = rewrite_cache_new(cache_bytes);
}

static void free_world(struct world *world)
{
    rewrite_cache_free(world->cache);
    world_free(&world->in);
}

static void assert_same(const struct rewrite *found, const struct rewrite *expected)
{
    assert_int_equal(found->outcome, expected->outcome);
    assert_string_equal(found->text.data, expected->text.data);
    assert_int_equal(found->touched, expected->touched);
    assert_int_equal(found->statement_count, expected->statement_count);
    assert_int_equal(found->edit_count, expected->edit_count);
    for (size_t i = 0; i < found->edit_count; i++)
        assert_memory_equal(&found->edits[i], &expected->edits[i], sizeof found->edits[i]);
    assert_int_equal(found->result_count, expected->result_count);
    for (size_t i = 0; i < found->result_count; i++)
        assert_memory_equal(&found->results[i], &expected->results[i], sizeof found->results[i]);
    assert_int_equal(found->error != NULL, expected->error != NULL);
    if (found->error)
        assert_int_equal(found->error->position, expected->error->position);
}

static void check(struct world *world, const char *text)
{
    struct rewrite *expected = rewrite_text(world->context, slice_of(text));
    assert_same(rewrite_cache_find(world->cache, world->context, slice_of(text)), expected);
    rewrite_put(expected);
}

/* Families of one shape; the first of each is parsed. */
static const char *const families[][4] = {
    {"SELECT role FROM users WHERE id = 1", "SELECT role FROM users WHERE id = 123456",
     "SELECT role FROM users WHERE id = 0"},
    {"SELECT * FROM users WHERE role = 'a' LIMIT 5", "SELECT * FROM users WHERE role = '' LIMIT 50",
     "SELECT * FROM users WHERE role = 'it''s' LIMIT 123"},
    {"INSERT INTO users (id, role) VALUES (1, 'a'), (2, 'b')",
     "INSERT INTO users (id, role) VALUES (1001, 'some longer text'), (2, '')",
     "INSERT INTO users (id, role) VALUES (1, 'users'), (2, '1000000001')"},
    {"UPDATE users SET role = 'a' WHERE id = 7 RETURNING *",
     "UPDATE users SET role = 'admin,dev' WHERE id = 1234567 RETURNING *"},
    {"SELECT * FROM users WHERE name = E'a' AND role = 'b'",
     "SELECT * FROM users WHERE name = E'\\'x' AND role = '\\'"},
    {"/* trace=1 */ SELECT role FROM users", "/* trace=22222 */ SELECT role FROM users",
     "/* trace=3 */ SELECT role FROM users -- behind"},
    {"SELECT 1.5, role FROM users ORDER BY 2;", "SELECT 100.25, role FROM users ORDER BY 1;"},
    {"SELECT role::varchar(5) FROM users", "SELECT role::varchar(5000) FROM users"},
    {"SELECT roles, 1 FROM users", "SELECT roles, 1234 FROM users"},
    {"SELECT 'users', 1", "SELECT 'x', 22222"},
    {"SELECT name, $1, $$a$$ FROM users WHERE role = $2",
     "SELECT name, $1, $$it's$$ FROM users WHERE role = $2"},
    {"SELECT role FROM users WHERE name = U&'a' UESCAPE '!'",
     "SELECT role FROM users WHERE name = U&'bbbb' UESCAPE '?'"},
    {"INSERT INTO users VALUES (10000, '10000', '1000000000')",
     "INSERT INTO users VALUES (1, 'x10000', 'y')"},
    {"BEGIN; UPDATE users SET role = 'a' WHERE id = 1; COMMIT",
     "BEGIN; UPDATE users SET role = 'bcd' WHERE id = 12345; COMMIT"},
    {"SELECT /* one */ role FROM users -- a\nWHERE id = 1",
     "SELECT /* another */ role FROM users -- bcd\nWHERE id = 22"},
    {"EXECUTE p(1, 'users')", "EXECUTE p(10000, '')", "/* x */ EXECUTE p(7, 'y') -- z"},
    {"(SELECT role FROM users WHERE id = 1) UNION SELECT 'x'",
     "(SELECT role FROM users WHERE id = 12) UNION SELECT 'xyz'"},
    {"EXPLAIN SELECT role FROM users WHERE id = 1",
     "EXPLAIN SELECT role FROM users WHERE id = 100"},
    {"SELECT role FROM users ORDER BY 1, id LIMIT 5",
     "SELECT role FROM users ORDER BY 1, id LIMIT 50"},
    {"INSERT INTO transactions (id, amount) SELECT 7, '8' ORDER BY rank() OVER (ORDER BY 5), 1",
     "INSERT INTO transactions (id, amount) SELECT 7, '8' ORDER BY rank() OVER (ORDER BY 5), 2"},
    {"INSERT INTO transactions (id, amount) SELECT 7, '8' ORDER BY (SELECT 5), 1",
     "INSERT INTO transactions (id, amount) SELECT 7, '8' ORDER BY (SELECT 6), 2"},
    {"SELECT role::numeric(5,2) FROM users WHERE id = 1",
     "SELECT role::numeric(5,2) FROM users WHERE id = 234"},
    {"SELECT 'é', nope.role FROM users WHERE id = 1",
     "SELECT 'ééé', nope.role FROM users WHERE id = 1"},
    {"SELECT role FROM users WHERE id = 1", "SELECT role FROM users WHERE id = 99999999999"},
    {"SET search_path = 'users'", "SET search_path = 'other'"},
    {"DO 'BEGIN PERFORM 1; END'", "DO 'BEGIN UPDATE users SET role = 1; END'"},
};

static void every_way_to_an_answer_gives_the_same(void **state)
{
    (void)state;
    for (int phase = PHASE_OLD; phase < PHASE_COUNT; phase++) {
        for (int shape = 0; shape < SHAPE_COUNT; shape++) {
            struct world world;
            make_world(&world, (enum phase)phase, (enum shape)shape, 1 << 20);
            for (int again = 0; again < 3; again++)
                for (size_t f = 0; f < sizeof families / sizeof *families; f++)
                    for (size_t i = 0; i < 4 && families[f][i]; i++)
                        check(&world, families[f][i]);
            free_world(&world);
        }
    }
}

static void a_text_that_differs_in_constants_only_is_not_parsed(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, PHASE_DUAL_OLD, SHAPE_OLD, 1 << 20);
    struct rewrite_cache_counters counters;
    for (int i = 0; i < 100; i++) {
        char text[200];
        snprintf(text, sizeof text, "UPDATE users SET role = 'role %d' WHERE id = %d", i, i * 77);
        check(&world, text);
    }
    rewrite_cache_counters(world.cache, &counters);
    assert_int_equal(counters.misses, 1);
    assert_int_equal(counters.shape_hits, 99);
    assert_int_equal(counters.hits, 0);
    check(&world, "UPDATE users SET role = 'role 5' WHERE id = 385"); /* the second time */
    check(&world, "UPDATE users SET role = 'role 5' WHERE id = 385");
    rewrite_cache_counters(world.cache, &counters);
    assert_int_equal(counters.hits, 1);
    free_world(&world);
}

/* Each of these is of the shape of the one before it. */
static void a_known_shape_is_not_parsed_whatever_comes_of_it(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"BEGIN; UPDATE users SET role = 'a' WHERE id = 1; COMMIT",
         "BEGIN; UPDATE users SET role = 'bcd' WHERE id = 12345; COMMIT"},
        {"SELECT /* one */ role FROM users WHERE id = -1",
         "SELECT /* another */ role FROM users WHERE id = -22"},
        {"EXECUTE p(1, 'users')", "EXECUTE p(10000, '')"},
        {"/* abc */ CREATE VIEW v AS SELECT role FROM users",
         "/* x */ CREATE VIEW v AS SELECT role FROM users"},
        {"SELECT role FROM users WHERE id = 1 LIMIT 5",
         "SELECT role FROM users WHERE id = 7 LIMIT 50"},
        {"SELECT role FROM users WHERE name = U&'a' UESCAPE '!'",
         "SELECT role FROM users WHERE name = U&'bbbb' UESCAPE '!'"},
        {"SELECT id FROM users WHERE id::text IN ('1') AND id IN (1, 2)",
         "SELECT id FROM users WHERE id::text IN ('33') AND id IN (44, 555)"},
        {"SELECT DATE '2020-01-01' + INTERVAL '1' DAY, role FROM users",
         "SELECT DATE '1999-01-01' + INTERVAL '10' DAY, role FROM users"},
    };
    struct world world;
    make_world(&world, PHASE_DUAL_OLD, SHAPE_OLD, 1 << 20);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct rewrite_cache_counters before, after;
        check(&world, pairs[i][0]);
        rewrite_cache_counters(world.cache, &before);
        check(&world, pairs[i][1]);
        rewrite_cache_counters(world.cache, &after);
        if (after.misses != before.misses || after.shape_hits != before.shape_hits + 1)
            fail_msg("parsed: %s", pairs[i][1]);
    }
    world.context->resolution = NULL; /* not known yet: that too is remembered */
    for (int i = 0; i < 2; i++)
        check(&world,
              i ? "SELECT role FROM users WHERE id = 8" : "SELECT role FROM users WHERE id = 9");
    struct rewrite_cache_counters counters;
    rewrite_cache_counters(world.cache, &counters);
    assert_int_equal(counters.shape_hits, sizeof pairs / sizeof *pairs + 1);
    free_world(&world);
}

static void comments_at_the_edges_do_not_spoil_it(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, PHASE_DUAL_NEW, SHAPE_OLD, 1 << 20);
    struct rewrite_cache_counters counters;
    for (int i = 0; i < 50; i++) {
        char text[200];
        snprintf(text, sizeof text, "SELECT role FROM users /* traceparent='%d' */", i);
        check(&world, text);
    }
    rewrite_cache_counters(world.cache, &counters);
    assert_int_equal(counters.misses, 1);
    free_world(&world);
}

static void memory_stays_bounded(void **state)
{
    (void)state;
    enum { BYTES = 64 * 1024 };
    struct world world;
    make_world(&world, PHASE_DUAL_OLD, SHAPE_OLD, BYTES);
    struct rewrite_cache_counters counters;
    for (int i = 0; i < 2000; i++) {
        char text[200];
        snprintf(text, sizeof text, "SELECT role AS r%d FROM users WHERE id = %d", i, i);
        check(&world, text);
        rewrite_cache_counters(world.cache, &counters);
        assert_true(counters.bytes <= BYTES);
    }
    assert_true(counters.evictions > 1000);
    assert_true(counters.entries > 10);
    free_world(&world);
}

static void a_giant_drives_nothing_out(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, PHASE_DUAL_OLD, SHAPE_OLD, 64 * 1024);
    struct text giant;
    text_init(&giant, TEXT_UNBOUNDED);
    text_add_string(&giant, "INSERT INTO users (id, role) VALUES (0, 'x')");
    for (int i = 1; i < 2000; i++)
        text_add_format(&giant, ", (%d, 'role %d')", i, i);
    check(&world, "SELECT role FROM users");
    check(&world, giant.data);
    check(&world, giant.data);
    check(&world, "SELECT role FROM users");
    struct rewrite_cache_counters counters;
    rewrite_cache_counters(world.cache, &counters);
    assert_int_equal(counters.evictions, 0);
    assert_int_equal(counters.hits, 1);
    text_release(&giant);
    free_world(&world);
}

static void contexts_are_kept_apart(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, PHASE_DUAL_OLD, SHAPE_OLD, 1 << 20);
    for (int i = 0; i < 4; i++) {
        world.context->new_shapes = i & 1 ? UINT64_MAX : 0;
        world.context->standard_conforming_strings = i < 2;
        check(&world, "SELECT role FROM users WHERE name = 'a\\' AND id = 1 OR name = 'b'");
        check(&world, "SELECT roles FROM users WHERE id = 1");
    }
    free_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_an_answer_gives_the_same),
        cmocka_unit_test(a_text_that_differs_in_constants_only_is_not_parsed),
        cmocka_unit_test(a_known_shape_is_not_parsed_whatever_comes_of_it),
        cmocka_unit_test(comments_at_the_edges_do_not_spoil_it),
        cmocka_unit_test(memory_stays_bounded),
        cmocka_unit_test(a_giant_drives_nothing_out),
        cmocka_unit_test(contexts_are_kept_apart),
    };
    return cmocka_run_group_tests_name("rewrite/cache", tests, NULL, NULL);
}
