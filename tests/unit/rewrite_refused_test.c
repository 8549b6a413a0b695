/* What is left alone, and what is refused and how. */
#include "rewrite_asked.h"
#include "segue/sql/parse.h"

/* ---------------------------------------------------------------- what is not ours */

static void what_does_not_name_the_table_is_untouched(void **state)
{
    (void)state;
    check_untouched("SELECT role, roles FROM elsewhere.users");
    check_untouched("SELECT users FROM other AS users");
    check_untouched("WITH users AS (SELECT 1 AS role) SELECT role FROM users");
    check_untouched("SELECT 'users', $$users$$ -- users");
    check_untouched("SELECT frobnicate the zebra");
    check_untouched("TRUNCATE users; VACUUM users; ANALYZE users (role); LOCK users");
    check_untouched("");
}

static void without_a_resolution_it_is_asked_for_only_where_it_matters(void **state)
{
    (void)state;
    struct rewrite_world world = world_make(PHASE_DUAL_NEW, STAGE_EXPANDED, SHAPE_OLD);
    world.context.resolution = NULL;
    struct rewrite *rewrite = rewrite_text(&world.context, slice_of("SELECT role FROM users"));
    assert_int_equal(rewrite->outcome, REWRITE_NEEDS_RESOLUTION);
    rewrite_put(rewrite);
    rewrite = rewrite_text(&world.context, slice_of("SELECT role FROM staff"));
    assert_int_equal(rewrite->outcome, REWRITE_UNTOUCHED);
    rewrite_put(rewrite);
    world_free(&world);
}

static void strings_are_read_as_the_session_reads_them(void **state)
{
    (void)state;
    struct rewrite_world world = world_make(PHASE_DUAL_NEW, STAGE_EXPANDED, SHAPE_OLD);
    static const char text[] = "SELECT 'a\\', role FROM users --'";
    struct rewrite *rewrite = rewrite_text(&world.context, slice_of(text));
    assert_int_equal(rewrite->outcome, REWRITE_CHANGED);
    rewrite_put(rewrite);
    world.context.standard_conforming_strings = false;
    rewrite = rewrite_text(&world.context, slice_of(text)); /* now all of it is one literal */
    assert_int_equal(rewrite->outcome, REWRITE_UNTOUCHED);
    rewrite_put(rewrite);
    world_free(&world);
}

/* ------------------------------------------------------------------ what is refused */

static void the_other_shapes_column_does_not_exist(void **state)
{
    (void)state;
    check_refused(PHASE_DUAL_OWN, SHAPE_OLD, "SELECT 'é', roles FROM users", "42703", 13);
    check_refused(PHASE_DUAL_OWN, SHAPE_NEW, "SELECT u.role FROM users u", "42703", 8);
    check_refused(PHASE_DUAL_OWN, SHAPE_OLD, "UPDATE users SET roles = NULL", "42703", 18);
    check_refused(PHASE_DUAL_OWN, SHAPE_OLD, "INSERT INTO users (roles) VALUES (NULL)", "42703",
                  20);
    check_refused(PHASE_DUAL_OWN, SHAPE_OLD, "SELECT amount_new FROM transactions", "42703", 8);
}

static void a_lossy_column_waits_for_its_phase(void **state)
{
    (void)state;
    check_refused(PHASE_OLD, SHAPE_NEW, "SELECT roles FROM users", "55000", 8);
    check_refused(PHASE_OLD, SHAPE_NEW, "SELECT * FROM users", "55000", 8);
    check_refused(PHASE_OLD, SHAPE_NEW, "UPDATE users SET roles = '{a}'", "55000", 18);
    check_sent(PHASE_OLD, SHAPE_NEW, "SELECT id FROM users", "SELECT id FROM users");
}

/* Of a text that names the table behind the statement, in a transaction that changed names or not.
 */
static void check_ended(const char *statement, bool has_changed, enum rewrite_outcome expected)
{
    char text[128];
    struct rewrite_world world = world_make(PHASE_DUAL_NEW, STAGE_EXPANDED, SHAPE_OLD);
    world.context.is_until_transaction_ends = has_changed;
    snprintf(text, sizeof text, "%s; SELECT role FROM users", statement);
    struct rewrite *rewrite = rewrite_text(&world.context, slice_of(text));
    if (rewrite->outcome != expected)
        fail_msg("%s: %d", text, (int)rewrite->outcome);
    rewrite_put(rewrite);
    world_free(&world);
}

