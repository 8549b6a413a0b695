/* Facts about catalog: what is put in is found again, exactly. */
#include "segue/catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct catalog *make(const char *default_expression)
{
    struct catalog_builder *builder = catalog_begin();
    catalog_add_table(builder, 300, "public", "users", 'r');
    catalog_add_column(
        builder, &(struct catalog_column){
                     .name = "id", .type = "integer", .type_oid = 23, .typmod = -1, .attnum = 1});
    catalog_add_column(builder, &(struct catalog_column){.name = "role",
                                                         .type = "text",
                                                         .type_oid = 25,
                                                         .typmod = -1,
                                                         .attnum = 3,
                                                         .default_expression = default_expression});
    catalog_add_table(builder, 100, "audit", "users", 'v');
    catalog_add_table(builder, 200, "public", "Users", 'p');
    return catalog_finish(builder);
}

static void finds_tables_by_exact_name_and_by_oid(void **state)
{
    (void)state;
    struct catalog *catalog = make(NULL);
    assert_int_equal(catalog_count(catalog), 3);
    assert_int_equal(catalog_find(catalog, "public", "users")->oid, 300);
    assert_int_equal(catalog_find(catalog, "audit", "users")->oid, 100);
    assert_int_equal(catalog_find(catalog, "public", "Users")->kind, 'p');
    assert_null(catalog_find(catalog, "public", "USERS"));
    assert_null(catalog_find(catalog, "audit", "Users"));
    assert_string_equal(catalog_find_oid(catalog, 200)->name, "Users");
    assert_null(catalog_find_oid(catalog, 201));
    catalog_put(catalog);
}

static void columns_belong_to_their_table(void **state)
{
    (void)state;
    struct catalog *catalog = make("'user'::text");
    const struct catalog_table *users = catalog_find(catalog, "public", "users");
    assert_int_equal(users->column_count, 2);
    assert_int_equal(catalog_column_find(users, "role")->attnum, 3);
    assert_string_equal(catalog_column_find(users, "role")->default_expression, "'user'::text");
    assert_null(catalog_column_find(users, "roles"));
    assert_int_equal(catalog_find(catalog, "audit", "users")->column_count, 0);
    catalog_put(catalog);
}

static void the_fingerprint_tells_catalogs_apart(void **state)
{
    (void)state;
    struct catalog *one = make(NULL), *same = make(NULL), *other = make("''::text");
    assert_true(catalog_fingerprint(one) == catalog_fingerprint(same));
    assert_true(catalog_fingerprint(one) != catalog_fingerprint(other));
    catalog_put(one);
    catalog_put(same);
    catalog_put(other);
}

static void children_descend_from_all_who_came_before(void **state)
{
    (void)state;
    struct catalog_builder *builder = catalog_begin();
    catalog_add_table(builder, 1, "public", "root", 'p');
    catalog_add_key(builder, (const int16_t[]){2, 1}, 2);
    catalog_add_unique_indexes(builder, "root_code\nroot_pkey");
    catalog_add_table(builder, 3, "public", "leaf", 'r');
    catalog_add_ancestors(builder, (const uint32_t[]){1, 2, 7}, 3);
    struct catalog *catalog = catalog_finish(builder);
    const struct catalog_table *root = catalog_find_oid(catalog, 1);
    const struct catalog_table *leaf = catalog_find_oid(catalog, 3);
    assert_true(catalog_descends(leaf, 1));
    assert_true(catalog_descends(leaf, 7)); /* of which the catalog knows nothing else */
    assert_true(catalog_descends(leaf, 3)); /* of itself */
    assert_false(catalog_descends(root, 3));
    assert_int_equal(root->key_count, 2);
    assert_int_equal(root->key[0], 2);
    assert_int_equal(root->unique_index_count, 2);
    assert_true(catalog_has_unique_index(root, "root_pkey"));
    assert_false(catalog_has_unique_index(root, "root"));
    assert_int_equal(leaf->unique_index_count, 0);
    catalog_put(catalog);
}

static void an_empty_catalog_finds_nothing(void **state)
{
    (void)state;
    struct catalog *catalog = catalog_finish(catalog_begin());
    assert_int_equal(catalog_count(catalog), 0);
    assert_null(catalog_find(catalog, "public", "users"));
    assert_null(catalog_find_oid(catalog, 1));
    catalog_put(catalog);
}

static void a_partition_descends_from_all_that_are_above_it(void **state)
{
    (void)state;
    struct catalog_builder *builder = catalog_begin();
    catalog_add_table(builder, 1, "public", "whole", 'p');
    catalog_add_table(builder, 2, "public", "part", 'r');
    catalog_add_ancestors(builder, (const uint32_t[]){1, 9}, 2);
    struct catalog *catalog = catalog_finish(builder);
    const struct catalog_table *part = catalog_find(catalog, "public", "part");
    assert_true(catalog_descends(part, 1));
    assert_true(catalog_descends(part, 2));
    assert_true(catalog_descends(part, 9));
    assert_false(catalog_descends(part, 3));
    assert_false(catalog_descends(catalog_find(catalog, "public", "whole"), 2));
    assert_ptr_equal(catalog_at(catalog, 0), part);
    catalog_put(catalog);
}

