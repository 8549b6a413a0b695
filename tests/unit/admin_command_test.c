#include "../../proxy/admin/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct read {
    struct arena arena;
    struct statement *statements;
    size_t count;
    bool fine;
    struct error error;
};

static struct read *read_text(const char *text)
{
    static struct read read;
    static bool used;
    if (used)
        arena_release(&read.arena);
    used = true;
    memset(&read, 0, sizeof read);
    arena_init(&read.arena);
    read.fine =
        statements_read(&read.arena, slice_of(text), &read.statements, &read.count, &read.error);
    return &read;
}

static const struct arguments *arguments_of(const char *text, const char *pattern)
{
    struct read *read = read_text(text);
    if (!read->fine)
        fail_msg("%s: %s", text, read->error.message);
    assert_int_equal(read->count, 1);
    assert_string_equal(read->statements[0].command->pattern, pattern);
    return &read->statements[0].arguments;
}

static void refused(const char *text, const char *sqlstate, const char *message, int position)
{
    struct read *read = read_text(text);
    assert_false(read->fine);
    assert_string_equal(read->error.sqlstate, sqlstate);
    assert_string_equal(read->error.message, message);
    assert_int_equal(read->error.position, position);
}

static void commands_come_in_any_case_with_their_arguments(void **state)
{
    (void)state;
    const struct arguments *a = arguments_of("ADVANCE users_role", "ADVANCE transition [TO phase]");
    assert_string_equal(a->transition, "users_role");
    assert_null(a->database);
    assert_false(a->has_phase);
    a = arguments_of("advance \"My \"\"Name\" to DUAL_new;", "ADVANCE transition [TO phase]");
    assert_string_equal(a->transition, "My \"Name");
    assert_int_equal(a->phase, PHASE_DUAL_NEW);
    a = arguments_of("revert shop.users_role to old", "REVERT transition [TO phase]");
    assert_string_equal(a->database, "shop");
    assert_string_equal(a->transition, "users_role");
    assert_int_equal(a->phase, PHASE_OLD);
    assert_true(a->has_phase);
}

static void optional_words_are_told_apart(void **state)
{
    (void)state;
    assert_false(arguments_of("retire t", "RETIRE transition [FORCE]")->option);
    assert_true(arguments_of("retire t force", "RETIRE transition [FORCE]")->option);
    assert_false(arguments_of("backfill t", "BACKFILL transition [NOWAIT]")->option);
    assert_false(arguments_of("backfill t start", "BACKFILL transition START [NOWAIT]")->option);
    assert_true(
        arguments_of("backfill t start nowait", "BACKFILL transition START [NOWAIT]")->option);
    arguments_of("backfill t cancel", "BACKFILL transition CANCEL");
    /* a transition may be called like a word of the language */
    assert_string_equal(arguments_of("retire force force", "RETIRE transition [FORCE]")->transition,
                        "force");
}

static void strings_are_decoded_in_every_notation(void **state)
{
    (void)state;
    const char *pattern = "APPLY 'definition' [FROM 'file'] [DATABASE database]";
    assert_string_equal(arguments_of("APPLY 'it''s'", pattern)->text, "it's");
    assert_string_equal(arguments_of("APPLY '\\n'", pattern)->text, "\\n");
    assert_string_equal(arguments_of("APPLY E'a\\nb\\\\\\'\\t\\x41\\101\\u20ac'", pattern)->text,
                        "a\nb\\'\tAA\xe2\x82\xac");
    assert_string_equal(arguments_of("APPLY $$it's; $x$$", pattern)->text, "it's; $x");
    assert_string_equal(arguments_of("APPLY $a$ $b$ $$ $a$", pattern)->text, " $b$ $$ ");
    const struct arguments *a = arguments_of("APPLY 'x' FROM 'f.conf' DATABASE \"a b\"", pattern);
    assert_string_equal(a->file, "f.conf");
    assert_string_equal(a->database, "a b");
    const char *rewrite = "REWRITE [FOR shape] [IN phase] [EACH] 'sql' [USING 'definition'] "
                          "[FROM 'file'] [DATABASE database]";
    a = arguments_of("REWRITE FOR New IN dual_own 'SELECT 1' DATABASE d", rewrite);
    assert_int_equal(a->shape, SHAPE_NEW);
    assert_int_equal(a->phase, PHASE_DUAL_OWN);
    assert_true(a->has_shape && a->has_phase && !a->option);
    assert_string_equal(a->sql, "SELECT 1");
    assert_null(a->text);
    a = arguments_of("REWRITE EACH 'SELECT 1;' USING 'transition' FROM 'x.conf'", rewrite);
    assert_true(!a->has_shape && !a->has_phase && a->option);
    assert_string_equal(a->sql, "SELECT 1;");
    assert_string_equal(a->text, "transition");
    assert_string_equal(a->file, "x.conf");
}

