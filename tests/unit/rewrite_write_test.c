/* What is sent for MERGE, for a SET list in all its forms, and for the row of a table written. */
#include "rewrite_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct rewrite *ask(enum phase phase, enum shape shape, enum guard guard, const char *text)
{
    struct rewrite_world world = world_make(phase, STAGE_EXPANDED, shape);
    for (size_t i = 0; i < world.snapshot->transition_count; i++)
        world.snapshot->transitions[i].transition->guard = guard;
    struct rewrite *rewrite = rewrite_text(&world.context, slice_of(text));
    world_free(&world);
    return rewrite;
}

static void check_guarded(enum phase phase, enum shape shape, enum guard guard, const char *text,
                          const char *expected)
{
    struct rewrite *rewrite = ask(phase, shape, guard, text);
    if (rewrite->error)
        fail_msg("%s: %s", text, rewrite->error->message);
    assert_string_equal(rewrite->outcome == REWRITE_CHANGED ? rewrite->text.data : text, expected);
    rewrite_put(rewrite);
}

static void check_sent(enum phase phase, enum shape shape, const char *text, const char *expected)
{
    check_guarded(phase, shape, GUARD_OFF, text, expected);
}

static void check_refused(enum phase phase, enum shape shape, const char *text,
                          const char *sqlstate, const char *part, int position)
{
    struct rewrite *rewrite = ask(phase, shape, GUARD_OFF, text);
    if (rewrite->outcome != REWRITE_REFUSED)
        fail_msg("not refused: %s", text);
    assert_string_equal(rewrite->error->sqlstate, sqlstate);
    assert_non_null(strstr(rewrite->error->message, part));
    assert_int_equal(rewrite->error->position, position);
    rewrite_put(rewrite);
}

/* The conversions of `transactions` as they are sent, over a value. */
#define TO_NUMERIC(value) "(((" value ")::character varying(12))::numeric)::numeric"

/* ------------------------------------------------------------------ SET lists */

static void a_row_becomes_single_assignments_with_their_values_in_place(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD,
               "UPDATE transactions SET (day, amount) = ROW (DEFAULT, '2') /* x */ WHERE id = 1",
               "UPDATE transactions SET day = DEFAULT, amount = '2', \"amount_new\" = " TO_NUMERIC(
                   "'2'") " /* x */ WHERE id = 1");
    check_sent(PHASE_NEW, SHAPE_OLD, "UPDATE transactions SET (amount, day) = ($1, $2)",
               "UPDATE transactions SET \"amount_new\" = "
               "(pg_catalog.\"varchar\"(($1)::pg_catalog.\"varchar\", 16, "
               "false)::numeric)::numeric, day = $2");
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD, "UPDATE users SET (id, name) = (1, 'x')",
               "UPDATE users SET (id, name) = (1, 'x')");
}

static void a_querys_row_is_taken_once_and_converted(void **state)
{
    (void)state;
    check_sent(
        PHASE_DUAL_OWN, SHAPE_OLD,
        "UPDATE transactions t SET (day, amount) = (SELECT NULL, f()), id = 2",
        "UPDATE transactions t SET (day, \"amount\", \"amount_new\") = (WITH segue_q1(c1, "
        "c2) AS MATERIALIZED (SELECT NULL, f()) SELECT segue_q1.c1, segue_q1.c2, " TO_NUMERIC(
            "segue_q1.c2") " FROM (SELECT 1) AS segue_v LEFT JOIN segue_q1 ON true), id = 2");
}

static void a_query_and_a_single_value_share_a_sub_select(void **state)
{
    (void)state;
    struct rewrite *rewrite =
        ask(PHASE_DUAL_OWN, SHAPE_OLD, GUARD_OFF,
            "UPDATE transactions SET id = 1, amount = f(), day = g(), (id) = (SELECT 2)");
    assert_int_equal(rewrite->outcome, REWRITE_CHANGED);
    assert_string_equal(rewrite->text.data,
                        "UPDATE transactions SET id = 1, (\"amount\", \"amount_new\") = (SELECT "
                        "segue_v.c1, " TO_NUMERIC(
                            "segue_v.c1") " FROM (SELECT f() WHERE \"transactions\".ctid IS NOT "
                                          "NULL OFFSET 0) AS segue_v(c1)), day = g(), (id) = "
                                          "(SELECT 2)");
    rewrite_put(rewrite);
}

