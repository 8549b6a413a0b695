/* What is sent for a text, what it tells besides, and where positions lie. */
#include "rewrite_asked.h"

#define R "((array_to_string(\"users\".\"roles\", ','))::text)"

/* ------------------------------------------------------------------ what is sent */

static void everything_else_stays_byte_for_byte(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_NEW, SHAPE_OLD,
               "/*+ SeqScan(users) */ SELECT\t'é', Role -- the role\n FROM users /* ' */;\n-- end",
               "/*+ SeqScan(users) */ SELECT\t'é', " R " AS \"role\" -- the role\n FROM users /* ' "
               "*/;\n-- end");
    check_sent(PHASE_DUAL_NEW, SHAPE_OLD, "SELECT 1; SELECT role FROM users; SELECT 'role'",
               "SELECT 1; SELECT " R " AS \"role\" FROM users; SELECT 'role'");
}

static void what_is_put_in_does_not_stick_to_what_is_around(void **state)
{
    (void)state;
    check_sent(PHASE_NEW, SHAPE_NEW, "UPDATE transactions SET amount='1'WHERE id=1",
               "UPDATE transactions SET \"amount_new\"='1'WHERE id=1");
    check_sent(PHASE_DUAL_OWN, SHAPE_NEW, "UPDATE transactions SET amount='1'WHERE id=1",
               "UPDATE transactions SET \"amount_new\"='1', \"amount\" = "
               "((('1')::numeric(10,2))::text)::character varying WHERE id=1");
    check_sent(PHASE_DUAL_NEW, SHAPE_OLD, "SELECT users.*public FROM users",
               "SELECT users.\"id\", ((array_to_string(users.\"roles\", ','))::text) AS "
               "\"role\", users.\"name\" FROM users");
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD,
               "INSERT INTO transactions(id,amount)SELECT 1,'2'FROM transac.RETURNING",
               "INSERT INTO transactions(id, \"amount\", \"amount_new\")SELECT segue_v.c1, "
               "segue_v.c2, (((segue_v.c2)::character varying(12))::numeric)::numeric FROM (SELECT "
               "1,('2')::character varying FROM transac.RETURNING) AS segue_v(c1, c2)");
}

static void a_plain_read_of_the_own_column_is_untouched(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD, "SELECT role FROM users WHERE role = $1",
               "SELECT role FROM users WHERE role = $1");
    check_sent(PHASE_OLD, SHAPE_OLD, "UPDATE users SET role = $1", "UPDATE users SET role = $1");
}

static void trap_1_every_occurrence_of_a_parameter_is_cast(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD, "UPDATE transactions SET amount = $1",
               "UPDATE transactions SET amount = $1, \"amount_new\" = "
               "((($1)::character varying(12))::numeric)::numeric");
}

static void trap_2_a_volatile_value_is_evaluated_once_and_per_row(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD, "UPDATE transactions t SET amount = f()",
               "UPDATE transactions t SET (\"amount\", \"amount_new\") = (SELECT segue_v.c1, "
               "(((segue_v.c1)::character varying(12))::numeric)::numeric FROM (SELECT f() WHERE "
               "\"t\".ctid IS NOT NULL OFFSET 0) AS segue_v(c1))");
}

static void trap_3_only_untyped_items_of_a_wrapped_source_are_cast(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD,
               "INSERT INTO transactions (id, day, amount) SELECT $1, '2020-01-01', 1 + 1",
               "INSERT INTO transactions (id, day, \"amount\", \"amount_new\") SELECT "
               "segue_v.c1, segue_v.c2, segue_v.c3, "
               "(((segue_v.c3)::character varying(12))::numeric)::numeric FROM (SELECT "
               "CASE WHEN false THEN (SELECT segue_x FROM XMLTABLE('' PASSING NULL COLUMNS segue_x "
               "integer PATH '' DEFAULT ($1))) ELSE ($1)::integer END, ('2020-01-01')::date, 1 + "
               "1) AS segue_v(c1, c2, c3)");
}

