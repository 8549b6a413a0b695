/* The scan for words: a bit may be set wrongly, never left unset wrongly. */
#include "rewrite_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct rewrite_world world;
static struct name_scan *scan;

static int set_up(void **state)
{
    (void)state;
    world = world_make(PHASE_DUAL_OWN, STAGE_EXPANDED, SHAPE_OLD);
    scan = name_scan_new(world.snapshot);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    name_scan_free(scan);
    world_free(&world);
    return 0;
}

/* At every alignment, and behind as much text as makes the wide steps run. */
static void check(const char *text, uint32_t expected)
{
    for (size_t before = 0; before < 70; before++) {
        struct text padded;
        text_init(&padded, TEXT_UNBOUNDED);
        for (size_t i = 0; i < before; i++)
            text_add_char(&padded, ' ');
        text_add_string(&padded, text);
        for (size_t after = 0; after < 2; after++) {
            uint32_t bits = name_scan_text(scan, (struct slice){padded.data, padded.length});
            if (bits != expected)
                fail_msg("%u, not %u, %zu blanks before: %s", bits, expected, before, text);
            text_add_string(&padded, " . . . . . . . . . . . . . . . . . . . . . . . . . . . .");
        }
        text_release(&padded);
    }
}

static void finds_tables_whatever_their_case_and_quotes(void **state)
{
    (void)state;
    check("SELECT 1 FROM users", NAME_SCAN_TABLE);
    check("SELECT 1 FROM UsErS", NAME_SCAN_TABLE);
    check("SELECT 1 FROM \"users\"", NAME_SCAN_TABLE);
    check("SELECT 1 FROM public.users;", NAME_SCAN_TABLE);
    check("FROM(transactions)", NAME_SCAN_TABLE);
    check("users", NAME_SCAN_TABLE);
    check("'users'", NAME_SCAN_TABLE);
}

static void names_that_only_begin_or_end_so_are_others(void **state)
{
    (void)state;
    check("SELECT nextval('users_id_seq') FROM my_users, users2, $users, superusers, users$", 0);
    check("SELECT 1 FROM user, transaction, transactionsx", 0);
    check("SELECT 1 FROM usersé", 0);
}

static void a_name_in_escapes_may_be_any(void **state)
{
    (void)state;
    check("SELECT 1 FROM U&\"\\0075sers\"", NAME_SCAN_TABLE | NAME_SCAN_RESOLUTION);
    check("SELECT 1 FROM u&\"x\"", NAME_SCAN_TABLE | NAME_SCAN_RESOLUTION);
    check("SELECT a FROM b WHERE mu&\"x\" = 1", 0); /* an operator between two names */
}

static void finds_what_the_session_must_look_at(void **state)
{
    (void)state;
    check("PREPARE x AS SELECT 1", NAME_SCAN_PREPARED);
    check("explain execute x", NAME_SCAN_PREPARED);
    check("DEALLOCATE ALL", NAME_SCAN_PREPARED);
    check("SET segue.shape = new", NAME_SCAN_SHAPE);
    check("SET search_path TO a", NAME_SCAN_RESOLUTION);
    check("SELECT set_config('x', 'y', true)", NAME_SCAN_RESOLUTION);
    check("SET SESSION AUTHORIZATION bob", NAME_SCAN_RESOLUTION);
    check("DISCARD ALL", NAME_SCAN_RESOLUTION | NAME_SCAN_PREPARED);
    check("CREATE TEMP TABLE x ()", NAME_SCAN_RESOLUTION | NAME_SCAN_DDL);
    check("SELECT 1 INTO pg_temp.x", NAME_SCAN_RESOLUTION);
    check("SELECT 1 INTO pg_temp_31.x", NAME_SCAN_RESOLUTION);
    check("SELECT pg_temperature, templates, pg_tempo FROM x", 0);
    check("RESET ALL", NAME_SCAN_RESOLUTION);
    check("SET SCHEMA 'x'", NAME_SCAN_RESOLUTION);
    check("SELECT schema, table_schema FROM x", 0);
    check("DROP TABLE x", NAME_SCAN_DDL);
    check("ALTER TABLE x ADD y int", NAME_SCAN_DDL);
}

static void set_role_is_not_an_assignment_to_a_column(void **state)
{
    (void)state;
    check("SET ROLE bob", NAME_SCAN_RESOLUTION);
    check("set local role bob", NAME_SCAN_RESOLUTION);
    check("SELECT 1; SET SESSION ROLE bob", NAME_SCAN_RESOLUTION);
    check("RESET role", NAME_SCAN_RESOLUTION);
    check("SET role = 'bob'", NAME_SCAN_RESOLUTION);
    check("SET \"role\" = 'bob'", NAME_SCAN_RESOLUTION);
    check("SET\"role\"='bob'", NAME_SCAN_RESOLUTION);
    check("SET LOCAL \"role\" = 'bob'", NAME_SCAN_RESOLUTION);
    check("SELECT u.\"role\", \"role\", \"at\".\"role\", a.role, t.role FROM staff AS at", 0);
    check("DO $$BEGIN SET ROLE bob; END$$", NAME_SCAN_RESOLUTION);
    check("DO $$SET ROLE bob$$", NAME_SCAN_RESOLUTION);
    check("UPDATE staff SET role = 'x'", 0);
    check("UPDATE \"staff\" SET role = 'x'", 0);
    check("INSERT INTO a (b) VALUES (1) ON CONFLICT (b) DO UPDATE SET role = 'x'", 0);
    check("SELECT role, roles FROM staff WHERE role = 'x'", 0);
    check("SET /* a comment hides what is before */ ROLE bob", NAME_SCAN_RESOLUTION);
    check("SET -- a comment\nROLE bob", NAME_SCAN_RESOLUTION);
    check("SET LOCAL -- a comment\n ROLE bob", NAME_SCAN_RESOLUTION);
    check("/* a comment */SET ROLE bob", NAME_SCAN_RESOLUTION);
    check("-- a comment\nset role bob", NAME_SCAN_RESOLUTION);
    check("SELECT a,\n role FROM staff", 0);
    check("SELECT role FROM staff -- a comment\n", 0);
}

