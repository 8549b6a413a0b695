/* Facts about snapshots and the shapes of clients. */
#include "segue/transition/snapshot.h"

#include "segue/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct transition *named(const char *name)
{
    struct transition *transition = NEW(struct transition);
    atomic_init(&transition->references, 1);
    transition->name = memory_string(name);
    transition->schema = memory_string("public");
    transition->table = memory_string(name);
    return transition;
}

static struct snapshot *with_two(void)
{
    struct catalog *catalog = catalog_finish(catalog_begin());
    struct snapshot_transition both[] = {
        {.transition = named("users_role"), .phase = PHASE_OLD},
        {.transition = named("amount"), .phase = PHASE_DUAL_OWN},
    };
    struct snapshot *snapshot = snapshot_new(7, catalog, both, 2);
    transition_put(both[0].transition);
    transition_put(both[1].transition);
    catalog_put(catalog);
    return snapshot;
}

static void descendants_are_named_too(void **state)
{
    (void)state;
    struct catalog_builder *builder = catalog_begin();
    catalog_add_table(builder, 10, "public", "amount", 'p');
    catalog_add_table(builder, 11, "y2020", "Amounts", 'p');
    catalog_add_ancestors(builder, (const uint32_t[]){10}, 1);
    catalog_add_table(builder, 12, "y2020", "odd \" name", 'r');
    catalog_add_ancestors(builder, (const uint32_t[]){9, 10, 11}, 3);
    catalog_add_table(builder, 13, "public", "other", 'r');
    struct catalog *catalog = catalog_finish(builder);
    struct snapshot_transition one = {.transition = named("amount"), .phase = PHASE_OLD};
    struct snapshot *snapshot = snapshot_new(7, catalog, &one, 1);
    assert_int_equal(snapshot->name_count, 3);
    assert_int_equal(snapshot->odd_name_count, 1);
    assert_false(snapshot->needs_utf8);
    assert_string_equal(snapshot->names[0], "amount");
    assert_string_equal(snapshot->names[1], "amounts");
    assert_string_equal(snapshot->names[2], "odd \" name");
    transition_put(one.transition);
    snapshot_put(snapshot);
    catalog_put(catalog);
}

static uint64_t mask_of(const char *shapes)
{
    struct snapshot *snapshot = with_two();
    struct shape_list list;
    assert_true(shape_list_parse(&list, shapes, NULL));
    uint64_t mask = shape_list_mask(&list, snapshot);
    shape_list_release(&list);
    snapshot_put(snapshot);
    return mask;
}

static void a_shape_may_be_one_for_all_or_a_list(void **state)
{
    (void)state;
    assert_int_equal(mask_of("old"), 0);
    assert_int_equal(mask_of("new"), 3);
    assert_int_equal(mask_of("users_role=new,amount=old"), 1);
    assert_int_equal(mask_of("amount=new"), 2);
    assert_int_equal(mask_of("new, users_role=old"), 2);
    assert_int_equal(mask_of("unknown=new"), 0);
}

static void a_bad_shape_is_refused_naming_it(void **state)
{
    (void)state;
    const char *bad[] = {"", "older", "=new", "users_role=", "old,,new", "users_role=new,amount"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct shape_list list;
        struct error error;
        assert_false(shape_list_parse(&list, bad[i], &error));
        assert_string_equal(error.sqlstate, "22023");
        assert_int_equal(list.count, 0);
    }
}

static void every_snapshot_has_a_serial_of_its_own(void **state)
{
    (void)state;
    struct snapshot *first = with_two(), *second = with_two();
    assert_true(second->serial > first->serial);
    assert_int_equal(first->epoch, 7);
    assert_int_equal(first->transitions[1].phase, PHASE_DUAL_OWN);
    struct snapshot *held = snapshot_get(first);
    snapshot_put(first);
    assert_string_equal(held->transitions[0].transition->name, "users_role");
    snapshot_put(held);
    snapshot_put(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shape_may_be_one_for_all_or_a_list),
        cmocka_unit_test(a_bad_shape_is_refused_naming_it),
        cmocka_unit_test(descendants_are_named_too),
        cmocka_unit_test(every_snapshot_has_a_serial_of_its_own),
    };
    return cmocka_run_group_tests_name("transition/snapshot", tests, NULL, NULL);
}
