/* Facts about reading a server's analysed expression for what it depends on. */
#include "../../proxy/transition/settings.h"

#include "segue/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct text functions, operators;

static struct settings_needed read_tree(const char *tree)
{
    struct settings_needed needed = {0};
    text_clear(&functions);
    text_clear(&operators);
    settings_read_tree(tree, &needed, &functions, &operators);
    return needed;
}

static int set_up(void **state)
{
    (void)state;
    text_init(&functions, TEXT_UNBOUNDED);
    text_init(&operators, TEXT_UNBOUNDED);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    text_release(&functions);
    text_release(&operators);
    return 0;
}

#define VAR(type)              "{VAR :varno 1 :varattno 1 :vartype " type " :vartypmod -1 :location 7}"
#define VIA_IO(argument, type) "({COERCEVIAIO :arg " argument " :resulttype " type " :location 9})"

static void text_to_and_from_a_date_depends_on_styles(void **state)
{
    (void)state;
    assert_true(read_tree(VIA_IO(VAR("25"), "1082")).styles);
    assert_true(read_tree(VIA_IO(VAR("1186"), "25")).styles);
    assert_null(read_tree(VIA_IO(VAR("1082"), "25")).forbidden);
    assert_false(read_tree(VIA_IO(VAR("23"), "25")).styles);
}

static void a_zone_is_what_no_two_sessions_need_share(void **state)
{
    (void)state;
    assert_string_equal(read_tree(VIA_IO(VAR("25"), "1184")).forbidden, "TimeZone");
    assert_string_equal(read_tree(VIA_IO(VAR("1185"), "25")).forbidden, "TimeZone");
    assert_string_equal(read_tree(VIA_IO(VAR("17"), "25")).forbidden, "bytea_output");
    assert_string_equal(read_tree("({SQLVALUEFUNCTION :op 3 :type 1114})").forbidden,
                        "who asks, and when");
}

static void functions_and_operators_on_such_types_are_left_to_the_server(void **state)
{
    (void)state;
    struct settings_needed needed =
        read_tree("({FUNCEXPR :funcid 2020 :funcresulttype 1184 :args (" VAR("25") " " VAR(
            "1184") ")}"
                    " {OPEXPR :opno 1327 :opfuncid 0 :opresulttype 1184 :args (" VAR(
                        "1184") ")}"
                                " {FUNCEXPR :funcid 99 :funcresulttype 25 :args (" VAR("23") ")})");
    assert_false(needed.styles);
    assert_null(needed.forbidden);
    assert_string_equal(functions.data, "(2020,2)");
    assert_string_equal(operators.data, "(1327,2)");
}

static void what_stands_around_the_expression_is_none_of_it(void **state)
{
    (void)state;
    /* the column that the view reads is a timestamptz, but nothing is done to it but a plain read
     */
    struct settings_needed needed =
        read_tree("({QUERY :commandType 1 :rtable ({RTE :alias <> :eref {ALIAS :aliasname a\\ b "
                  ":colnames (\"x\")}}) :targetList ({TARGETENTRY :expr " VAR("1184") "})})");
    assert_false(needed.styles);
    assert_null(needed.forbidden);
    assert_string_equal(functions.data, "");
}

static void a_text_that_ends_too_early_ends_the_reading(void **state)
{
    (void)state;
    static const char tree[] = VIA_IO(VAR("25"), "1184");
    char cut[sizeof tree];
    for (size_t length = 0; length < sizeof tree; length++) {
        memcpy(cut, tree, length);
        cut[length] = '\0';
        read_tree(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_to_and_from_a_date_depends_on_styles, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_zone_is_what_no_two_sessions_need_share, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            functions_and_operators_on_such_types_are_left_to_the_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_stands_around_the_expression_is_none_of_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_text_that_ends_too_early_ends_the_reading, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