static void trap_4_a_parameter_keeps_its_type_where_only_the_other_column_is_written(void **state)
{
    (void)state;
    check_sent(
        PHASE_NEW, SHAPE_OLD, "UPDATE transactions SET amount = $1",
        "UPDATE transactions SET \"amount_new\" = "
        "(pg_catalog.\"varchar\"(($1)::pg_catalog.\"varchar\", 16, false)::numeric)::numeric");
}

static void trap_5_a_computed_result_stands_for_its_column(void **state)
{
    (void)state;
    struct rewrite *rewrite =
        ask(PHASE_DUAL_NEW, SHAPE_OLD,
            "SELECT u.id, s.role, 1 FROM users u, (SELECT role FROM users) s");
    assert_int_equal(rewrite->result_count, 1);
    assert_int_equal(rewrite->results[0].column, 1);
    assert_int_equal(rewrite->results[0].table_oid, USERS_OID);
    assert_int_equal(rewrite->results[0].attnum, 2);
    rewrite_put(rewrite);
}

static void trap_5_a_column_that_expand_will_add_has_the_number_that_it_will_get(void **state)
{
    (void)state;
    struct rewrite_world world = world_make(PHASE_OLD, STAGE_APPLIED, SHAPE_NEW);
    struct rewrite *rewrite =
        rewrite_text(&world.context, slice_of("SELECT id, amount FROM transactions"));
    assert_int_equal(rewrite->result_count, 1);
    assert_int_equal(rewrite->results[0].column, 1);
    assert_int_equal(rewrite->results[0].table_oid, TRANSACTIONS_OID);
    assert_int_equal(rewrite->results[0].attnum, 4);
    rewrite_put(rewrite);
    world_free(&world);
}

/* Of each statement: which columns of its rows are told to be users.role. */
static void check_results(const char *sql, size_t count, const struct rewrite_result *expected)
{
    struct rewrite *rewrite = ask(PHASE_DUAL_NEW, SHAPE_OLD, sql);
    assert_int_equal(rewrite->result_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rewrite->results[i].statement, expected[i].statement);
        assert_int_equal(rewrite->results[i].column, expected[i].column);
        assert_int_equal(rewrite->results[i].table_oid, USERS_OID);
        assert_int_equal(rewrite->results[i].attnum, 2);
    }
    rewrite_put(rewrite);
}

static void trap_5_each_statement_of_a_text_tells_its_own_results(void **state)
{
    (void)state;
    check_results("SELECT role FROM users;; SELECT 1; SELECT *, role FROM users", 3,
                  (const struct rewrite_result[]){{.statement = 0, .column = 0},
                                                  {.statement = 2, .column = 1},
                                                  {.statement = 2, .column = 3}});
    /* a statement begun again for a derived table tells its results once */
    check_results("SELECT role FROM users; SELECT b FROM users AS u(a, b)", 2,
                  (const struct rewrite_result[]){{.statement = 0}, {.statement = 1}});
    /* what PREPARE and DECLARE make shows rows later; what EXPLAIN and CREATE TABLE AS hold, never
     */
    check_results("PREPARE p AS SELECT 1, role FROM users", 1,
                  (const struct rewrite_result[]){{.column = 1}});
    check_results("BEGIN; DECLARE c CURSOR FOR SELECT role FROM users", 1,
                  (const struct rewrite_result[]){{.statement = 1}});
    check_results("EXPLAIN SELECT role FROM users", 0, NULL);
    check_results("CREATE TABLE t AS SELECT role FROM users", 0, NULL);
    check_results("SELECT role FROM users UNION SELECT role FROM users", 0, NULL);
}

