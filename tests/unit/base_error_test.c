#include "segue/base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void fill(char *text, size_t length, const char *character)
{
    text[0] = '\0';
    while (strlen(text) + strlen(character) <= length)
        strcat(text, character);
}

/* Whatever the place, what is left is whole characters, and as many as fit but for one. */
static void cuts_at_the_end_of_a_character(void **state)
{
    (void)state;
    static const char *const characters[] = {"a", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x90\x98"};
    for (size_t i = 0; i < sizeof characters / sizeof characters[0]; i++) {
        const size_t size = strlen(characters[i]);
        for (size_t before = 0; before < 4; before++) {
            struct error error;
            char text[2 * sizeof error.message];
            fill(text, sizeof text - 8, characters[i]);
            error_set(&error, "XX000", "%.*s%s", (int)before, "xyz", text);
            error_detail(&error, "%.*s%s", (int)before, "xyz", text);
            error_hint(&error, "%.*s%s", (int)before, "xyz", text);
            assert_int_equal((strlen(error.message) - before) % size, 0);
            assert_int_equal((strlen(error.detail) - before) % size, 0);
            assert_int_equal((strlen(error.hint) - before) % size, 0);
            assert_true(strlen(error.message) > sizeof error.message - 1 - 2 * size);
            assert_true(strlen(error.hint) > sizeof error.hint - 1 - 2 * size);
        }
    }
}

static void keeps_what_fits(void **state)
{
    (void)state;
    struct error error;
    char text[sizeof error.hint];
    memset(text, 'h', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text + sizeof text - 3, "\xc3\xbc", 2);
    error_set(&error, "22023", "no %s", "\xe2\x82\xac");
    error_hint(&error, "%s", text);
    assert_string_equal(error.message, "no \xe2\x82\xac");
    assert_string_equal(error.hint, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_at_the_end_of_a_character),
        cmocka_unit_test(keeps_what_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
