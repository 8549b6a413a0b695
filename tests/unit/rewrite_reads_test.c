/* What is sent for reads that need more than their columns spelled: grouping, merged joins. */
#include "rewrite_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define R(table) "((array_to_string(\"" table "\".\"roles\", ','))::text)"

static void check_sent(enum phase phase, enum shape shape, const char *text, const char *expected)
{
    struct rewrite_world world = world_make(phase, STAGE_EXPANDED, shape);
    struct rewrite *rewrite = rewrite_text(&world.context, slice_of(text));
    world_free(&world);
    if (rewrite->error)
        fail_msg("%s: %s", text, rewrite->error->message);
    assert_string_equal(rewrite->outcome == REWRITE_CHANGED ? rewrite->text.data : text, expected);
    rewrite_put(rewrite);
}

#define DERIVED                                                                                    \
    "(SELECT \"users\".\"id\", " R("users") " AS \"role\", \"users\".\"name\" FROM users)"

static void a_key_of_a_derived_table_still_implies_what_is_used_of_it(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_NEW, SHAPE_OLD, "SELECT b FROM users u(a, b, c) GROUP BY a",
               "SELECT b FROM " DERIVED " u(a, b, c) GROUP BY a, \"u\".\"b\"");
    check_sent(PHASE_DUAL_NEW, SHAPE_OLD, "SELECT a AS x, b, c FROM users u(a, b, c) GROUP BY 1",
               "SELECT a AS x, b, c FROM " DERIVED
               " u(a, b, c) GROUP BY 1, \"u\".\"b\", \"u\".\"c\"");
    check_sent(PHASE_DUAL_NEW, SHAPE_OLD, "SELECT max(a) FROM users u(a, b, c) GROUP BY a",
               "SELECT max(a) FROM " DERIVED " u(a, b, c) GROUP BY a");
}

static void what_no_key_implies_is_not_grouped(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_NEW, SHAPE_OLD, "SELECT b FROM users u(a, b, c) GROUP BY c",
               "SELECT b FROM " DERIVED " u(a, b, c) GROUP BY c");
    check_sent(PHASE_DUAL_NEW, SHAPE_OLD, "SELECT b, c FROM users u(a, b, c) GROUP BY 2",
               "SELECT b, c FROM " DERIVED " u(a, b, c) GROUP BY 2");
    check_sent(PHASE_DUAL_NEW, SHAPE_OLD, "SELECT c FROM users u(a, b, c) GROUP BY a, ROLLUP (c)",
               "SELECT c FROM " DERIVED " u(a, b, c) GROUP BY a, ROLLUP (c)");
}

static void a_grouped_column_in_a_sub_select_is_one_of_a_derived_table(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_NEW, SHAPE_OLD, "SELECT (SELECT u.role) FROM users u GROUP BY role",
               "SELECT (SELECT u.role) FROM " DERIVED " u GROUP BY role");
    check_sent(PHASE_DUAL_NEW, SHAPE_OLD, "SELECT (SELECT role) AS r FROM users GROUP BY id",
               "SELECT (SELECT " R("users") " AS \"role\") AS r FROM users GROUP BY id");
}

static void a_row_is_cast_to_its_own_type_by_nobody(void **state)
{
    (void)state;
    check_sent(
        PHASE_DUAL_OWN, SHAPE_OLD, "SELECT u::users, CAST(u AS public.users) FROM users u",
        "SELECT (SELECT segue_r FROM (SELECT \"u\".\"id\", \"u\".\"role\", \"u\".\"name\") AS "
        "segue_r) AS \"u\", ((SELECT segue_r FROM (SELECT \"u\".\"id\", \"u\".\"role\", "
        "\"u\".\"name\") AS segue_r) ) AS \"u\" FROM users u");
}

static void a_full_joins_column_is_spelled_out(void **state)
{
    (void)state;
    check_sent(
        PHASE_DUAL_OWN, SHAPE_OLD, "SELECT * FROM other a FULL JOIN other b USING (id), users u",
        "SELECT COALESCE(\"a\".\"id\", \"b\".\"id\") AS \"id\", \"a\".\"roles\", "
        "\"b\".\"roles\", \"u\".\"id\", \"u\".\"role\", \"u\".\"name\" FROM other a FULL JOIN "
        "other b USING (id), users u");
}

