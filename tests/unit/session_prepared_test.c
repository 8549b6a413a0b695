/* Names of prepared statements: pending, confirmed, undone. */
#include "../../proxy/session/prepared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct source_set sources;
    struct prepared_map map;
};

static struct definition *define(struct fixture *fixture, const char *text)
{
    return definition_new(source_intern(&fixture->sources, text, strlen(text), 0), NULL, 1);
}

static void begin(struct fixture *fixture)
{
    *fixture = (struct fixture){0};
    prepared_map_init(&fixture->map, &fixture->sources);
}

static void end(struct fixture *fixture)
{
    prepared_map_release(&fixture->map);
    assert_null(fixture->sources.all); /* nothing holds a text any more */
}

static void a_parse_is_met_at_once_and_gone_when_it_fails(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct definition *one = define(&fixture, "SELECT 1");
    struct prepared *slot = prepared_slot(&fixture.map, "a");
    prepared_change(&fixture.map, slot, one);
    assert_ptr_equal(prepared_current(prepared_find(&fixture.map, "a")), one);
    prepared_undo(&fixture.map, slot);
    assert_null(prepared_find(&fixture.map, "a"));
    definition_put(&fixture.sources, one);
    end(&fixture);
}

static void a_failed_second_parse_leaves_the_first(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct definition *one = define(&fixture, "SELECT 1"), *two = define(&fixture, "SELECT 2");
    struct prepared *slot = prepared_slot(&fixture.map, "a");
    prepared_change(&fixture.map, slot, one);
    prepared_change(&fixture.map, slot, two);
    assert_ptr_equal(prepared_current(slot), two);
    prepared_confirm(&fixture.map, slot, one);
    assert_ptr_equal(prepared_current(slot), two); /* still on its way */
    prepared_undo(&fixture.map, slot);             /* 42P05 */
    assert_ptr_equal(prepared_current(slot), one);
    definition_put(&fixture.sources, one);
    definition_put(&fixture.sources, two);
    end(&fixture);
}

static void a_close_and_a_parse_on_their_way_end_with_the_parse(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct definition *one = define(&fixture, "SELECT 1"), *two = define(&fixture, "SELECT 2");
    prepared_set(&fixture.map, "a", one);
    struct prepared *slot = prepared_find(&fixture.map, "a");
    prepared_change(&fixture.map, slot, NULL);
    assert_null(prepared_current(slot));
    prepared_change(&fixture.map, slot, two);
    prepared_confirm(&fixture.map, slot, NULL);
    prepared_confirm(&fixture.map, slot, two);
    assert_ptr_equal(prepared_current(prepared_find(&fixture.map, "a")), two);
    definition_put(&fixture.sources, one);
    definition_put(&fixture.sources, two);
    end(&fixture);
}

static void deallocate_all_spares_what_is_on_its_way(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct definition *one = define(&fixture, "SELECT 1");
    prepared_set(&fixture.map, "a", one);
    struct prepared *slot = prepared_slot(&fixture.map, "b");
    prepared_change(&fixture.map, slot, one);
    prepared_forget_all(&fixture.map);
    assert_null(prepared_find(&fixture.map, "a"));
    assert_ptr_equal(prepared_current(prepared_find(&fixture.map, "b")), one);
    prepared_confirm(&fixture.map, slot, one);
    assert_ptr_equal(prepared_find(&fixture.map, "b")->confirmed, one);
    definition_put(&fixture.sources, one);
    end(&fixture);
}

static void equal_texts_are_one_object_and_types_tell_apart(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    const char with_types[] = "SELECT $1\0\0\1\0\0\0\027";
    struct source *plain = source_intern(&fixture.sources, "SELECT $1", 9, 0);
    struct source *again = source_intern(&fixture.sources, "SELECT $1", 9, 0);
    struct source *typed = source_intern(&fixture.sources, with_types, 9, 6);
    assert_ptr_equal(plain, again);
    assert_ptr_not_equal(plain, typed);
    assert_true(slice_equal(source_text(plain), source_text(typed)));
    source_put(&fixture.sources, plain);
    source_put(&fixture.sources, again);
    source_put(&fixture.sources, typed);
    end(&fixture);
}

static void names_may_hold_anything(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct definition *one = define(&fixture, "SELECT 1");
    prepared_set(&fixture.map, "a \"b\" ; \x01\xff", one);
    prepared_set(&fixture.map, "A", one);
    assert_null(prepared_find(&fixture.map, "a"));
    assert_non_null(prepared_find(&fixture.map, "a \"b\" ; \x01\xff"));
    assert_non_null(prepared_find(&fixture.map, "")); /* the unnamed one is always there */
    definition_put(&fixture.sources, one);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parse_is_met_at_once_and_gone_when_it_fails),
        cmocka_unit_test(a_failed_second_parse_leaves_the_first),
        cmocka_unit_test(a_close_and_a_parse_on_their_way_end_with_the_parse),
        cmocka_unit_test(deallocate_all_spares_what_is_on_its_way),
        cmocka_unit_test(equal_texts_are_one_object_and_types_tell_apart),
        cmocka_unit_test(names_may_hold_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
