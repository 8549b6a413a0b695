/* What is read out of a conversion's expression, and what is refused. */
#include "segue/sql/expression.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct arena arena;
    struct sql_expression expression;
    struct error error;
};

static bool read_text(struct fixture *fixture, const char *text)
{
    memset(&fixture->error, 0, sizeof fixture->error);
    return sql_expression_read(&fixture->arena, text, &fixture->expression, &fixture->error);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    arena_init(&fixture.arena);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    arena_release(&((struct fixture *)*state)->arena);
    return 0;
}

static void finds_columns_in_text_order_with_their_bytes(void **state)
{
    struct fixture *f = *state;
    assert_true(read_text(f, "coalesce(b, /* é */ \"A b\"::text) || b"));
    assert_int_equal(f->expression.column_count, 3);
    assert_string_equal(f->expression.columns[0].name, "b");
    assert_int_equal(f->expression.columns[0].start, 9);
    assert_int_equal(f->expression.columns[0].end, 10);
    assert_string_equal(f->expression.columns[1].name, "A b");
    assert_int_equal(f->expression.columns[1].start, 21);
    assert_int_equal(f->expression.columns[1].end, 26);
    assert_int_equal(f->expression.columns[2].start, 37);
}

static void folds_names_and_tells_functions(void **state)
{
    struct fixture *f = *state;
    assert_true(read_text(f, "pg_catalog.String_To_Array(ROLE, ',')"));
    assert_string_equal(f->expression.columns[0].name, "role");
    assert_int_equal(f->expression.function_count, 1);
    assert_string_equal(f->expression.functions[0], "string_to_array");
}

static void refuses_what_is_not_one_scalar_expression(void **state)
{
    static const char *const texts[] = {"",
                                        "a, b",
                                        "a AS x",
                                        "a; b",
                                        "a FROM t",
                                        "a) (b",
                                        "DISTINCT a",
                                        "a UNION SELECT b",
                                        "a;",
                                        "(SELECT a)",
                                        "EXISTS (SELECT 1)",
                                        "t.a",
                                        "*",
                                        "t.*",
                                        "$1",
                                        "count(*)",
                                        "sum(a) OVER ()",
                                        "max(a) FILTER (WHERE true)",
                                        "DEFAULT",
                                        "a LIMIT 1"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (read_text(f, texts[i]))
            fail_msg("accepted: %s", texts[i]);
        assert_string_equal(f->error.sqlstate, "42601");
        assert_true(f->error.message[0]);
    }
}

static void counts_the_position_in_characters_of_the_expression(void **state)
{
    struct fixture *f = *state;
    assert_false(read_text(f, "'é' || t.a"));
    assert_int_equal(f->error.position, 8);
    assert_false(read_text(f, "a +"));
    assert_int_equal(f->error.position, 4);
}

static void refuses_what_would_overflow_the_parser(void **state)
{
    struct fixture *f = *state;
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (int i = 0; i < 100000; i++)
        text_add_string(&text, i % 2 ? "f(1,(" : "1+");
    assert_false(read_text(f, text.data));
    assert_string_equal(f->error.sqlstate, "54001");
    text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_columns_in_text_order_with_their_bytes),
        cmocka_unit_test(folds_names_and_tells_functions),
        cmocka_unit_test(refuses_what_is_not_one_scalar_expression),
        cmocka_unit_test(counts_the_position_in_characters_of_the_expression),
        cmocka_unit_test(refuses_what_would_overflow_the_parser),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