/* A partition of `users` that lost nothing when CONTRACT took `role`, as the catalog tells it. */
static struct rewrite *ask_of_partition(const struct catalog_column *columns, const char *text)
{
    struct rewrite_world world = world_make(PHASE_NEW, STAGE_CONTRACTED, SHAPE_OLD);
    const struct catalog_column users[] = {{.name = "id", .type = "integer", .attnum = 1},
                                           {.name = "name", .type = "text", .attnum = 3},
                                           {.name = "roles", .type = "text[]", .attnum = 4}};
    const struct catalog_dropped role = {USERS_OID, 2, 0};
    const uint32_t ancestor = USERS_OID;
    struct catalog_builder *builder = catalog_begin();
    catalog_add_table(builder, USERS_OID, "public", "users", 'p');
    for (size_t i = 0; i < 3; i++)
        catalog_add_column(builder, &users[i]);
    catalog_add_table(builder, 16410, "public", "part", 'r');
    catalog_add_ancestors(builder, &ancestor, 1);
    catalog_add_dropped(builder, &role, 1);
    for (size_t i = 0; i < 4 && columns[i].name; i++)
        catalog_add_column(builder, &columns[i]);
    struct catalog *catalog = catalog_finish(builder);
    world.snapshot->transitions[0].transition->columns[SHAPE_OLD][0].attnum = 2;
    struct snapshot *snapshot = snapshot_new(2, catalog, world.snapshot->transitions, 1);
    catalog_put(catalog);
    world.context.snapshot = snapshot;
    struct rewrite *rewrite = rewrite_text(&world.context, slice_of(text));
    snapshot_put(snapshot);
    world_free(&world);
    return rewrite;
}

static void check_place_is_lost(const struct catalog_column *columns)
{
    struct rewrite *rewrite = ask_of_partition(columns, "TABLE part");
    assert_int_equal(rewrite->outcome, REWRITE_REFUSED);
    assert_non_null(strstr(rewrite->error->message, "column order is lost"));
    rewrite_put(rewrite);
}

static void a_partition_never_had_what_certainly_went_before_it_was_made(void **state)
{
    (void)state;
    const struct catalog_column made_since[4] = {{.name = "id", .type = "integer", .attnum = 1},
                                                 {.name = "name", .type = "text", .attnum = 2},
                                                 {.name = "roles", .type = "text[]", .attnum = 3}};
    struct rewrite *rewrite = ask_of_partition(made_since, "SELECT * FROM part");
    assert_int_equal(rewrite->outcome, REWRITE_CHANGED);
    assert_string_equal(rewrite->text.data,
                        "SELECT \"part\".\"id\", " R("part") " AS \"role\", \"part\".\"name\" "
                                                             "FROM part");
    rewrite_put(rewrite);
    /* what the gaps were is not told: it may have lost the column in another transaction */
    const struct catalog_column with_gaps[4] = {{.name = "name", .type = "text", .attnum = 2},
                                                {.name = "id", .type = "integer", .attnum = 4},
                                                {.name = "roles", .type = "text[]", .attnum = 5}};
    check_place_is_lost(with_gaps);
    const struct catalog_column with_its_own[4] = {
        {.name = "name", .type = "text", .attnum = 1},
        {.name = "id", .type = "integer", .attnum = 2},
        {.name = "role", .type = "text", .attnum = 3},
        {.name = "roles", .type = "text[]", .attnum = 4}};
    rewrite = ask_of_partition(with_its_own, "SELECT * FROM part");
    assert_int_equal(rewrite->outcome, REWRITE_CHANGED);
    assert_string_equal(rewrite->text.data,
                        "SELECT \"part\".\"name\", \"part\".\"id\", " R("part") " AS \"role\" "
                                                                                "FROM part");
    rewrite_put(rewrite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_of_a_derived_table_still_implies_what_is_used_of_it),
        cmocka_unit_test(what_no_key_implies_is_not_grouped),
        cmocka_unit_test(a_row_is_cast_to_its_own_type_by_nobody),
        cmocka_unit_test(a_full_joins_column_is_spelled_out),
        cmocka_unit_test(a_partition_never_had_what_certainly_went_before_it_was_made),
        cmocka_unit_test(a_grouped_column_in_a_sub_select_is_one_of_a_derived_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