static void a_lossy_write_keeps_what_reads_back_the_same(void **state)
{
    (void)state;
    check_sent(PHASE_NEW, SHAPE_OLD, "UPDATE users SET role = 'x'",
               "UPDATE users SET \"roles\" = CASE WHEN (('x')::text) IS NOT DISTINCT FROM "
               "(array_to_string(\"users\".\"roles\", ','))::text THEN \"users\".\"roles\" ELSE "
               "(string_to_array((('x')::text), ','))::text[] END");
}

static void a_name_hidden_from_the_client_is_another_tables(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD, "SELECT roles FROM users JOIN other USING (id)",
               "SELECT \"other\".roles FROM users JOIN other USING (id)");
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD, "SELECT 1 AS roles FROM users ORDER BY roles",
               "SELECT 1 AS roles FROM users ORDER BY roles");
}

static void an_alias_that_hides_another_makes_a_derived_table(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_NEW, SHAPE_OLD,
               "SELECT (SELECT count(*) FROM other u WHERE role = 'x') FROM users u",
               "SELECT (SELECT count(*) FROM other u WHERE role = 'x') FROM (SELECT "
               "\"users\".\"id\", " R " AS \"role\", \"users\".\"name\" FROM users) u");
}

static void a_volatile_default_is_evaluated_once_for_both_columns(void **state)
{
    (void)state;
    struct rewrite_world world = world_make(PHASE_DUAL_OWN, STAGE_EXPANDED, SHAPE_OLD);
    struct transition *transition = world.snapshot->transitions[0].transition;
    transition->columns[SHAPE_OLD][0].default_expression = memory_string("f()");
    transition->columns[SHAPE_OLD][0].default_is_volatile = true;
    static const char *const texts[][2] = {
        {"INSERT INTO users (id) VALUES (1)",
         "WITH segue_1 AS (SELECT (f())::text AS v) INSERT INTO users (id, \"roles\", \"role\") "
         "VALUES (1, (string_to_array((((SELECT v FROM segue_1))::text), ','))::text[], ((SELECT v "
         "FROM segue_1)))"},
        {"WITH q AS (SELECT 1) INSERT INTO users (role) VALUES (DEFAULT)",
         "WITH q AS (SELECT 1), segue_1 AS (SELECT (f())::text AS v) INSERT INTO users (\"role\", "
         "\"roles\") VALUES ((SELECT v FROM segue_1), (string_to_array((((SELECT v FROM "
         "segue_1))::text), ','))::text[])"},
        {"INSERT INTO users (id) VALUES (1), (2)",
         "INSERT INTO users (id, \"roles\", \"role\") SELECT segue_v.c1, "
         "(string_to_array(((segue_v.c2)::text), ','))::text[], (segue_v.c2) FROM (VALUES (1, "
         "(f())::text), (2, (f())::text)) AS segue_v(c1, c2)"},
        {"INSERT INTO users (id) SELECT id FROM other",
         "INSERT INTO users (id, \"roles\", \"role\") SELECT segue_v.c2, "
         "(string_to_array(((segue_v.c1)::text), ','))::text[], (segue_v.c1) FROM (SELECT "
         "(f())::text, segue_s.* FROM (SELECT id FROM other) AS segue_s) AS segue_v(c1, c2)"},
        {"INSERT INTO users DEFAULT VALUES",
         "WITH segue_1 AS (SELECT (f())::text AS v) INSERT INTO users (\"roles\", \"role\") VALUES "
         "((string_to_array((((SELECT v FROM segue_1))::text), ','))::text[], ((SELECT v FROM "
         "segue_1)))"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct rewrite *rewrite = rewrite_text(&world.context, slice_of(texts[i][0]));
        assert_int_equal(rewrite->outcome, REWRITE_CHANGED);
        assert_string_equal(rewrite->text.data, texts[i][1]);
        rewrite_put(rewrite);
    }
    world_free(&world);
}

static void an_arbiter_names_the_column_that_holds_every_row(void **state)
{
    (void)state;
    static const char text[] =
        "INSERT INTO transactions (id) VALUES (1) ON CONFLICT (day, amount) DO NOTHING";
    struct rewrite *rewrite = ask(PHASE_DUAL_OLD, SHAPE_NEW, text);
    assert_non_null(strstr(rewrite->text.data, "ON CONFLICT (day, \"amount\") DO NOTHING"));
    rewrite_put(rewrite);
    rewrite = ask(PHASE_DUAL_OWN, SHAPE_NEW, text);
    assert_non_null(strstr(rewrite->text.data, "ON CONFLICT (day, \"amount_new\") DO NOTHING"));
    rewrite_put(rewrite);
    rewrite = ask(PHASE_DUAL_OWN, SHAPE_OLD, text);
    assert_non_null(strstr(rewrite->text.data, "ON CONFLICT (day, amount) DO NOTHING"));
    rewrite_put(rewrite);
    rewrite = ask(PHASE_NEW, SHAPE_OLD, text);
    assert_non_null(strstr(rewrite->text.data, "ON CONFLICT (day, \"amount_new\") DO NOTHING"));
    rewrite_put(rewrite);
    check_refused(
        PHASE_DUAL_NEW, SHAPE_OLD,
        "INSERT INTO transactions (id) VALUES (1) ON CONFLICT ((amount || 'x')) DO NOTHING",
        "42P10", 0); /* no index of the plain table's can be on that */
    check_refused(
        PHASE_DUAL_NEW, SHAPE_OLD,
        "INSERT INTO transactions (id) VALUES (1) ON CONFLICT (amount COLLATE \"C\") DO NOTHING",
        "0A000", 54);
    check_refused(PHASE_DUAL_NEW, SHAPE_OLD,
                  "INSERT INTO users (id) VALUES (1) ON CONFLICT (role) DO NOTHING", "42P10", 0);
}

static void a_source_of_unknown_columns_is_taken_to_give_them_all(void **state)
{
    (void)state;
    check_sent(PHASE_DUAL_OWN, SHAPE_OLD, "INSERT INTO transactions SELECT * FROM f()",
               "INSERT INTO transactions (\"id\", \"amount\", \"amount_new\", \"day\") SELECT "
               "segue_v.c1, segue_v.c2, (((segue_v.c2)::character varying(12))::numeric)::numeric, "
               "segue_v.c3 FROM (SELECT segue_s.*, 0 AS c4 FROM (SELECT * FROM f()) AS segue_s) AS "
               "segue_v(c1, c2, c3, c4) WHERE segue_v.c4 = 0");
}

static void after_contract_old_columns_stand_where_they_were(void **state)
{
    (void)state;
    struct rewrite_world world = world_make(PHASE_NEW, STAGE_CONTRACTED, SHAPE_OLD);
    struct rewrite *rewrite =
        rewrite_text(&world.context, slice_of("INSERT INTO transactions VALUES (1, '2', NULL)"));
    assert_string_equal(rewrite->text.data,
                        "INSERT INTO transactions (\"id\", \"amount\", \"day\") VALUES (1, "
                        "(pg_catalog.\"varchar\"(('2')::pg_catalog.\"varchar\", 16, "
                        "false)::numeric)::numeric, NULL)");
    rewrite_put(rewrite);
    world_free(&world);
}

/* ------------------------------------------------------------------ facts and positions */

static void tells_what_the_session_must_remember(void **state)
{
    (void)state;
    struct rewrite *rewrite =
        ask(PHASE_DUAL_OWN, SHAPE_OLD,
            "PREPARE \"A b\" AS SELECT 1; EXPLAIN EXECUTE p; DEALLOCATE q; DEALLOCATE ALL; "
            "SET LOCAL segue.shape = 'new'; RESET segue.shape; EXECUTE r; "
            "DECLARE \"C\" CURSOR WITH HOLD FOR SELECT 1; DECLARE d CURSOR FOR SELECT 1; "
            "FETCH 2 FROM d; CLOSE d; CLOSE ALL; MOVE d; SET work_mem = 1");
    assert_int_equal(rewrite->statement_count, 14);
    static const struct {
        uint32_t fact;
        const char *name;
    } expected[] = {{REWRITE_FACT_PREPARE, "A b"},
                    {REWRITE_FACT_EXECUTE | REWRITE_FACT_IS_HELD, "p"},
                    {REWRITE_FACT_DEALLOCATE, "q"},
                    {REWRITE_FACT_DEALLOCATE, NULL},
                    {REWRITE_FACT_SET_SHAPE | REWRITE_FACT_SET_LOCAL, "new"},
                    {REWRITE_FACT_SET_SHAPE, NULL},
                    {REWRITE_FACT_EXECUTE | REWRITE_FACT_MOVED, "r"}, /* behind SET of the shape */
                    {REWRITE_FACT_DECLARE | REWRITE_FACT_WITH_HOLD, "C"},
                    {REWRITE_FACT_DECLARE, "d"},
                    {REWRITE_FACT_FETCH, "d"},
                    {REWRITE_FACT_CLOSE, "d"},
                    {REWRITE_FACT_CLOSE, NULL}};
    assert_int_equal(rewrite->named_count, 12);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(rewrite->named[i].fact, expected[i].fact);
        assert_int_equal(rewrite->named[i].statement, i);
        if (expected[i].name)
            assert_string_equal(rewrite->named[i].name, expected[i].name);
        else
            assert_null(rewrite->named[i].name);
    }
    rewrite_put(rewrite);
}

