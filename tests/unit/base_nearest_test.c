#include "segue/base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *nearest_to(const char *wanted)
{
    static const char *const names[] = {"check", "plan", "apply", "advance", "revert"};
    struct nearest nearest;
    nearest_init(&nearest, wanted);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        nearest_offer(&nearest, names[i]);
    return nearest.best;
}

static void forgives_slips_of_the_fingers(void **state)
{
    (void)state;
    assert_string_equal(nearest_to("chekc"), "check");
    assert_string_equal(nearest_to("PLAN"), "plan");
    assert_string_equal(nearest_to("aply"), "apply");
    assert_string_equal(nearest_to("advancee"), "advance");
    assert_string_equal(nearest_to("rewert"), "revert");
}

static void does_not_guess_wildly(void **state)
{
    (void)state;
    assert_null(nearest_to("sql"));
    assert_null(nearest_to(""));
    char long_name[200];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_null(nearest_to(long_name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forgives_slips_of_the_fingers),
        cmocka_unit_test(does_not_guess_wildly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