static void a_starred_row_is_a_query_of_the_row(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD,
               "UPDATE transactions SET (day, amount) = ROW ($1, o.*) FROM (SELECT '1') o",
               "UPDATE transactions SET (day, \"amount\", \"amount_new\") = (WITH segue_q1(c1, c2) "
               "AS MATERIALIZED (SELECT CASE WHEN false THEN (SELECT segue_x FROM XMLTABLE('' "
               "PASSING NULL COLUMNS segue_x date PATH '' DEFAULT ($1))) ELSE ($1)::date END, o.* "
               "WHERE \"transactions\".ctid IS NOT NULL) "
               "SELECT segue_q1.c1, segue_q1.c2, " TO_NUMERIC(
                   "segue_q1.c2") " FROM (SELECT 1) AS segue_v LEFT JOIN segue_q1 ON true) FROM "
                                  "(SELECT '1') o");
}

static void a_default_is_the_shapes_own(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD, "UPDATE transactions SET amount = DEFAULT",
               "UPDATE transactions SET amount = DEFAULT, \"amount_new\" = " TO_NUMERIC("NULL"));
    check_sent(PHASE_DUAL_OWN, SHAPE_NEW, "UPDATE transactions SET (id, amount) = (1, DEFAULT)",
               "UPDATE transactions SET id = 1, \"amount_new\" = (NULL), \"amount\" = "
               "(((NULL)::numeric(10,2))::text)::character varying");
}

static void what_cannot_be_told_is_left_to_the_guard_or_refused(void **state)
{
    (void)state;
    check_guarded(PHASE_DUAL_OWN, SHAPE_NEW, GUARD_SYNC, "UPDATE users SET roles[:1] = '{x}'",
                  "UPDATE users SET roles[:1] = '{x}'");
    check_refused(PHASE_DUAL_OWN, SHAPE_NEW, "UPDATE users SET roles[f()] = 'x'", "0A000",
                  "such a part of the column", 18);
    check_refused(PHASE_NEW, SHAPE_OLD, "UPDATE users SET role.a = 'x'", "0A000",
                  "such a part of the column", 18);
    check_refused(PHASE_DUAL_OWN, SHAPE_OLD, "UPDATE users SET (id, role) = (SELECT * FROM f())",
                  "0A000", "a row whose columns Segue does not know", 23);
    check_guarded(PHASE_DUAL_OWN, SHAPE_OLD, GUARD_SYNC,
                  "UPDATE users SET (id, role) = (SELECT * FROM f())",
                  "UPDATE users SET (id, role) = (SELECT * FROM f())");
}

static void the_servers_own_errors_are_told_as_it_tells_them(void **state)
{
    (void)state;
    check_refused(PHASE_NEW, SHAPE_OLD, "UPDATE users SET role = 'a', role = 'b'", "42601",
                  "multiple assignments to same column \"role\"", 0);
    check_refused(PHASE_NEW, SHAPE_OLD, "UPDATE users SET (role, id) = ROW (1)", "42601",
                  "number of columns does not match number of values", 31);
    check_refused(PHASE_NEW, SHAPE_OLD, "UPDATE users SET (role, id) = (SELECT 1)", "42601",
                  "number of columns does not match number of values", 31);
    check_refused(PHASE_NEW, SHAPE_OLD, "UPDATE users SET role = 'a' FROM users", "42712",
                  "table name \"users\" specified more than once", 0);
    check_refused(PHASE_NEW, SHAPE_OLD,
                  "MERGE INTO users u USING other u ON true WHEN MATCHED THEN DELETE", "42712",
                  "name \"u\" specified more than once", 0);
}

static void a_with_of_its_name_does_not_hide_the_target(void **state)
{
    (void)state;
    check_sent(PHASE_NEW, SHAPE_OLD,
               "WITH transactions AS (SELECT 1) DELETE FROM transactions RETURNING amount",
               "WITH transactions AS (SELECT 1) DELETE FROM transactions RETURNING "
               "((\"transactions\".\"amount_new\"::text)::character varying(12)) AS \"amount\"");
}