/* The position of a word in the sent text must map to the other in the client's, or (NULL) to 0. */
static void check_position(const char *client, const char *word, const char *to)
{
    struct rewrite *rewrite = ask(PHASE_DUAL_NEW, SHAPE_OLD, client);
    assert_int_equal(rewrite->outcome, REWRITE_CHANGED);
    const char *sent = strstr(rewrite->text.data, word);
    assert_non_null(sent);
    int position = 1;
    for (const char *at = rewrite->text.data; at < sent; at++)
        position += (*at & 0xC0) != 0x80;
    int expected = 0;
    if (to) {
        expected = 1;
        for (const char *at = client; at < strstr(client, to); at++)
            expected += (*at & 0xC0) != 0x80;
    }
    assert_int_equal(rewrite_map_position(rewrite, slice_of(client), position), expected);
    rewrite_put(rewrite);
}

static void positions_lead_back_to_the_clients_characters(void **state)
{
    (void)state;
    static const char client[] = "SELECT 'ééé', role, nosuch FROM users WHERE rôle = role AND x";
    check_position(client, "nosuch", "nosuch");
    check_position(client, "rôle", "rôle");
    check_position(client, "AND x", "AND x");
    check_position("INSERT INTO users (id, role) VALUES (bad, 'é' || worse)", "bad", "bad");
    check_position("INSERT INTO users (id, role) VALUES (bad, 'é' || worse)", "worse", "worse");
}

