/* Facts about base/text. */
#include "segue/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void is_a_string_from_the_start(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 10);
    assert_string_equal(text.data, "");
    char *taken = text_take(&text);
    assert_string_equal(taken, "");
    free(taken);
    text_release(&text);
}

static void an_append_past_the_ceiling_changes_nothing_and_is_told(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 5);
    text_add_string(&text, "abc");
    text_add_string(&text, "def");
    assert_true(text.overflow);
    assert_string_equal(text.data, "abc");
    text_add_char(&text, 'x'); /* would fit, but the text is already not what was meant */
    assert_string_equal(text.data, "abc");
    text_clear(&text);
    text_add_string(&text, "12345");
    assert_false(text.overflow);
    assert_string_equal(text.data, "12345");
    text_release(&text);
}

static void holds_bytes_of_any_value(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add(&text, "a\0b", 3);
    assert_int_equal(text.length, 3);
    assert_memory_equal(text.data, "a\0b", 4);
    text_release(&text);
}

static void grows_over_many_appends(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    for (int i = 0; i < 10000; i++)
        text_add_format(&text, "%d,", i % 10);
    assert_int_equal(text.length, 20000);
    assert_memory_equal(text.data + 19980, "0,1,2,3,4,5,6,7,8,9,", 21);
    text_release(&text);
}

static void check_quoted(void (*add)(struct text *, const char *), const char *value,
                         const char *expected)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    add(&text, value);
    assert_string_equal(text.data, expected);
    text_release(&text);
}

static void quotes_identifiers_always(void **state)
{
    (void)state;
    check_quoted(text_add_identifier, "role", "\"role\"");
    check_quoted(text_add_identifier, "od\"d", "\"od\"\"d\"");
}

static void quotes_literals_whatever_standard_conforming_strings_says(void **state)
{
    (void)state;
    check_quoted(text_add_literal, "it's", "'it''s'");
    check_quoted(text_add_literal, "a\\b'", "E'a\\\\b'''");
}

static void writes_json_strings(void **state)
{
    (void)state;
    check_quoted(text_add_json_string, "a\"b\\c\n\x01z", "\"a\\\"b\\\\c\\n\\u0001z\"");
    /* bytes that are no UTF-8: Latin-1, an overlong form, half of a surrogate pair, a cut character
     */
    check_quoted(text_add_json_string, "caf\xe9", "\"caf\\ufffd\"");
    check_quoted(text_add_json_string, "\xc0\xaf\xed\xa0\x80",
                 "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"");
    check_quoted(text_add_json_string, "\xf0\x9f\x90", "\"\\ufffd\\ufffd\\ufffd\"");
    check_quoted(text_add_json_string, "gr\xc3\xbcn \xf0\x9f\x90\x98",
                 "\"gr\xc3\xbcn \xf0\x9f\x90\x98\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_a_string_from_the_start),
        cmocka_unit_test(an_append_past_the_ceiling_changes_nothing_and_is_told),
        cmocka_unit_test(holds_bytes_of_any_value),
        cmocka_unit_test(grows_over_many_appends),
        cmocka_unit_test(quotes_identifiers_always),
        cmocka_unit_test(quotes_literals_whatever_standard_conforming_strings_says),
        cmocka_unit_test(writes_json_strings),
    };
    return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