static void bytes_of_other_encodings_do_not_hide_a_name(void **state)
{
    (void)state;
    check("SELECT '\x83\x65users'", NAME_SCAN_TABLE); /* the second byte of a character in SJIS */
}

/* At every place of a text of several chunks. */
static void finds_a_name_anywhere_in_a_long_text(void **state)
{
    (void)state;
    enum { LENGTH = 5000 };
    static const char name[] = "users";
    char text[LENGTH + 1];
    for (size_t at = 0; at + sizeof name <= LENGTH; at++) {
        for (size_t i = 0; i < LENGTH; i++)
            text[i] = "xy "[i % 3];
        memcpy(text + at, name, sizeof name - 1);
        if (at > 0)
            text[at - 1] = ' ';
        text[at + sizeof name - 1] = ',';
        assert_int_equal(name_scan_text(scan, (struct slice){text, LENGTH}), NAME_SCAN_TABLE);
        text[at] = 'v';
        assert_int_equal(name_scan_text(scan, (struct slice){text, LENGTH}), 0);
    }
}

/* ---------------------------------------------------------------- names of every kind */

static struct snapshot *snapshot_of(const char *const *tables, size_t count)
{
    struct snapshot_transition at[8] = {{0}};
    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++) {
        struct text definition;
        struct error error;
        size_t parsed;
        text_init(&definition, TEXT_UNBOUNDED);
        text_add_format(&definition,
                        "transition \"t%zu\" { table = \"public.x\"\n"
                        "old \"a\" { type = \"text\" from = \"b\" }\n"
                        "new \"b\" { type = \"text\" from = \"a\" } }\n",
                        i);
        struct transition **transitions =
            transition_parse(definition.data, "world.conf", &parsed, &error);
        assert_non_null(transitions);
        free(transitions[0]->table);
        transitions[0]->table = memory_string(tables[i]);
        at[i].transition = transitions[0];
        free((void *)transitions);
        text_release(&definition);
    }
    struct catalog *catalog = catalog_finish(catalog_begin());
    struct snapshot *snapshot = snapshot_new(1, catalog, at, count);
    catalog_put(catalog);
    for (size_t i = 0; i < count; i++)
        transition_put(at[i].transition);
    return snapshot;
}

/* Every name is found in every text that holds it, wherever it lies. */
static void finds_names_of_every_kind(void **state)
{
    (void)state;
    static const char *const tables[] = {"x",
                                         "user accounts",
                                         "we\"ird",
                                         "Gr\xc3\xb6\xc3\x9f"
                                         "e",
                                         "transactions_of_a_long_name",
                                         "transactions_of_a_name_longer_than_32_bytes",
                                         "2nd",
                                         "role"};
    static const char *const written[] = {"x",
                                          "\"user accounts\"",
                                          "\"we\"\"ird\"",
                                          "\"Gr\xc3\xb6\xc3\x9f"
                                          "e\"",
                                          "transactions_of_A_LONG_name",
                                          "transactions_of_a_name_longer_than_32_bytes",
                                          "\"2nd\"",
                                          "role"};
    struct snapshot *snapshot = snapshot_of(tables, 8);
    struct name_scan *before = scan;
    scan = name_scan_new(snapshot);
    for (size_t i = 0; i < 8; i++) {
        struct text text;
        text_init(&text, TEXT_UNBOUNDED);
        text_add_format(&text, "SELECT a, b FROM %s, y", written[i]);
        check(text.data, NAME_SCAN_TABLE);
        text_release(&text);
    }
    check("SELECT transactions_of_a_long_n, transactions_of_a_long_named FROM y, users, roles", 0);
    name_scan_free(scan);
    scan = before;
    snapshot_put(snapshot);
}

static void a_name_without_a_word_is_expected_everywhere(void **state)
{
    (void)state;
    static const char *const tables[] = {"--"};
    struct snapshot *snapshot = snapshot_of(tables, 1);
    struct name_scan *before = scan;
    scan = name_scan_new(snapshot);
    check("SELECT 1", NAME_SCAN_TABLE);
    name_scan_free(scan);
    scan = before;
    snapshot_put(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_name_anywhere_in_a_long_text),
        cmocka_unit_test(finds_names_of_every_kind),
        cmocka_unit_test(a_name_without_a_word_is_expected_everywhere),
        cmocka_unit_test(finds_tables_whatever_their_case_and_quotes),
        cmocka_unit_test(names_that_only_begin_or_end_so_are_others),
        cmocka_unit_test(a_name_in_escapes_may_be_any),
        cmocka_unit_test(finds_what_the_session_must_look_at),
        cmocka_unit_test(set_role_is_not_an_assignment_to_a_column),
        cmocka_unit_test(bytes_of_other_encodings_do_not_hide_a_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