static void a_position_inside_what_stands_for_a_name_is_that_names(void **state)
{
    (void)state;
    check_position("SELECT 'é', u.role FROM users u", "array_to_string", "u.role");
    check_position("SELECT 'é', u.\"role\" FROM users u", "array_to_string", "u.\"role\"");
    check_position("SELECT 'é', * FROM users", "array_to_string", "*");
    check_position("INSERT INTO users (id, role) VALUES (1, 'x')", "string_to_array", NULL);
    check_position("INSERT INTO users (id, role, nosuch) VALUES (1, 'x', 2)", "nosuch", "nosuch");
}

static void a_name_may_be_spelled_in_bytes_of_another_encoding(void **state)
{
    (void)state;
    struct rewrite_world world = world_make(PHASE_DUAL_NEW, STAGE_EXPANDED, SHAPE_OLD);
    const char *latin1 = "SELECT 1 FROM gr\xf6\xdf"
                         "e";
    struct rewrite *rewrite = rewrite_text(&world.context, slice_of(latin1));
    assert_int_equal(rewrite->outcome, REWRITE_UNTOUCHED);
    rewrite_put(rewrite);
    world.snapshot->needs_utf8 = true; /* as where the table is called so */
    world.context.encoding_is_safe = false;
    rewrite = rewrite_text(&world.context, slice_of(latin1));
    assert_int_equal(rewrite->outcome, REWRITE_REFUSED);
    assert_string_equal(rewrite->error->sqlstate, "0A000");
    rewrite_put(rewrite);
    rewrite = rewrite_text(&world.context, slice_of("SELECT 1 FROM plain"));
    assert_int_equal(rewrite->outcome, REWRITE_UNTOUCHED);
    rewrite_put(rewrite);
    world_free(&world);
}