static void check_and_plan_take_a_definition_or_a_name(void **state)
{
    (void)state;
    arguments_of("CHECK t", "CHECK transition");
    arguments_of("CHECK 't'", "CHECK 'definition' [FROM 'file'] [DATABASE database]");
    arguments_of("PLAN d.t", "PLAN transition");
}

static void a_text_holds_any_number_of_commands(void **state)
{
    (void)state;
    assert_int_equal(read_text("")->count, 0);
    assert_int_equal(read_text(" ;; -- ping\n ; /* a /* b */ c */ ")->count, 0);
    struct read *read = read_text("SHOW HELP; SELECT 'a;b' ;PAUSE");
    assert_int_equal(read->count, 3);
    struct slice source = read->statements[1].source;
    assert_memory_equal(source.data, "SELECT 'a;b' ", source.length);
    assert_true(read_text("SHOW CLIENTS")->fine);
}

static void an_error_names_the_place_in_characters(void **state)
{
    (void)state;
    refused("nonsense", "42601", "unknown command \"nonsense\"", 1);
    refused("SELECT 'é'; RETIRE t BUT", "42601", "syntax error at or near \"BUT\"", 22);
    refused("ADVANCE", "42601", "syntax error at the end of the command", 8);
    refused("ADVANCE t TO dual_odd", "42601", "syntax error at or near \"dual_odd\"", 14);
    refused("  APPLY 'x", "42601", "unterminated quoted string", 9);
    refused("APPLY $a$ x", "42601", "unterminated dollar-quoted string", 7);
    refused("APPLY \"x", "42601", "unterminated quoted identifier", 7);
    refused("/* x", "42601", "unterminated /* comment", 1);
    refused("APPLY E'\\ud800'", "42601", "invalid Unicode escape value", 11);
    refused("APPLY E'a\\000b'", "42601", "a string cannot hold a zero byte", 7);
    refused("SELECT $1", "0A000", "the admin console takes no parameters", 0);
}

static void every_text_cut_at_every_byte_is_read_or_refused(void **state)
{
    (void)state;
    static const char whole[] =
        "APPLY E'a\\u20ac\\x4' FROM $t$ $ $t$ DATABASE \"x\"\"y\"; -- c\n/* */ "
        "REWRITE FOR old IN new 'é' ; SET a TO 'b'";
    for (size_t cut = 0; cut < sizeof whole; cut++) {
        char *text = strndup(whole, cut);
        struct read *read = read_text(text);
        assert_true(read->fine || read->error.message[0]);
        free(text);
    }
}

static void every_command_of_the_help_can_be_said(void **state)
{
    (void)state;
    static const struct {
        const char *placeholder, *example;
    } examples[] = {{"transition", "t"}, {"phase", "new"}, {"shape", "old"}, {"'definition'", "''"},
                    {"'sql'", "''"},     {"'file'", "''"}, {"database", "d"}};
    size_t said = 0;
    for (size_t i = 0; i < command_count; i++) {
        if (!commands[i].help)
            continue;
        struct text text;
        text_init(&text, TEXT_UNBOUNDED);
        char *copy = strdup(commands[i].pattern), *rest = copy, *word;
        while ((word = strsep(&rest, " []"))) {
            const char *example = word;
            for (size_t k = 0; k < sizeof examples / sizeof examples[0]; k++)
                if (strcmp(examples[k].placeholder, word) == 0)
                    example = examples[k].example;
            text_add_format(&text, "%s ", example);
        }
        struct read *read = read_text(text.data);
        if (!read->fine || read->count != 1 || read->statements[0].command != &commands[i])
            fail_msg("%s does not match its own pattern: %s", text.data, read->error.message);
        text_release(&text);
        free(copy);
        said++;
    }
    assert_true(said > 25);
}

/* A command that is new says whom it is for, or it fails here. What a viewer may not is tried over
 * the wire by tests/integration/test_admin_users.py. */
static void every_command_says_which_role_it_needs(void **state)
{
    (void)state;
    for (const struct command *c = commands; c < commands + command_count; c++)
        if (c->needs != ROLE_VIEWER && c->needs != ROLE_OPERATOR)
            fail_msg("%s does not say", c->pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_says_which_role_it_needs),
        cmocka_unit_test(commands_come_in_any_case_with_their_arguments),
        cmocka_unit_test(optional_words_are_told_apart),
        cmocka_unit_test(strings_are_decoded_in_every_notation),
        cmocka_unit_test(check_and_plan_take_a_definition_or_a_name),
        cmocka_unit_test(a_text_holds_any_number_of_commands),
        cmocka_unit_test(an_error_names_the_place_in_characters),
        cmocka_unit_test(every_text_cut_at_every_byte_is_read_or_refused),
        cmocka_unit_test(every_command_of_the_help_can_be_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