static void a_target_whose_alias_is_hidden_is_named_bare(void **state)
{
    (void)state;
    check_sent(PHASE_NEW, SHAPE_OLD,
               "DELETE FROM transactions t WHERE EXISTS (SELECT FROM other t WHERE amount = '1')",
               "DELETE FROM transactions t WHERE EXISTS (SELECT FROM other t WHERE "
               "((\"amount_new\"::text)::character varying(12)) = '1')");
}

/* Beside the transition of `users` another, of a column with a default, that is still in `old`. */
static struct rewrite *ask_of_two(const char *text)
{
    static const char definition[] = "transition \"users_name\" {\n"
                                     "    table = \"public.users\"\n"
                                     "    old \"name\" { type = \"text\" from = \"label\" }\n"
                                     "    new \"label\" { type = \"text\" from = \"name\" }\n"
                                     "    lossless = true\n"
                                     "}\n";
    struct rewrite_world world = world_make(PHASE_DUAL_OWN, STAGE_EXPANDED, SHAPE_OLD);
    size_t count;
    struct error error;
    struct transition **transitions = transition_parse(definition, "two.conf", &count, &error);
    assert_non_null(transitions);
    transitions[0]->table_oid = USERS_OID;
    transitions[0]->columns[SHAPE_OLD][0].default_expression =
        memory_string("nextval('names'::regclass)");
    transitions[0]->columns[SHAPE_OLD][0].default_is_volatile = true;
    const struct snapshot_transition at[] = {
        world.snapshot->transitions[0],
        {.transition = transitions[0], .phase = PHASE_OLD, .stage = STAGE_APPLIED}};
    struct snapshot *two = snapshot_new(2, world.snapshot->catalog, at, 2);
    world.context.snapshot = two;
    struct rewrite *rewrite = rewrite_text(&world.context, slice_of(text));
    snapshot_put(two);
    transition_put(transitions[0]);
    free((void *)transitions);
    world_free(&world);
    return rewrite;
}

static void a_default_that_nothing_is_added_for_stays_a_default(void **state)
{
    (void)state;
    struct rewrite *rewrite =
        ask_of_two("INSERT INTO users (name, role, id) VALUES (DEFAULT, $1, length($1))");
    if (rewrite->error)
        fail_msg("%s", rewrite->error->message);
    assert_string_equal(rewrite->text.data,
                        "INSERT INTO users (\"name\", \"role\", id, \"roles\") VALUES (DEFAULT, "
                        "$1, length($1), (string_to_array((($1)::text), ','))::text[])");
    rewrite_put(rewrite);
}

/* ------------------------------------------------------------------ MERGE */

static void each_action_is_written_as_the_statement_of_its_name(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD,
               "MERGE INTO transactions t USING other o ON t.id = o.id AND t.amount <> '1' "
               "WHEN MATCHED AND t.amount = '2' THEN UPDATE SET amount = o.roles, day = NULL "
               "WHEN MATCHED THEN DELETE "
               "WHEN NOT MATCHED AND o.id > 1 THEN INSERT (id, amount) VALUES (o.id, o.roles) "
               "WHEN NOT MATCHED THEN DO NOTHING",
               "MERGE INTO transactions t USING other o ON t.id = o.id AND t.amount <> '1' "
               "WHEN MATCHED AND t.amount = '2' THEN UPDATE SET amount = o.roles, "
               "\"amount_new\" = " TO_NUMERIC(
                   "o.roles") ", day = NULL WHEN MATCHED THEN DELETE "
                              "WHEN NOT MATCHED AND o.id > 1 THEN INSERT (id, \"amount\", "
                              "\"amount_new\") VALUES (o.id, o.roles, " TO_NUMERIC(
                                  "o.roles") ") WHEN NOT MATCHED THEN DO NOTHING");
}