static void the_turned_condition_stands_behind_the_clients_own(void **state)
{
    (void)state;
    struct rewrite_world world = world_make(PHASE_DUAL_NEW, STAGE_EXPANDED, SHAPE_OLD);
    struct transition *amount = world.snapshot->transitions[1].transition;
    amount->columns[SHAPE_NEW][0].type_oid = 1700;
    amount->columns[SHAPE_NEW][0].typmod = (10 << 16 | 2) + 4;
    struct rewrite *rewrite =
        rewrite_text(&world.context, slice_of("SELECT id FROM transactions WHERE amount = $1"));
    assert_non_null(strstr(rewrite->text.data, "::character varying(12)) = $1 AND "
                                               "\"transactions\".\"amount_new\" = (CASE WHEN"));
    rewrite_put(rewrite);
    amount->lossless = false;
    rewrite =
        rewrite_text(&world.context, slice_of("SELECT id FROM transactions WHERE amount = $1"));
    assert_null(strstr(rewrite->text.data, " AND "));
    rewrite_put(rewrite);
    world_free(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_else_stays_byte_for_byte),
        cmocka_unit_test(what_is_put_in_does_not_stick_to_what_is_around),
        cmocka_unit_test(a_plain_read_of_the_own_column_is_untouched),
        cmocka_unit_test(trap_1_every_occurrence_of_a_parameter_is_cast),
        cmocka_unit_test(trap_2_a_volatile_value_is_evaluated_once_and_per_row),
        cmocka_unit_test(trap_3_only_untyped_items_of_a_wrapped_source_are_cast),
        cmocka_unit_test(trap_4_a_parameter_keeps_its_type_where_only_the_other_column_is_written),
        cmocka_unit_test(trap_5_a_computed_result_stands_for_its_column),
        cmocka_unit_test(trap_5_a_column_that_expand_will_add_has_the_number_that_it_will_get),
        cmocka_unit_test(trap_5_each_statement_of_a_text_tells_its_own_results),
        cmocka_unit_test(a_lossy_write_keeps_what_reads_back_the_same),
        cmocka_unit_test(a_name_hidden_from_the_client_is_another_tables),
        cmocka_unit_test(an_alias_that_hides_another_makes_a_derived_table),
        cmocka_unit_test(a_volatile_default_is_evaluated_once_for_both_columns),
        cmocka_unit_test(an_arbiter_names_the_column_that_holds_every_row),
        cmocka_unit_test(a_source_of_unknown_columns_is_taken_to_give_them_all),
        cmocka_unit_test(after_contract_old_columns_stand_where_they_were),
        cmocka_unit_test(tells_what_the_session_must_remember),
        cmocka_unit_test(positions_lead_back_to_the_clients_characters),
        cmocka_unit_test(a_name_may_be_spelled_in_bytes_of_another_encoding),
        cmocka_unit_test(the_turned_condition_stands_behind_the_clients_own),
        cmocka_unit_test(a_position_inside_what_stands_for_a_name_is_that_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
