#include "segue/config/document.h"

#include "segue/base/text.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int not_negative(cfg_t *cfg, cfg_opt_t *option)
{
    if (cfg_opt_getnint(option, 0) >= 0)
        return 0;
    document_fail(cfg, "%s is negative", option->name);
    document_hint("Take the %s away.", "sign");
    return -1;
}

/* word = ".."; count = 1; part "title" { word = ".." } */
static cfg_t *parse(const char *text, enum document_origin origin, struct error *error)
{
    cfg_opt_t part[] = {CFG_STR("word", NULL, CFGF_NONE), CFG_END()};
    cfg_opt_t options[] = {CFG_STR("word", NULL, CFGF_NONE), CFG_INT("count", 0, CFGF_NONE),
                           CFG_SEC("part", part, CFGF_MULTI | CFGF_TITLE), CFG_END()};
    options[1].validcb = not_negative;
    return document_parse(options, text, "a.conf", origin, error);
}

static void word_is(const char *text, enum document_origin origin, const char *expected)
{
    struct error error = {0};
    cfg_t *cfg = parse(text, origin, &error);
    if (!cfg)
        fail_msg("%s", error.message);
    assert_string_equal(cfg_getstr(cfg, "word"), expected);
    document_free(cfg);
}

static void fails(const char *text, const char *message)
{
    struct error error = {0};
    assert_null(parse(text, DOCUMENT_FOREIGN, &error));
    assert_string_equal(error.sqlstate, "F0000");
    assert_string_equal(error.message, message);
}

static void a_foreign_text_does_not_read_the_environment(void **state)
{
    (void)state;
    setenv("SEGUE_TEST_SECRET", "sesame", 1);
    word_is("word = \"${SEGUE_TEST_SECRET}\"", DOCUMENT_LOCAL, "sesame");
    word_is("word = \"${SEGUE_TEST_SECRET}\"", DOCUMENT_FOREIGN, "${SEGUE_TEST_SECRET}");
    word_is("word = \"\\${SEGUE_TEST_SECRET}\"", DOCUMENT_FOREIGN, "${SEGUE_TEST_SECRET}");
    word_is("word = '${SEGUE_TEST_SECRET}'", DOCUMENT_FOREIGN, "${SEGUE_TEST_SECRET}");
    fails("word = ${SEGUE_TEST_SECRET}",
          "a.conf:1: ${ outside a string: put the value in double quotes");
}

static void comment_marks_in_strings_are_text(void **state)
{
    (void)state;
    word_is("word = \"a # b // c /* d */\" # e", DOCUMENT_FOREIGN, "a # b // c /* d */");
    word_is("word = 'it\\'s { } \"'", DOCUMENT_FOREIGN, "it's { } \"");
    word_is("/* \" { */ word = \"\\\"{\" // '", DOCUMENT_FOREIGN, "\"{");
    word_is("word = \"two\nlines\"", DOCUMENT_FOREIGN, "two\nlines");
}

static void lines_are_counted_through_strings_and_comments(void **state)
{
    (void)state;
    fails("/* 1\n 2 */\nword = \"3\n4\"\n# 5\ncount = -1", "a.conf:6: count is negative");
    fails("part \"a\" {\n\n  wrod = \"x\"\n}",
          "a.conf:3: unknown setting \"wrod\" in section part");
    fails("word = \"a\"\npart \"a\" { word = \"x\"\n",
          "a.conf:2: the section that begins here is not "
          "closed");
}

static void a_validator_speaks_for_itself(void **state)
{
    (void)state;
    struct error error = {0};
    assert_null(parse("count = -3", DOCUMENT_LOCAL, &error));
    assert_string_equal(error.message, "a.conf:1: count is negative");
    assert_string_equal(error.hint, "Take the sign away.");
}

static void nobody_needs_to_hear_the_error(void **state)
{
    (void)state;
    assert_null(parse("word", DOCUMENT_LOCAL, NULL));
    assert_null(parse("}", DOCUMENT_LOCAL, NULL));
}

static void every_text_cut_at_every_byte_leaves_the_next_parse_alone(void **state)
{
    (void)state;
    static const char whole[] = "# a\nword = \"b\\\"${c}\" /* d */ count = 3\n"
                                "part 'e\\'' { word = f } // g\npart \"\" { }\n";
    for (size_t cut = 0; cut < sizeof whole; cut++) {
        char text[sizeof whole] = {0};
        memcpy(text, whole, cut);
        cfg_t *cfg = parse(text, DOCUMENT_FOREIGN, NULL);
        if (cfg)
            document_free(cfg);
        word_is("word = \"fine\"", DOCUMENT_FOREIGN, "fine");
    }
}

static void *parse_many(void *context)
{
    size_t *wrong = context;
    for (int i = 0; i < 500; i++) {
        struct error error = {0};
        cfg_t *cfg = parse("word = \"fine\"", DOCUMENT_FOREIGN, &error);
        *wrong += !cfg || strcmp(cfg_getstr(cfg, "word"), "fine") != 0;
        if (cfg)
            document_free(cfg);
        *wrong += parse("word = \"x\"\ncount = -1", DOCUMENT_FOREIGN, &error) != NULL ||
                  strcmp(error.message, "a.conf:2: count is negative") != 0;
    }
    return NULL;
}

static void threads_do_not_meet_in_the_lexer(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    size_t wrong[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, parse_many, &wrong[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(wrong[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_foreign_text_does_not_read_the_environment),
        cmocka_unit_test(comment_marks_in_strings_are_text),
        cmocka_unit_test(lines_are_counted_through_strings_and_comments),
        cmocka_unit_test(a_validator_speaks_for_itself),
        cmocka_unit_test(nobody_needs_to_hear_the_error),
        cmocka_unit_test(every_text_cut_at_every_byte_leaves_the_next_parse_alone),
        cmocka_unit_test(threads_do_not_meet_in_the_lexer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
