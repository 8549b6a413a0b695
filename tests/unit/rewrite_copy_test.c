/* COPY: what is sent for it, and by which statements a staged one goes in. */
#include "rewrite_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct rewrite *ask_guarded(enum guard guard, enum phase phase, enum shape shape,
                                   const char *sql)
{
    struct rewrite_world world = world_make(phase, STAGE_EXPANDED, shape);
    for (size_t i = 0; i < world.snapshot->transition_count; i++)
        world.snapshot->transitions[i].transition->guard = guard;
    struct rewrite *rewrite = rewrite_text(&world.context, slice_of(sql));
    world_free(&world);
    return rewrite;
}

static struct rewrite *ask(enum phase phase, enum shape shape, const char *sql)
{
    return ask_guarded(GUARD_OFF, phase, shape, sql);
}

/* The temporary table's name is new each time: `s` stands for it. */
static char *without_name(const struct rewrite *rewrite, struct slice sent)
{
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    for (size_t i = 0; i < sent.length;) {
        const char *name = rewrite->staging_count ? rewrite->stagings[0].name : NULL;
        size_t length = name ? strlen(name) : 0;
        if (name && sent.length - i >= length && memcmp(sent.data + i, name, length) == 0) {
            text_add_char(&out, 's');
            i += length;
        } else {
            text_add_char(&out, sent.data[i++]);
        }
    }
    return text_take(&out);
}

static void assert_sent(enum phase phase, enum shape shape, const char *sql, const char *expected)
{
    struct rewrite *rewrite = ask(phase, shape, sql);
    if (rewrite->outcome != REWRITE_CHANGED)
        fail_msg("%s: %s", sql, rewrite->error ? rewrite->error->message : "not changed");
    char *sent = without_name(rewrite, slice_of(rewrite->text.data));
    assert_string_equal(sent, expected);
    free(sent);
    rewrite_put(rewrite);
}

static void assert_refused(enum shape shape, const char *sql, const char *sqlstate)
{
    struct rewrite *rewrite = ask(PHASE_DUAL_OWN, shape, sql);
    if (rewrite->outcome != REWRITE_REFUSED)
        fail_msg("not refused: %s", sql);
    assert_string_equal(rewrite->error->sqlstate, sqlstate);
    rewrite_put(rewrite);
}

static void rows_go_straight_into_the_column_that_alone_is_written(void **state)
{
    (void)state;
    assert_sent(PHASE_OLD, SHAPE_OLD, "COPY users FROM STDIN CSV -- c",
                "COPY users (\"id\", \"role\", \"name\") FROM STDIN CSV -- c");
    assert_sent(PHASE_OLD, SHAPE_OLD, "COPY users (role) FROM STDIN",
                "COPY users (\"role\") FROM STDIN");
    assert_sent(PHASE_NEW, SHAPE_NEW, "COPY transactions (id, amount) FROM STDIN",
                "COPY transactions (\"id\", \"amount_new\") FROM STDIN");
}

static void else_they_go_by_way_of_a_temporary_table(void **state)
{
    (void)state;
    assert_sent(
        PHASE_DUAL_OWN, SHAPE_OLD, "/* a */ COPY users (id, role) FROM STDIN -- c",
        "/* a */ CREATE TEMPORARY TABLE pg_temp.s ON COMMIT DROP AS SELECT \"id\" AS \"id\", "
        "\"role\" AS \"role\" FROM users WITH NO DATA; "
        "COPY pg_temp.s (id, role) FROM STDIN; "
        "INSERT INTO users (\"id\", \"role\", \"roles\") SELECT segue_v.c1, segue_v.c2, "
        "(string_to_array(((segue_v.c2)::text), ','))::text[] FROM (SELECT segue_s.\"id\", "
        "segue_s.\"role\" FROM pg_temp.s AS segue_s) AS segue_v(c1, c2); "
        "DROP TABLE pg_temp.s -- c");
}

static void the_guard_in_sync_serves_the_old_shape(void **state)
{
    (void)state;
    const char *sql = "COPY users (id) FROM STDIN";
    for (int shape = 0; shape < SHAPE_COUNT; shape++)
        for (int phase = PHASE_DUAL_OLD; phase <= PHASE_DUAL_NEW; phase++) {
            struct rewrite *rewrite =
                ask_guarded(GUARD_SYNC, (enum phase)phase, (enum shape)shape, sql);
            assert_int_equal(rewrite->staging_count, shape == SHAPE_OLD ? 0 : 1);
            rewrite_put(rewrite);
        }
}

static void names_beside_the_list_are_the_clients(void **state)
{
    (void)state;
    struct rewrite *rewrite =
        ask(PHASE_NEW, SHAPE_NEW, "COPY transactions (id, amount) FROM STDIN WHERE amount > 1");
    assert_int_equal(rewrite->staging_count, 1);
    rewrite_put(rewrite);
    rewrite = ask(PHASE_NEW, SHAPE_NEW,
                  "COPY transactions (id, amount) FROM STDIN (HEADER MATCH, FORMAT csv)");
    assert_int_equal(rewrite->staging_count, 1);
    rewrite_put(rewrite);
}

