/* Transition files: what they give, and what they are told when they are wrong. No server. */
#include "segue/transition/transition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const char users_role[] =
    "transition \"users_role\" {\n"
    "    table = \"public.users\"\n"
    "    old \"role\"  { type = \"text\"    from = \"array_to_string(roles, ',')\" }\n"
    "    new \"roles\" { type = \"text[]\"  from = \"string_to_array(role, ',')\" }\n"
    "    lossless = false\n"
    "    guard = \"sync\"   # sync | reject | off\n"
    "}\n";

static const char amount[] =
    "transition \"amount\" {\n"
    "    table = \"public.transactions\"\n"
    "    old \"amount\" { type = \"text\"           from = \"amount::text\" }\n"
    "    new \"amount\" { type = \"numeric(12,2)\"  from = \"amount::numeric\"  column = "
    "\"amount_new\" }\n"
    "    lossless = true\n"
    "}\n";

static struct transition *parse_one(const char *text)
{
    size_t count;
    struct error error = {0};
    struct transition **transitions = transition_parse(text, "f.conf", &count, &error);
    if (!transitions)
        fail_msg("%s", error.message);
    assert_int_equal(count, 1);
    struct transition *transition = transitions[0];
    free(transitions);
    return transition;
}

static struct error refusal(const char *text)
{
    size_t count = 7;
    struct error error = {0};
    assert_null(transition_parse(text, "f.conf", &count, &error));
    assert_int_equal(count, 0);
    assert_true(error.sqlstate[0]);
    return error;
}

static void assert_begins(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", text, start);
}

static void assert_holds(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" does not hold \"%s\"", text, part);
}

static void reads_the_design_example(void **state)
{
    (void)state;
    struct transition *transition = parse_one(users_role);
    assert_string_equal(transition->name, "users_role");
    assert_string_equal(transition->schema, "public");
    assert_string_equal(transition->table, "users");
    assert_false(transition->lossless);
    assert_int_equal(transition->guard, GUARD_SYNC);
    const struct transition_column *roles = transition_find_logical(transition, SHAPE_NEW, "roles");
    assert_non_null(roles);
    assert_string_equal(roles->physical, "roles");
    assert_string_equal(roles->type, "text[]");
    assert_int_equal(roles->from.slot_count, 1);
    assert_string_equal(roles->from.pieces[0], "string_to_array(");
    assert_string_equal(roles->from.pieces[1], ", ',')");
    transition_put(transition);
}

static void renders_parity_over_physical_columns(void **state)
{
    (void)state;
    struct transition *transition = parse_one(amount);
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    transition_parity(transition, "NEW.", &text);
    assert_string_equal(text.data,
                        "NEW.\"amount_new\" IS NOT DISTINCT FROM "
                        "(NEW.\"amount\"::numeric)::numeric(12,2) OR "
                        "NEW.\"amount\" IS NOT DISTINCT FROM (NEW.\"amount_new\"::text)::text");
    text_release(&text);
    transition_put(transition);
}

static void renders_a_conversion_of_any_argument(void **state)
{
    (void)state;
    struct transition *transition = parse_one(users_role);
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    conversion_render(&transition->columns[SHAPE_NEW][0].from, (const char *[]){"($1::text)"},
                      &text);
    assert_string_equal(text.data, "string_to_array(($1::text), ',')");
    text_release(&text);
    transition_put(transition);
}

static void several_columns_are_compared_together(void **state)
{
    (void)state;
    struct transition *transition =
        parse_one("transition \"names\" { table = \"people\"\n"
                  " old \"name\" { type = \"text\" from = \"first || ' ' || last\" }\n"
                  " new \"first\" { type = \"text\" from = \"split_part(name, ' ', 1)\" }\n"
                  " new \"last\" { type = \"text\" from = \"split_part(name, ' ', 2)\" } }\n");
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    transition_parity(transition, "", &text);
    assert_string_equal(text.data,
                        "\"first\" IS NOT DISTINCT FROM (split_part(\"name\", ' ', 1))::text AND "
                        "\"last\" IS NOT DISTINCT FROM (split_part(\"name\", ' ', 2))::text OR "
                        "\"name\" IS NOT DISTINCT FROM (\"first\" || ' ' || \"last\")::text");
    assert_null(transition->schema);
    assert_string_equal(transition->table, "people");
    text_release(&text);
    transition_put(transition);
}

static void a_same_name_column_lives_under_another_name(void **state)
{
    (void)state;
    struct transition *transition =
        parse_one("transition \"t\" { table = \"\\\"My Schema\\\".\\\"A \\\"\\\"table\\\"\"\n"
                  " old \"a\" { type = \"text\" from = \"a::text\" }\n"
                  " new \"a\" { type = \"int\" from = \"a::int\" not_null = true } }");
    assert_string_equal(transition->columns[SHAPE_NEW][0].physical, "a_segue");
    assert_true(transition->columns[SHAPE_NEW][0].not_null);
    assert_true(transition->columns[SHAPE_NEW][0].not_null_is_declared);
    assert_false(transition->columns[SHAPE_OLD][0].not_null_is_declared);
    assert_string_equal(transition->schema, "My Schema");
    assert_string_equal(transition->table, "A \"table");
    transition_put(transition);
}

