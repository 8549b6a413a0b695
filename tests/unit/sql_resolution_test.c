/* Which table a name means in a session. */
#include "segue/sql/resolution.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct catalog *catalog;
static struct resolution_set *set;

static int set_up(void **state)
{
    (void)state;
    struct catalog_builder *builder = catalog_begin();
    catalog_add_table(builder, 1, "public", "users", 'r');
    catalog_add_table(builder, 2, "other", "users", 'r');
    catalog_add_table(builder, 3, "public", "only_here", 'r');
    catalog = catalog_finish(builder);
    set = resolution_set_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    resolution_set_free(set);
    catalog_put(catalog);
    return 0;
}

static uint32_t oid_of(const struct resolution *resolution, const char *schema, const char *name)
{
    const struct catalog_table *table = resolution_table(resolution, catalog, schema, name, NULL);
    return table ? table->oid : 0;
}

static void the_first_schema_on_the_path_wins(void **state)
{
    (void)state;
    const char *const path[] = {"pg_catalog", "other", "public"};
    struct resolution *resolution = resolution_intern(set, path, 3, NULL, 0);
    assert_int_equal(oid_of(resolution, NULL, "users"), 2);
    assert_int_equal(oid_of(resolution, NULL, "only_here"), 3);
    assert_int_equal(oid_of(resolution, "public", "users"), 1);
    assert_int_equal(oid_of(resolution, NULL, "nowhere"), 0);
    resolution_put(set, resolution);
}

static void a_temporary_table_hides_the_permanent_one(void **state)
{
    (void)state;
    const char *const path[] = {"pg_temp_3", "pg_catalog", "public"};
    const char *const temporaries[] = {"zebra", "users"};
    struct resolution *resolution = resolution_intern(set, path, 3, temporaries, 2);
    bool is_temporary = false;
    assert_null(resolution_table(resolution, catalog, NULL, "users", &is_temporary));
    assert_true(is_temporary);
    assert_int_equal(oid_of(resolution, "public", "users"), 1);
    assert_null(resolution_table(resolution, catalog, "pg_temp", "users", &is_temporary));
    assert_true(is_temporary);
    resolution_put(set, resolution);
}

static void a_path_may_put_the_temporary_schema_last(void **state)
{
    (void)state;
    const char *const path[] = {"public", "pg_temp_3"};
    const char *const temporaries[] = {"users", "mine"};
    struct resolution *resolution = resolution_intern(set, path, 2, temporaries, 2);
    bool is_temporary = true;
    assert_int_equal(resolution_table(resolution, catalog, NULL, "users", &is_temporary)->oid, 1);
    assert_false(is_temporary);
    assert_null(resolution_table(resolution, catalog, NULL, "mine", &is_temporary));
    assert_true(is_temporary);
    resolution_put(set, resolution);
}

static void equal_resolutions_are_one_object(void **state)
{
    (void)state;
    const char *const path[] = {"public"};
    const char *const forwards[] = {"a", "b"};
    const char *const backwards[] = {"b", "a"};
    struct resolution *first = resolution_intern(set, path, 1, forwards, 2);
    struct resolution *second = resolution_intern(set, path, 1, backwards, 2);
    assert_ptr_equal(first, second);
    uint64_t id = first->id;
    resolution_put(set, first);
    resolution_put(set, second);
    struct resolution *third = resolution_intern(set, path, 1, forwards, 2);
    assert_true(third->id == id); /* the cache still holds answers under it */
    resolution_put(set, third);
}

static void what_nobody_holds_is_forgotten_in_the_end(void **state)
{
    (void)state;
    const char *const path[] = {"public"};
    const char *const first_name[] = {"first"};
    struct resolution *first = resolution_intern(set, path, 1, first_name, 1);
    uint64_t id = first->id;
    resolution_put(set, first);
    for (int i = 0; i < 1000; i++) {
        char name[20];
        snprintf(name, sizeof name, "t%d", i);
        const char *const names[] = {name};
        resolution_put(set, resolution_intern(set, path, 1, names, 1));
    }
    struct resolution *again = resolution_intern(set, path, 1, first_name, 1);
    assert_true(again->id > id);
    resolution_put(set, again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_schema_on_the_path_wins),
        cmocka_unit_test(a_temporary_table_hides_the_permanent_one),
        cmocka_unit_test(a_path_may_put_the_temporary_schema_last),
        cmocka_unit_test(equal_resolutions_are_one_object),
        cmocka_unit_test(what_nobody_holds_is_forgotten_in_the_end),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
