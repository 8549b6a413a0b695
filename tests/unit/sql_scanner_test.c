/* Facts about our scanner; tests/fuzz/scanner_fuzz.c compares it with libpg_query's at length. */
#include "segue/sql/scanner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Checks that `text` scans to the tokens in `expected`, which are separated by a broken bar. */
static void check(const char *text, bool conforming, const char *expected)
{
    struct sql_scanner scanner;
    sql_scanner_init(&scanner, slice_of(text), conforming);
    struct text found;
    text_init(&found, TEXT_UNBOUNDED);
    for (;;) {
        struct sql_token token = sql_scanner_next(&scanner);
        if (token.kind <= SQL_TOKEN_ERROR) {
            if (token.kind == SQL_TOKEN_ERROR)
                text_add_string(&found, "!error");
            break;
        }
        text_add(&found, text + token.start, token.end - token.start);
        text_add_char(&found, '|');
    }
    assert_string_equal(found.data, expected);
    text_release(&found);
}

static void splits_a_statement(void **state)
{
    (void)state;
    check("SELECT u.role,$1 FROM users u;", true, "SELECT|u|.|role|,|$1|FROM|users|u|;|");
    check("a::text:=b=>c<>d", true, "a|::|text|:=|b|=>|c|<>|d|");
}

static void strings_continue_only_over_a_newline(void **state)
{
    (void)state;
    check("'a'\n 'b' 'c'", true, "'a'\n 'b'|'c'|");
    check("'a' -- why\n'b'", true, "'a' -- why\n'b'|");
    check("'it''s' E'it\\'s' n'x'", true, "'it''s'|E'it\\'s'|n|'x'|");
    check("b'01''10'", true, "b'01'|'10'|");
}

static void backslashes_count_only_without_standard_conforming_strings(void **state)
{
    (void)state;
    check("'a\\'||'b'", true, "'a\\'||||'b'|"); /* the operator || among the bars */
    check("'a\\'||'b'", false, "'a\\'||'|!error");
}

static void operators_stop_at_comments_and_give_back_signs(void **state)
{
    (void)state;
    check("a*-1", true, "a|*|-|1|");
    check("a@-1", true, "a|@-|1|");
    check("a+--c\nb", true, "a|+|--c|b|");
    check("a</*x/*y*/*/b", true, "a|<|/*x/*y*/*/|b|");
}

static void numbers_and_ranges(void **state)
{
    (void)state;
    check("1..2 1.5e-3 .5 1.", true, "1|..|2|1.5e-3|.5|1.|");
    check("1x", true, "!error");
    check("1e+", true, "!error");
    check("$1a", true, "!error");
}

static void dollar_quotes_end_at_their_own_tag(void **state)
{
    (void)state;
    check("$a$ $b$ $$ $a$ $$'$$", true, "$a$ $b$ $$ $a$|$$'$$|");
    check("$a$ $b$", true, "!error");
}

static void what_is_not_ended_is_an_error(void **state)
{
    (void)state;
    const char *open[] = {"'a", "\"a", "/* a", "E'a\\", "U&\"a", "'a'\n'b"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        check(open[i], true, "!error");
}

static void quoted_identifiers(void **state)
{
    (void)state;
    check("\"od\"\"d\".U&\"\\0061\" u&b", true, "\"od\"\"d\"|.|U&\"\\0061\"|u|&|b|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_a_statement),
        cmocka_unit_test(strings_continue_only_over_a_newline),
        cmocka_unit_test(backslashes_count_only_without_standard_conforming_strings),
        cmocka_unit_test(operators_stop_at_comments_and_give_back_signs),
        cmocka_unit_test(numbers_and_ranges),
        cmocka_unit_test(dollar_quotes_end_at_their_own_tag),
        cmocka_unit_test(what_is_not_ended_is_an_error),
        cmocka_unit_test(quoted_identifiers),
    };
    return cmocka_run_group_tests_name("sql/scanner", tests, NULL, NULL);
}