static void not_null_left_out_is_not_declared(void **state)
{
    (void)state;
    struct transition *transition = parse_one(amount);
    assert_false(transition->columns[SHAPE_NEW][0].not_null_is_declared);
    assert_false(transition->columns[SHAPE_NEW][0].default_is_declared);
    transition_put(transition);
}

static void keeps_each_block_of_a_file_for_itself(void **state)
{
    (void)state;
    struct text file;
    size_t count;
    struct error error = {0};
    text_init(&file, TEXT_UNBOUNDED);
    text_add_string(&file, "# a } brace in a comment\n");
    text_add_string(&file, amount);
    text_add_string(&file, "\n// and { another\n");
    text_add_string(&file, users_role);
    struct transition **transitions = transition_parse(file.data, "f.conf", &count, &error);
    assert_non_null(transitions);
    assert_int_equal(count, 2);
    assert_string_equal(transitions[0]->name, "amount");
    for (size_t i = 0; i < count; i++) {
        struct transition *again = parse_one(transitions[i]->source);
        assert_string_equal(again->name, transitions[i]->name);
        transition_put(again);
        transition_put(transitions[i]);
    }
    free(transitions);
    text_release(&file);
}

static void tells_the_line_of_an_unknown_key(void **state)
{
    (void)state;
    struct error error = refusal("transition \"t\" {\n  tabel = \"x\"\n}\n");
    assert_begins(error.message, "f.conf:2: ");
    assert_holds(error.message, "tabel");
    assert_holds(error.detail, "table");
}

static void tells_the_line_of_an_unknown_guard(void **state)
{
    (void)state;
    struct error error = refusal("transition \"t\" {\n table = \"x\"\n\n guard = \"synk\"\n}\n");
    assert_begins(error.message, "f.conf:4: ");
    assert_holds(error.message, "sync, reject or off");
}

static void tells_what_a_column_lacks(void **state)
{
    (void)state;
    struct error error =
        refusal("transition \"t\" {\n table = \"x\"\n old \"a\" {\n  type = \"text\"\n }\n}\n");
    assert_begins(error.message, "f.conf:5: column \"a\" lacks `from`");
}

static void tells_what_a_transition_lacks(void **state)
{
    (void)state;
    struct error error =
        refusal("transition \"t\" {\n old \"a\" { type = \"text\" from = \"b\" }\n}\n");
    assert_begins(error.message, "f.conf:3: transition \"t\" lacks `table`");
    error = refusal(
        "transition \"t\" { table = \"x\"\n old \"a\" { type = \"text\" from = \"b\" }\n}\n");
    assert_begins(error.message, "f.conf:3: transition \"t\" has no `new` column");
}

static void a_conversion_names_only_columns_of_the_other_shape(void **state)
{
    (void)state;
    struct error error = refusal("transition \"t\" {\n table = \"x\"\n"
                                 " old \"a\" {\n type = \"text\"\n from = \"b::text\"\n }\n"
                                 " new \"b\" { type = \"int\"\n  from = \"c::int\" }\n}\n");
    assert_begins(error.message, "f.conf:8: column \"c\"");
    assert_holds(error.hint, "\"a\"");
    assert_string_equal(error.sqlstate, "42703");
}

static void a_conversion_that_is_no_expression_is_refused_at_its_line(void **state)
{
    (void)state;
    struct error error = refusal("transition \"t\" {\n table = \"x\"\n"
                                 " old \"a\" { type = \"text\" from = \"b::\" }\n"
                                 " new \"b\" { type = \"int\" from = \"a::int\" }\n}\n");
    assert_begins(error.message, "f.conf:3: ");
}

static void an_empty_file_is_no_transition(void **state)
{
    (void)state;
    assert_begins(refusal("").message, "f.conf:1: ");
    assert_begins(refusal("# nothing\n").message, "f.conf:1: ");
}

static void two_of_one_name_are_refused(void **state)
{
    (void)state;
    struct text file;
    text_init(&file, TEXT_UNBOUNDED);
    text_add_string(&file, amount);
    text_add_string(&file, amount);
    assert_begins(refusal(file.data).message, "f.conf:");
    text_release(&file);
}

