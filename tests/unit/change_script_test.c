/* The DDL that commands run, as text: from definitions alone, without a server. */
#include "../../proxy/change/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct transition *parse(const char *text)
{
    size_t count;
    struct error error = {0};
    struct transition **transitions = transition_parse(text, "f.conf", &count, &error);
    if (!transitions)
        fail_msg("%s", error.message);
    struct transition *transition = transitions[0];
    free(transitions);
    return transition;
}

static struct transition *same_name(const char *guard)
{
    struct text file;
    text_init(&file, TEXT_UNBOUNDED);
    text_add_format(&file,
                    "transition \"t\" { table = \"public.a\" guard = \"%s\"\n"
                    " old \"x\" { type = \"text\" from = \"x::text\" default = \"'0'\" }\n"
                    " new \"x\" { type = \"int\" from = \"x::int\" } }",
                    guard);
    struct transition *transition = parse(file.data);
    text_release(&file);
    return transition;
}

static struct transition *split_name(void)
{
    return parse("transition \"t\" { table = \"public.a\"\n"
                 " old \"name\" { type = \"text\" from = \"p || ' ' || q\" }\n"
                 " new \"p\" { type = \"text\" from = \"split_part(name, ' ', 1)\" }\n"
                 " new \"q\" { type = \"text\" from = \"split_part(name, ' ', 2)\" } }");
}

static void assert_holds(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" does not hold \"%s\"", text, part);
}

static void expand_adds_nullable_columns_without_default(void **state)
{
    (void)state;
    struct transition *transition = split_name();
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    expand_add_script(transition, &text);
    assert_string_equal(text.data, "ALTER TABLE \"public\".\"a\" ADD COLUMN \"p\" text, "
                                   "ADD COLUMN \"q\" text");
    text_release(&text);
    transition_put(transition);
}

static void contract_gives_the_new_column_its_final_name(void **state)
{
    (void)state;
    struct transition *transition = same_name("sync");
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    contract_add_script(transition, &text);
    assert_string_equal(text.data,
                        "ALTER TABLE \"public\".\"a\" DROP COLUMN \"x\";\n"
                        "ALTER TABLE \"public\".\"a\" RENAME COLUMN \"x_segue\" TO \"x\"");
    text_release(&text);
    transition_put(transition);
}

static void contract_renames_nothing_that_has_its_name(void **state)
{
    (void)state;
    struct transition *transition = split_name();
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    contract_add_script(transition, &text);
    assert_null(strstr(text.data, "RENAME"));
    text_release(&text);
    transition_put(transition);
}

static void undo_keeps_the_key_beside_the_old_values(void **state)
{
    (void)state;
    struct transition *transition = same_name("sync");
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    contract_add_undo(transition, "id, b", &text);
    assert_holds(text.data, "AS SELECT id, b, \"x\" FROM \"public\".\"a\"");
    text_clear(&text);
    contract_add_undo(transition, NULL, &text); /* no key: the whole row */
    assert_holds(text.data, "AS SELECT * FROM \"public\".\"a\"");
    text_release(&text);
    transition_put(transition);
}

static void the_guard_costs_a_comparison_where_rows_are_in_parity(void **state)
{
    (void)state;
    struct transition *transition = same_name("sync");
    struct text text, parity;
    text_init(&text, TEXT_UNBOUNDED);
    text_init(&parity, TEXT_UNBOUNDED);
    trimmings_add_guard(transition, PHASE_DUAL_OLD, &text);
    text_add_string(&parity, "WHEN (NOT (");
    transition_parity(transition, "NEW.", &parity);
    text_add_string(&parity, "))");
    assert_holds(text.data, parity.data);
    assert_holds(text.data, "\"zzz_segue_guard_t\" BEFORE INSERT OR UPDATE ON \"public\".\"a\"");
    text_release(&text);
    text_release(&parity);
    transition_put(transition);
}