/* As the loader does. */
static void add_loaded(struct catalog_builder *builder, uint32_t oid, const char *name,
                       int column_count)
{
    static const char *const columns[] = {"id", "role", "roles"};
    catalog_add_table(builder, oid, "public", name, 'p');
    catalog_add_ancestors(builder, (const uint32_t[]){9, 11}, 2);
    catalog_add_dropped(builder, (const struct catalog_dropped[]){{9, 4, 0}}, 1);
    catalog_add_key(builder, (const int16_t[]){1}, 1);
    catalog_add_last_attnum(builder, 7);
    catalog_add_unique_indexes(builder, "a\nb");
    for (int i = 0; i < column_count; i++) {
        struct catalog_column column = {.name = columns[i],
                                        .type = "text",
                                        .type_oid = 25,
                                        .typmod = -1,
                                        .attnum = (int16_t)(i + 1),
                                        .default_expression = i ? "''::text" : NULL,
                                        .not_null = true,
                                        .identity = 'a'};
        catalog_add_column(builder, &column);
    }
}

static struct catalog *loaded(size_t count, const uint32_t *oids, const int *column_counts)
{
    struct catalog_builder *builder = catalog_begin();
    catalog_set_server(builder, 1234);
    for (size_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", oids[i]);
        add_loaded(builder, oids[i], name, column_counts[i]);
    }
    return catalog_finish(builder);
}

static void what_was_read_of_a_tree_takes_its_place(void **state)
{
    (void)state;
    enum { NOBODY = 1 };
    struct catalog *before =
        loaded(4, (const uint32_t[]){10, 20, 30, UINT32_MAX}, (const int[]){3, 3, 3, 3});
    struct catalog *now = loaded(6, (const uint32_t[]){5, 10, 20, 25, 30, UINT32_MAX},
                                 (const int[]){1, 3, 2, 1, 3, 2});
    struct catalog *tree =
        loaded(4, (const uint32_t[]){5, 20, 25, UINT32_MAX}, (const int[]){1, 2, 1, 2});
    struct catalog *with = catalog_with_tree(before, tree, NOBODY);
    assert_true(catalog_fingerprint(with) == catalog_fingerprint(now));
    assert_int_equal(catalog_server(with), 1234);
    assert_int_equal(catalog_find_oid(with, 20)->column_count, 2);
    catalog_put(tree);
    catalog_put(with);

    tree = catalog_finish(catalog_begin());
    with = catalog_with_tree(before, tree, NOBODY);
    assert_true(catalog_fingerprint(with) == catalog_fingerprint(before));
    catalog_put(tree);
    catalog_put(with);
    catalog_put(before);
    catalog_put(now);
}

static void what_has_left_a_tree_or_lost_its_name_to_it_is_gone(void **state)
{
    (void)state;
    enum { ROOT = 9 }; /* of which add_loaded makes descendants */
    struct catalog_builder *builder = catalog_begin();
    add_loaded(builder, ROOT, "root", 2);
    add_loaded(builder, 20, "child", 2);
    add_loaded(builder, 30, "leaves", 2);
    catalog_add_table(builder, 40, "public", "beside", 'r');
    catalog_add_table(builder, 50, "public", "loses", 'r');
    struct catalog *before = catalog_finish(builder);
    builder = catalog_begin();
    add_loaded(builder, ROOT, "root", 1);
    add_loaded(builder, 20, "child", 1);
    add_loaded(builder, 60, "loses", 1);
    struct catalog *tree = catalog_finish(builder);
    struct catalog *with = catalog_with_tree(before, tree, ROOT);
    assert_int_equal(catalog_count(with), 4);
    assert_null(catalog_find_oid(with, 30));
    assert_null(catalog_find_oid(with, 50));
    assert_int_equal(catalog_find(with, "public", "loses")->oid, 60);
    assert_int_equal(catalog_find(with, "public", "child")->column_count, 1);
    assert_int_equal(catalog_find(with, "public", "beside")->oid, 40);
    catalog_put(before);
    catalog_put(tree);
    catalog_put(with);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_of_a_tree_takes_its_place),
        cmocka_unit_test(what_has_left_a_tree_or_lost_its_name_to_it_is_gone),
        cmocka_unit_test(a_partition_descends_from_all_that_are_above_it),
        cmocka_unit_test(finds_tables_by_exact_name_and_by_oid),
        cmocka_unit_test(columns_belong_to_their_table),
        cmocka_unit_test(the_fingerprint_tells_catalogs_apart),
        cmocka_unit_test(children_descend_from_all_who_came_before),
        cmocka_unit_test(an_empty_catalog_finds_nothing),
    };
    return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
