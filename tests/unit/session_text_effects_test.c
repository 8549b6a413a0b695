/* What a text may change about its session: never missed, seldom cried for nothing. */
#include "../../proxy/session/text_effects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static uint32_t effects(const char *text)
{
    return text_effects(slice_of(text));
}

static void what_sets_the_search_path_is_seen(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "SET search_path TO a",
        "set local search_path = a",
        "RESET ALL",
        "SET SCHEMA 'a'",
        "SET ROLE alice",
        "SET SESSION AUTHORIZATION alice",
        "SET segue.shape = new",
        "DISCARD ALL",
        "SELECT pg_catalog.set_config('search_path', 'a', false)",
        "CREATE TEMP TABLE users (id int)",
        "SELECT 1 INTO TEMPORARY users",
        "CREATE TABLE pg_temp.users (id int)",
        "/* tag */ SET search_path TO a",
        "-- tag\nSET search_path TO a",
        "/* a /* nested */ comment */SET search_path TO a",
        "BEGIN; SET search_path TO a",
        "SELECT ';--'; /* x */ SET search_path TO a",
        "SET \"search_path\" TO a",
        "SET U&\"search\\005fpath\" TO a",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_true(effects(texts[i]) & TEXT_CHANGES_RESOLUTION);
}

static void what_changes_schemas_is_seen(void **state)
{
    (void)state;
    assert_true(effects("create schema a") & TEXT_CHANGES_SCHEMA);
    assert_true(effects("select 1;DROP SCHEMA a") & TEXT_CHANGES_SCHEMA);
    assert_true(effects("  ALTER TABLE a RENAME TO b") & TEXT_CHANGES_SCHEMA);
}

static void ordinary_statements_change_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        ";",
        "SELECT role FROM users",
        "UPDATE users SET role = 'x' WHERE id = 1",
        "SELECT temperature, created, template FROM t",
        "INSERT INTO users (role) VALUES ('x')",
        "SET statement_timeout = 5",
        "BEGIN",
        "/* unfinished",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(effects(texts[i]) & ~(uint32_t)TEXT_WRITES, 0);
}

static void what_may_write_rows_is_seen(void **state)
{
    (void)state;
    assert_true(effects("UPDATE t SET a = 1 RETURNING a") & TEXT_WRITES);
    assert_true(effects("WITH d AS (delete from t returning *) SELECT * FROM d") & TEXT_WRITES);
    assert_true(effects("EXECUTE p") & TEXT_WRITES);
    assert_false(effects("SELECT updated FROM t") & TEXT_WRITES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_sets_the_search_path_is_seen),
        cmocka_unit_test(what_changes_schemas_is_seen),
        cmocka_unit_test(ordinary_statements_change_nothing),
        cmocka_unit_test(what_may_write_rows_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