static void a_merged_row_has_the_shapes_columns_and_defaults(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD,
               "MERGE INTO transactions t USING other o ON false WHEN NOT MATCHED THEN INSERT "
               "VALUES (o.id, $1)",
               "MERGE INTO transactions t USING other o ON false WHEN NOT MATCHED THEN INSERT "
               "(\"id\", \"amount\", \"amount_new\") VALUES (o.id, $1, " TO_NUMERIC("$1") ")");
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD,
               "MERGE INTO transactions t USING other o ON false WHEN NOT MATCHED THEN INSERT "
               "(id) OVERRIDING USER VALUE VALUES (o.id)",
               "MERGE INTO transactions t USING other o ON false WHEN NOT MATCHED THEN INSERT "
               "(id, \"amount_new\") OVERRIDING USER VALUE VALUES (o.id, " TO_NUMERIC("NULL") ")");
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD,
               "MERGE INTO transactions t USING other o ON false WHEN NOT MATCHED THEN INSERT "
               "DEFAULT VALUES",
               "MERGE INTO transactions t USING other o ON false WHEN NOT MATCHED THEN INSERT "
               "(\"amount_new\") VALUES (" TO_NUMERIC("NULL") ")");
    check_sent(
        PHASE_DUAL_OWN, SHAPE_OLD,
        "MERGE INTO transactions t USING other o ON false WHEN NOT MATCHED THEN INSERT "
        "(id, amount) VALUES (o.*)",
        "MERGE INTO transactions t USING other o ON false WHEN NOT MATCHED THEN INSERT "
        "(id, \"amount\", \"amount_new\") VALUES (\"o\".\"id\", \"o\".\"roles\", " TO_NUMERIC(
            "\"o\".\"roles\"") ")");
}

static void a_refused_merge_names_the_transition_that_it_writes(void **state)
{
    (void)state;
    check_refused(
        PHASE_DUAL_OWN, SHAPE_OLD,
        "MERGE INTO transactions t USING users u ON t.id = u.id WHEN MATCHED AND u.id = 1 "
        "THEN UPDATE SET (id, day) = (SELECT 1, NULL) WHEN MATCHED THEN UPDATE SET (id, "
        "amount) = (SELECT 2, '2')",
        "0A000", "transition \"amount\"", 161);
}

static void a_when_within_a_case_is_not_merges(void **state)
{
    (void)state;
    check_sent(
        PHASE_NEW, SHAPE_NEW,
        "MERGE INTO transactions t USING other o ON CASE WHEN t.id = 1 THEN true END WHEN "
        "MATCHED AND true THEN UPDATE SET amount = CASE WHEN t.id = 1 THEN 1 END WHEN MATCHED AND "
        "CASE WHEN true THEN true END THEN UPDATE SET amount = 2",
        "MERGE INTO transactions t USING other o ON CASE WHEN t.id = 1 THEN true END WHEN "
        "MATCHED AND true THEN UPDATE SET \"amount_new\" = CASE WHEN t.id = 1 THEN 1 END WHEN "
        "MATCHED AND CASE WHEN true THEN true END THEN UPDATE SET \"amount_new\" = 2");
}

#define CARRIED "(pg_catalog.current_setting('segue.merge')::text[])[1]::character varying"
#define CARRIES(value)                                                                             \
    "pg_catalog.set_config('segue.merge', (ARRAY[pg_catalog.\"varchar\"((" value                   \
    ")::pg_catalog.\"varchar\", 16, false)::text])::text, true) IS NOT NULL"