static void what_cannot_be_right_in_every_phase_is_refused(void **state)
{
    static const char *const texts[] = {
        "CREATE VIEW v AS SELECT * FROM users",
        "CREATE MATERIALIZED VIEW v AS SELECT * FROM users",
        "CREATE RULE r AS ON INSERT TO other DO ALSO DELETE FROM users",
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users'",
        "DO $$BEGIN DELETE FROM users; END$$",
        "CREATE TABLE t (LIKE users)",
        "CREATE TABLE t () INHERITS (users)",
        "ALTER TABLE users DROP COLUMN role",
        "ALTER TABLE users ADD COLUMN roles int",
        "ALTER TABLE users RENAME TO people",
        "ALTER TABLE users RENAME COLUMN role TO part",
        "ALTER TABLE users SET SCHEMA elsewhere",
        "DROP TABLE other, users",
        "CREATE INDEX ON users (lower(role))",
        "GRANT UPDATE (role) ON users TO PUBLIC",
        "SELECT NULL::users",
        "SELECT jsonb_populate_record(NULL::public.users, '{}')",
        "SET search_path = elsewhere; SELECT 1 FROM users",
        "SELECT set_config('search_path', 'elsewhere', false); SELECT 1 FROM users",
        "CREATE TEMP TABLE users (id int); SELECT role FROM users",
        "SELECT 1 AS id INTO TEMP users; SELECT role FROM users",
        "SELECT 1 AS id INTO TEMP users UNION SELECT 2; SELECT role FROM users",
        "EXPLAIN ANALYZE CREATE TEMP TABLE users AS SELECT 1; SELECT role FROM users",
        "DROP SCHEMA elsewhere; SELECT role FROM users",
        "ALTER SCHEMA elsewhere RENAME TO here; SELECT role FROM users",
        "SET segue.shape = new; SELECT 1 FROM users",
        "SELECT EXISTS (SELECT 1 FROM f() x WHERE role = 'a') FROM users",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct rewrite *rewrite = ask(PHASE_DUAL_NEW, SHAPE_OLD, texts[i]);
        if (rewrite->outcome != REWRITE_REFUSED)
            fail_msg("not refused: %s", texts[i]);
        assert_string_equal(rewrite->error->sqlstate, "0A000");
        assert_true(rewrite->error->hint[0]);
        rewrite_put(rewrite);
    }
}

static void where_a_transaction_ends_names_may_mean_what_they_did_before(void **state)
{
    static const char *const ends[] = {"COMMIT",
                                       "END",
                                       "ROLLBACK",
                                       "ABORT",
                                       "ROLLBACK TO a",
                                       "COMMIT AND CHAIN",
                                       "PREPARE TRANSACTION 'a'"};
    static const char *const others[] = {"BEGIN", "SAVEPOINT a", "RELEASE a",
                                         "SELECT id INTO TEMP copy FROM users"};
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        check_ended(ends[i], false, REWRITE_CHANGED);
        check_ended(ends[i], true, REWRITE_REFUSED);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check_ended(others[i], true, REWRITE_CHANGED);
}

static void a_syntax_error_is_told_as_postgresql_tells_it(void **state)
{
    (void)state;
    struct rewrite *rewrite = ask(PHASE_DUAL_NEW, SHAPE_OLD, "SELECT 'é' FORM users x y");
    assert_int_equal(rewrite->outcome, REWRITE_REFUSED);
    assert_string_equal(rewrite->error->sqlstate, "42601");
    assert_string_equal(rewrite->error->message, "syntax error at or near \"users\"");
    assert_int_equal(rewrite->error->position, 17);
    rewrite_put(rewrite);
}

static void a_text_that_would_overflow_a_stack_is_refused(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_string(&text, "SELECT role FROM users WHERE 1 = 1");
    for (int i = 0; i < 100000; i++)
        text_add_string(&text, "+1");
    check_refused(PHASE_DUAL_NEW, SHAPE_OLD, text.data, "54001", 0);
    text_clear(&text);
    text_add_string(&text, "SELECT id FROM users WHERE role = '");
    memset(text_extend(&text, SQL_TEXT_MAX), 'x', SQL_TEXT_MAX);
    text_add_string(&text, "'");
    check_refused(PHASE_DUAL_NEW, SHAPE_OLD, text.data, "54000", 0);
    text_release(&text);
}

static void a_long_chain_of_or_is_not_deep(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_string(&text, "SELECT 1 FROM users WHERE role = 'a'");
    for (int i = 0; i < 5000; i++)
        text_add_format(&text, " OR id = %d", i);
    struct rewrite *rewrite = ask(PHASE_DUAL_NEW, SHAPE_OLD, text.data);
    assert_int_equal(rewrite->outcome, REWRITE_CHANGED);
    rewrite_put(rewrite);
    text_release(&text);
}

static void an_encoding_that_hides_bytes_is_refused_where_the_table_may_be_named(void **state)
{
    (void)state;
    struct rewrite_world world = world_make(PHASE_DUAL_NEW, STAGE_EXPANDED, SHAPE_OLD);
    world.context.encoding_is_safe = false;
    struct rewrite *rewrite = rewrite_text(&world.context, slice_of("SELECT role FROM users"));
    assert_int_equal(rewrite->outcome, REWRITE_REFUSED);
    assert_string_equal(rewrite->error->sqlstate, "0A000");
    rewrite_put(rewrite);
    rewrite = rewrite_text(&world.context, slice_of("SELECT role FROM staff"));
    assert_int_equal(rewrite->outcome, REWRITE_UNTOUCHED);
    rewrite_put(rewrite);
    world_free(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_name_the_table_is_untouched),
        cmocka_unit_test(without_a_resolution_it_is_asked_for_only_where_it_matters),
        cmocka_unit_test(strings_are_read_as_the_session_reads_them),
        cmocka_unit_test(the_other_shapes_column_does_not_exist),
        cmocka_unit_test(a_lossy_column_waits_for_its_phase),
        cmocka_unit_test(what_cannot_be_right_in_every_phase_is_refused),
        cmocka_unit_test(where_a_transaction_ends_names_may_mean_what_they_did_before),
        cmocka_unit_test(a_syntax_error_is_told_as_postgresql_tells_it),
        cmocka_unit_test(a_text_that_would_overflow_a_stack_is_refused),
        cmocka_unit_test(a_long_chain_of_or_is_not_deep),
        cmocka_unit_test(an_encoding_that_hides_bytes_is_refused_where_the_table_may_be_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