static void a_parse_sends_the_copy_alone(void **state)
{
    (void)state;
    struct rewrite *rewrite =
        ask(PHASE_DUAL_NEW, SHAPE_NEW,
            "COPY users (id) FROM STDIN WHERE public.users.id > 1 AND users.roles IS NULL;");
    assert_int_equal(rewrite->staging_count, 1);
    assert_true(rewrite->stagings[0].reads_client);
    char *sent = without_name(rewrite, rewrite_parse_text(rewrite));
    assert_string_equal(
        sent, "COPY pg_temp.s (id) FROM STDIN WHERE \"s\".id > 1 AND \"s\".roles IS NULL");
    free(sent);
    rewrite_put(rewrite);
}

static void each_staging_knows_its_statement(void **state)
{
    (void)state;
    struct rewrite *rewrite = ask(PHASE_DUAL_OWN, SHAPE_OLD,
                                  "SELECT 1; COPY users (id) FROM STDIN; COPY other FROM STDIN; "
                                  "COPY transactions (amount) FROM 'file'");
    assert_int_equal(rewrite->staging_count, 2);
    assert_int_equal(rewrite->stagings[0].statement, 1);
    assert_int_equal(rewrite->stagings[1].statement, 3);
    assert_false(rewrite->stagings[1].reads_client);
    const struct rewrite_staging *staging = &rewrite->stagings[1];
    assert_memory_equal(rewrite->text.data + staging->copy_start, "COPY pg_temp.", 13);
    assert_memory_equal(rewrite->text.data + staging->copy_end - 6, "'file'; INSERT", 14);
    rewrite_put(rewrite);
}

static void positions_lie_in_the_clients_text(void **state)
{
    (void)state;
    const char *sql = "COPY users (id) FROM STDIN (nosuch)";
    struct rewrite *rewrite = ask(PHASE_DUAL_OWN, SHAPE_OLD, sql);
    int sent = (int)(strstr(rewrite->text.data, "nosuch") - rewrite->text.data) + 1;
    assert_int_equal(rewrite_map_position(rewrite, slice_of(sql), sent), 29);
    assert_int_equal(rewrite_map_position(rewrite, slice_of(sql), 3), 0);
    rewrite_put(rewrite);
}

static void out_of_the_table_it_is_a_query(void **state)
{
    (void)state;
    assert_sent(PHASE_DUAL_OWN, SHAPE_OLD, "COPY users TO STDOUT",
                "COPY (SELECT \"users\".\"id\", \"users\".\"role\", \"users\".\"name\" FROM ONLY "
                "users) TO STDOUT");
    assert_sent(PHASE_DUAL_OWN, SHAPE_NEW, "COPY BINARY transactions (amount) TO STDOUT;",
                "COPY  (SELECT \"transactions\".\"amount_new\" AS \"amount\" FROM ONLY "
                "transactions) TO STDOUT BINARY;");
    assert_sent(PHASE_DUAL_OWN, SHAPE_OLD,
                "COPY users (id) TO STDOUT USING DELIMITERS '|' WITH NULL 'x'",
                "COPY (SELECT \"users\".\"id\" FROM ONLY users) TO STDOUT  WITH DELIMITER '|' "
                "NULL 'x'");
    assert_sent(PHASE_DUAL_OWN, SHAPE_OLD, "COPY users (id) TO STDOUT DELIMITERS '|' (NULL 'x')",
                "COPY (SELECT \"users\".\"id\" FROM ONLY users) TO STDOUT  (NULL 'x', DELIMITER "
                "'|')");
}

static void a_list_is_looked_through_as_the_server_does(void **state)
{
    (void)state;
    assert_refused(SHAPE_OLD, "COPY users (id, roles) TO STDOUT", "42703");
    assert_refused(SHAPE_OLD, "COPY users (id, role, id) TO STDOUT", "42701");
    assert_refused(SHAPE_NEW, "COPY users (role) FROM STDIN", "42703");
    assert_refused(SHAPE_NEW, "COPY users (id) FROM STDIN WHERE users.role = 'x'", "42703");
}

static void the_row_in_a_condition_is_the_temporary_tables(void **state)
{
    (void)state;
    struct rewrite *rewrite =
        ask(PHASE_DUAL_OWN, SHAPE_OLD,
            "COPY users (role) FROM STDIN (FREEZE) WHERE users IS NOT NULL AND (public.users.*) = "
            "ROW (1, 'a', 'n', NULL)");
    assert_int_equal(rewrite->staging_count, 1);
    char *sent = without_name(rewrite, rewrite_parse_text(rewrite));
    assert_string_equal(sent, "COPY pg_temp.s (role) FROM STDIN (FREEZE) WHERE \"s\" IS NOT NULL "
                              "AND (\"s\".*) = ROW (1, 'a', 'n', NULL)");
    free(sent);
    assert_non_null(strstr(rewrite->stagings[0].create, "SELECT \"id\" AS \"id\", \"role\" AS "));
    rewrite_put(rewrite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_go_straight_into_the_column_that_alone_is_written),
        cmocka_unit_test(else_they_go_by_way_of_a_temporary_table),
        cmocka_unit_test(the_guard_in_sync_serves_the_old_shape),
        cmocka_unit_test(names_beside_the_list_are_the_clients),
        cmocka_unit_test(a_parse_sends_the_copy_alone),
        cmocka_unit_test(each_staging_knows_its_statement),
        cmocka_unit_test(positions_lie_in_the_clients_text),
        cmocka_unit_test(out_of_the_table_it_is_a_query),
        cmocka_unit_test(a_list_is_looked_through_as_the_server_does),
        cmocka_unit_test(the_row_in_a_condition_is_the_temporary_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