static void merge_evaluates_once_in_the_clauses_condition(void **state)
{
    (void)state;
    static const char insert[] = "MERGE INTO transactions t USING other o ON false WHEN NOT "
                                 "MATCHED THEN INSERT (amount) VALUES (f())";
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD, insert,
               "MERGE INTO transactions t USING other o ON false WHEN NOT MATCHED "
               "AND " CARRIES("f()") " THEN INSERT (\"amount\", \"amount_new\") VALUES (" CARRIED
                                     ", " TO_NUMERIC(CARRIED) ")");
    check_sent(PHASE_NEW, SHAPE_OLD, insert,
               "MERGE INTO transactions t USING other o ON false WHEN NOT MATCHED THEN INSERT "
               "(\"amount_new\") VALUES ((pg_catalog.\"varchar\"((f())::pg_catalog.\"varchar\", "
               "16, false)::numeric)::numeric)");
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD,
               "MERGE INTO transactions t USING other o ON true WHEN MATCHED AND t.id = 1 THEN "
               "UPDATE SET (id, day) = (SELECT 1, NULL) WHEN MATCHED AND t.id = 2 OR o.id = 3 THEN "
               "UPDATE SET id = 4, amount = f()",
               "MERGE INTO transactions t USING other o ON true WHEN MATCHED AND t.id = 1 THEN "
               "UPDATE SET (id, day) = (SELECT 1, NULL) WHEN MATCHED AND CASE WHEN (t.id = 2 OR "
               "o.id = 3) THEN " CARRIES("f()") " END THEN UPDATE SET id = 4, amount = " CARRIED
                                                ", \"amount_new\" = " TO_NUMERIC(CARRIED));
}

/* ------------------------------------------------------------------ other constants */

/* A text of a known shape is not parsed; it must come out as if it had been. */
static void check_template(const char *first, const char *second)
{
    struct rewrite_world world = world_make(PHASE_DUAL_OWN, STAGE_EXPANDED, SHAPE_OLD);
    struct rewrite_cache *cache = rewrite_cache_new(1 << 20);
    (void)rewrite_cache_find(cache, &world.context, slice_of(first));
    struct rewrite *filled =
        rewrite_get(rewrite_cache_find(cache, &world.context, slice_of(second)));
    struct rewrite_cache_counters counters;
    rewrite_cache_counters(cache, &counters);
    assert_int_equal(counters.shape_hits, 1);
    struct rewrite *parsed = rewrite_text(&world.context, slice_of(second));
    assert_int_equal(filled->outcome, REWRITE_CHANGED);
    assert_string_equal(filled->text.data, parsed->text.data);
    rewrite_put(parsed);
    rewrite_put(filled);
    rewrite_cache_free(cache);
    world_free(&world);
}

static void what_is_written_takes_other_texts_constants(void **state)
{
    (void)state;
    check_template("UPDATE users SET (role, name) = ('a', 'b') WHERE id = 1",
                   "UPDATE users SET (role, name) = ('longer, x', '') WHERE id = 22");
    check_template("UPDATE users SET role = f('a', 1), (id, name) = (SELECT 2, 'n')",
                   "UPDATE users SET role = f('bcd', 100), (id, name) = (SELECT 3, 'q')");
    check_template(
        "MERGE INTO users u USING other o ON u.id = 1 WHEN MATCHED THEN UPDATE SET role = "
        "'x' WHEN NOT MATCHED THEN INSERT (role, id) VALUES ('y', 5)",
        "MERGE INTO users u USING other o ON u.id = 77 WHEN MATCHED THEN UPDATE SET role = "
        "'xyz' WHEN NOT MATCHED THEN INSERT (role, id) VALUES ('y''y', 6)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_becomes_single_assignments_with_their_values_in_place),
        cmocka_unit_test(a_querys_row_is_taken_once_and_converted),
        cmocka_unit_test(a_query_and_a_single_value_share_a_sub_select),
        cmocka_unit_test(a_starred_row_is_a_query_of_the_row),
        cmocka_unit_test(a_default_is_the_shapes_own),
        cmocka_unit_test(a_default_that_nothing_is_added_for_stays_a_default),
        cmocka_unit_test(what_cannot_be_told_is_left_to_the_guard_or_refused),
        cmocka_unit_test(the_servers_own_errors_are_told_as_it_tells_them),
        cmocka_unit_test(a_with_of_its_name_does_not_hide_the_target),
        cmocka_unit_test(a_target_whose_alias_is_hidden_is_named_bare),
        cmocka_unit_test(each_action_is_written_as_the_statement_of_its_name),
        cmocka_unit_test(a_merged_row_has_the_shapes_columns_and_defaults),
        cmocka_unit_test(a_refused_merge_names_the_transition_that_it_writes),
        cmocka_unit_test(a_when_within_a_case_is_not_merges),
        cmocka_unit_test(merge_evaluates_once_in_the_clauses_condition),
        cmocka_unit_test(what_is_written_takes_other_texts_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