static void the_side_that_leads_follows_the_phase(void **state)
{
    (void)state;
    struct transition *transition = same_name("sync");
    static const struct {
        enum phase phase;
        const char *leads;
    } cases[] = {
        {PHASE_DUAL_OLD, "AND false"}, {PHASE_DUAL_OWN, "AND false"}, {PHASE_DUAL_NEW, "AND true"}};
    for (size_t i = 0; i < 3; i++) {
        struct text text;
        text_init(&text, TEXT_UNBOUNDED);
        trimmings_add_guard_function(transition, cases[i].phase, &text);
        assert_holds(text.data, cases[i].leads);
        text_release(&text);
    }
    transition_put(transition);
}

static void a_default_does_not_count_as_given(void **state)
{
    (void)state;
    struct transition *transition = same_name("sync");
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    trimmings_add_guard_function(transition, PHASE_DUAL_OLD, &text);
    assert_holds(text.data, "NEW.\"x\" IS DISTINCT FROM ('0')");
    assert_holds(text.data, "new_given := (NEW.\"x_segue\" IS NOT NULL)");
    text_release(&text);
    transition_put(transition);
}

static void a_body_that_holds_the_quote_is_quoted_otherwise(void **state)
{
    (void)state;
    struct transition *transition =
        parse("transition \"t\" { table = \"a\" guard = \"sync\"\n"
              " old \"x\" { type = \"text\" from = \"y || '$segue$'\" }\n"
              " new \"y\" { type = \"text\" from = \"x\" } }");
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    free(transition->schema);
    transition->schema = strdup("public");
    trimmings_add_guard_function(transition, PHASE_DUAL_OLD, &text);
    assert_holds(text.data, "''$segue$''");
    text_release(&text);
    transition_put(transition);
}

static void reject_lets_a_row_pass_whose_columns_are_left_alone(void **state)
{
    (void)state;
    struct transition *transition = same_name("reject");
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    trimmings_add_guard_function(transition, PHASE_DUAL_OLD, &text);
    assert_holds(text.data, "IF TG_OP = 'UPDATE' AND NOT (NEW.\"x\" IS DISTINCT FROM OLD.\"x\" OR "
                            "NEW.\"x_segue\" IS DISTINCT FROM OLD.\"x_segue\") THEN");
    assert_holds(text.data, "RAISE EXCEPTION");
    text_release(&text);
    transition_put(transition);
}

static void a_value_is_judged_as_an_assignment_would(void **state)
{
    (void)state;
    struct transition *transition = same_name("off");
    struct transition_column *column = &transition->columns[SHAPE_NEW][0];
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    work_add_judged(transition, SHAPE_NEW, 0, &text);
    assert_string_equal(text.data, "(\"x\"::int)::int");
    text_clear(&text);
    column->type_oid = 1043; /* varchar(10): an explicit cast would cut */
    column->typmod = 14;
    free(column->type_bare);
    column->type_bare = strdup("character varying");
    work_add_judged(transition, SHAPE_NEW, 0, &text);
    assert_string_equal(text.data,
                        "pg_catalog.\"varchar\"((\"x\"::int)::character varying, 14, false)");
    text_release(&text);
    transition_put(transition);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expand_adds_nullable_columns_without_default),
        cmocka_unit_test(contract_gives_the_new_column_its_final_name),
        cmocka_unit_test(contract_renames_nothing_that_has_its_name),
        cmocka_unit_test(undo_keeps_the_key_beside_the_old_values),
        cmocka_unit_test(the_guard_costs_a_comparison_where_rows_are_in_parity),
        cmocka_unit_test(the_side_that_leads_follows_the_phase),
        cmocka_unit_test(a_default_does_not_count_as_given),
        cmocka_unit_test(a_body_that_holds_the_quote_is_quoted_otherwise),
        cmocka_unit_test(reject_lets_a_row_pass_whose_columns_are_left_alone),
        cmocka_unit_test(a_value_is_judged_as_an_assignment_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