static void odd_names_are_refused(void **state)
{
    (void)state;
    assert_holds(refusal("transition \"a b\" { table = \"x\"\n old \"a\" { type = \"text\" from = "
                         "\"b::text\" }\n new \"b\" { type = \"int\" from = \"a::int\" } }")
                     .message,
                 "cannot name a transition");
    assert_holds(
        refusal("transition \"t\" { table = \"x.y.z\"\n old \"a\" { type = \"text\" from = "
                "\"b::text\" }\n new \"b\" { type = \"int\" from = \"a::int\" } }")
            .message,
        "not the name of a table");
}

static void a_name_that_postgresql_would_cut_is_refused(void **state)
{
    (void)state;
    struct text file;
    text_init(&file, TEXT_UNBOUNDED);
    const char *name = "a234567890123456789012345678901234567890123456789012345678"; /* 58 */
    text_add_format(&file,
                    "transition \"t\" { table = \"x\"\n"
                    " old \"%s\" { type = \"text\" from = \"%s::text\" }\n"
                    " new \"%s\" { type = \"int\" from = \"%s::int\" } }",
                    name, name, name, name);
    struct error error = refusal(file.data);
    assert_string_equal(error.sqlstate, "42622");
    assert_begins(error.message, "f.conf:3: column name");
    text_release(&file);
}

static void partners_follow_from_each_other_alone(void **state)
{
    (void)state;
    struct transition *transition =
        parse_one("transition \"x\" {\n"
                  "    table = \"t\"\n"
                  "    old \"a\"     { type = \"int\"     from = \"d::int\" }\n"
                  "    old \"name\"  { type = \"text\"    from = \"first || last\" }\n"
                  "    new \"first\" { type = \"text\"    from = \"left(name, 1)\" }\n"
                  "    new \"d\"     { type = \"bigint\"  from = \"a::bigint\" }\n"
                  "    new \"last\"  { type = \"text\"    from = \"substr(name, 2)\" }\n"
                  "    lossless = true\n"
                  "}\n");
    assert_int_equal(transition_partner(transition, SHAPE_OLD, 0), 1);
    assert_int_equal(transition_partner(transition, SHAPE_NEW, 1), 0);
    assert_int_equal(transition_partner(transition, SHAPE_OLD, 1), TRANSITION_NONE);
    assert_int_equal(transition_partner(transition, SHAPE_NEW, 0), TRANSITION_NONE);
    assert_int_equal(transition_partner(transition, SHAPE_NEW, 2), TRANSITION_NONE);
    struct text names;
    text_init(&names, TEXT_UNBOUNDED);
    transition_partner_names(transition, SHAPE_NEW, &names);
    assert_string_equal(names.data, "{\"d\"}");
    text_release(&names);
    transition_put(transition);
}

static void a_column_that_another_is_made_from_too_has_no_partner(void **state)
{
    (void)state;
    struct transition *transition = parse_one("transition \"x\" {\n"
                                              "    table = \"t\"\n"
                                              "    old \"a\" { type = \"int\"  from = \"c\" }\n"
                                              "    old \"b\" { type = \"int\"  from = \"d - c\" }\n"
                                              "    new \"c\" { type = \"int\"  from = \"a\" }\n"
                                              "    new \"d\" { type = \"int\"  from = \"a + b\" }\n"
                                              "    lossless = true\n"
                                              "}\n");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(transition_partner(transition, SHAPE_OLD, i), TRANSITION_NONE);
        assert_int_equal(transition_partner(transition, SHAPE_NEW, i), TRANSITION_NONE);
    }
    struct text names;
    text_init(&names, TEXT_UNBOUNDED);
    transition_partner_names(transition, SHAPE_OLD, &names);
    assert_string_equal(names.data, "{}");
    text_release(&names);
    transition_put(transition);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_design_example),
        cmocka_unit_test(renders_parity_over_physical_columns),
        cmocka_unit_test(renders_a_conversion_of_any_argument),
        cmocka_unit_test(several_columns_are_compared_together),
        cmocka_unit_test(a_same_name_column_lives_under_another_name),
        cmocka_unit_test(not_null_left_out_is_not_declared),
        cmocka_unit_test(keeps_each_block_of_a_file_for_itself),
        cmocka_unit_test(tells_the_line_of_an_unknown_key),
        cmocka_unit_test(tells_the_line_of_an_unknown_guard),
        cmocka_unit_test(tells_what_a_column_lacks),
        cmocka_unit_test(tells_what_a_transition_lacks),
        cmocka_unit_test(a_conversion_names_only_columns_of_the_other_shape),
        cmocka_unit_test(a_conversion_that_is_no_expression_is_refused_at_its_line),
        cmocka_unit_test(an_empty_file_is_no_transition),
        cmocka_unit_test(two_of_one_name_are_refused),
        cmocka_unit_test(odd_names_are_refused),
        cmocka_unit_test(a_name_that_postgresql_would_cut_is_refused),
        cmocka_unit_test(partners_follow_from_each_other_alone),
        cmocka_unit_test(a_column_that_another_is_made_from_too_has_no_partner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
