/* A file of SQL is cut into its statements where psql would cut it. */
#include "segue/sql/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void check_split(const char *text, const char *const *expected)
{
    struct sql_split split = {.text = slice_of(text)};
    struct slice statement;
    for (; *expected; expected++) {
        assert_true(sql_split_next(&split, &statement));
        assert_int_equal(statement.length, strlen(*expected));
        assert_memory_equal(statement.data, *expected, statement.length);
    }
    assert_false(sql_split_next(&split, &statement));
}

#define PARTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void semicolons_between_statements_end_them(void **state)
{
    (void)state;
    check_split("SELECT 1; SELECT 2 ;\n\n SELECT 3\n", PARTS("SELECT 1", "SELECT 2", "SELECT 3"));
    check_split(";;SELECT 1;;", PARTS("SELECT 1"));
    check_split("", (const char *const[]){NULL});
    check_split(" \n\t", (const char *const[]){NULL});
}

static void semicolons_inside_are_part_of_the_statement(void **state)
{
    (void)state;
    check_split("SELECT ';', \";\", $$;$$, $x$ ; $x$ -- ;\n, /* ; /* ; */ ; */ 1; b",
                PARTS("SELECT ';', \";\", $$;$$, $x$ ; $x$ -- ;\n, /* ; /* ; */ ; */ 1", "b"));
    check_split("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
                PARTS("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"));
    check_split("SELECT 1); SELECT 2", PARTS("SELECT 1)", "SELECT 2"));
}

static void comments_at_the_edges_are_left_out_but_hints_are_not(void **state)
{
    (void)state;
    check_split("-- one\nSELECT /* in */ 1 -- two\n; /* a */ /*+ hint */ SELECT 2; -- the end",
                PARTS("SELECT /* in */ 1", "/*+ hint */ SELECT 2"));
}

static void commands_of_psql_are_left_out(void **state)
{
    (void)state;
    check_split("\\set x 1\nSELECT 1;\n\\d users;\n\\q", PARTS("SELECT 1"));
}

static void what_cannot_be_scanned_is_one_statement_to_the_end(void **state)
{
    (void)state;
    check_split("SELECT 1; SELECT 'open; SELECT 2", PARTS("SELECT 1", "SELECT 'open; SELECT 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(semicolons_between_statements_end_them),
        cmocka_unit_test(semicolons_inside_are_part_of_the_statement),
        cmocka_unit_test(comments_at_the_edges_are_left_out_but_hints_are_not),
        cmocka_unit_test(commands_of_psql_are_left_out),
        cmocka_unit_test(what_cannot_be_scanned_is_one_statement_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
