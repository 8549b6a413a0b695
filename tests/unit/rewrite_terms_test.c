/* What the server says of a table in transition, told as if the table had the client's shape. */
#include "rewrite_world.h"

#include "segue/rewrite/terms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

static struct arena arena;

/* Fields as "Cvalue" strings; the last is NULL. `sql` NULL: of no text. */
static struct wire_fields tell(enum phase phase, enum stage stage, enum shape shape,
                               const char *sql, const char *const *fields)
{
    struct rewrite_world world = world_make(phase, stage, shape);
    struct wire_fields told = {0};
    for (; *fields; fields++)
        told.list[told.count++] = (struct wire_field){**fields, *fields + 1};
    struct rewrite *rewrite = sql ? rewrite_text(&world.context, slice_of(sql)) : NULL;
    struct terms terms = {.snapshot = world.snapshot,
                          .new_shapes = world.context.new_shapes,
                          .rewrite = rewrite,
                          .client_text = slice_of(sql ? sql : "")};
    terms_translate(&arena, &terms, &told);
    rewrite_put(rewrite);
    world_free(&world);
    return told;
}

static void check_field(const struct wire_fields *told, char code, const char *expected)
{
    const char *value = wire_fields_get(told, code);
    if (expected) {
        assert_non_null(value);
        assert_string_equal(value, expected);
    } else {
        assert_null(value);
    }
}

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void a_violated_column_is_the_one_that_the_client_wrote(void **state)
{
    (void)state;
    struct wire_fields told =
        tell(PHASE_NEW, STAGE_EXPANDED, SHAPE_OLD, NULL,
             FIELDS("C23502",
                    "Mnull value in column \"roles\" of relation \"users\" violates not-null "
                    "constraint",
                    "DFailing row contains (9, null, x, null).", "spublic", "tusers", "croles"));
    check_field(&told, 'c', "role");
    check_field(&told, 'M',
                "null value in column \"role\" of relation \"users\" violates not-null constraint");
    check_field(&told, 'D', NULL); /* the old column holds nothing in this phase */
    check_field(&told, 't', "users");
}

static void a_temporary_name_is_never_told(void **state)
{
    (void)state;
    struct wire_fields told =
        tell(PHASE_DUAL_NEW, STAGE_EXPANDED, SHAPE_NEW, NULL,
             FIELDS("C23502", "Mnull value in column \"amount_new\" of relation \"transactions\"",
                    "DFailing row contains (9, 1.50, 2020-01-01, 1.50).", "spublic",
                    "ttransactions", "camount_new"));
    check_field(&told, 'c', "amount");
    check_field(&told, 'M', "null value in column \"amount\" of relation \"transactions\"");
    check_field(&told, 'D', "Failing row contains (9, 2020-01-01, 1.50).");
}

static void names_are_found_in_any_language_and_only_between_quotes(void **state)
{
    (void)state;
    static const char *const messages[][2] = {
        {"MNULL-Wert in Spalte »roles« von Relation »users«",
         "NULL-Wert in Spalte »role« von Relation »users«"},
        {"Mla colonne « roles » de la relation « users »",
         "la colonne « role » de la relation « users »"},
        {"Mzła wartość „roles” w relacji „users”", "zła wartość „role” w relacji „users”"},
        {"Mroles is not \"the roles\"", "roles is not \"the roles\""},
    };
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        struct wire_fields told =
            tell(PHASE_NEW, STAGE_EXPANDED, SHAPE_OLD, NULL,
                 FIELDS("C23502", messages[i][0], "spublic", "tusers", "croles"));
        check_field(&told, 'M', messages[i][1]);
    }
}

static void a_row_is_shown_only_where_it_can_be_taken_apart_in_one_way(void **state)
{
    (void)state;
    static const char *const details[][2] = {
        {"DFailing row contains (1, a, null, {a}).", "Failing row contains (1, a, null)."},
        {"DLa ligne contient (1, a, null, {a}) en échec",
         "La ligne contient (1, a, null) en échec"},
        {"DFailing row contains (1, (a), null, {a}).", "Failing row contains (1, (a), null)."},
        {"DFailing row contains (1, a, b, null, {a, b}).", NULL}, /* a comma in a value */
        {"DFailing row contains (id, role) = (1, a).", NULL},
        {"DFailing row", NULL},
    };
    for (size_t i = 0; i < sizeof details / sizeof *details; i++) {
        struct wire_fields told =
            tell(PHASE_DUAL_OWN, STAGE_EXPANDED, SHAPE_OLD, NULL,
                 FIELDS("C23514", "Mno", details[i][0], "spublic", "tusers", "nusers_check"));
        check_field(&told, 'D', details[i][1]);
    }
}

static void a_key_is_shown_by_the_clients_names_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        enum shape shape;
        const char *detail, *expected;
    } cases[] = {
        {SHAPE_NEW, "DKey (day, amount_new)=(2020-01-01, 1.50) already exists.",
         "Key (day, amount)=(2020-01-01, 1.50) already exists."},
        {SHAPE_OLD, "DKey (amount_new)=(1.50) already exists.", NULL},
        {SHAPE_OLD, "DKey (amount)=(1.50) already exists.", "Key (amount)=(1.50) already exists."},
        {SHAPE_NEW, "DKey (amount)=(1.50) already exists.", NULL}, /* the old column's value */
        {SHAPE_OLD, "DKey (lower(\"Who\"), id)=(a, 1) already exists.",
         "Key (lower(\"Who\"), id)=(a, 1) already exists."},
        {SHAPE_OLD, "DKey (round(amount_new, 2), id)=(a, 1) already exists.", NULL},
        {SHAPE_OLD, "Dsomething else", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire_fields told =
            tell(PHASE_DUAL_OWN, STAGE_EXPANDED, cases[i].shape, NULL,
                 FIELDS("C23505", "Mno", cases[i].detail, "spublic", "ttransactions", "nu"));
        check_field(&told, 'D', cases[i].expected);
    }
}

static void other_tables_are_told_of_as_they_are(void **state)
{
    (void)state;
    static const char *const tables[][2] = {{"spublic", "tother"}, {"selsewhere", "tusers"}};
    for (size_t i = 0; i < 2; i++) {
        struct wire_fields told =
            tell(PHASE_NEW, STAGE_EXPANDED, SHAPE_OLD, "SELECT role FROM users",
                 FIELDS("C23502", "Mcolumn \"roles\"", "DFailing row contains (1, a).",
                        tables[i][0], tables[i][1], "croles"));
        check_field(&told, 'M', "column \"roles\"");
        check_field(&told, 'c', "roles");
        check_field(&told, 'D', "Failing row contains (1, a).");
    }
}

static void a_hint_offers_no_column_that_the_client_does_not_have(void **state)
{
    (void)state;
    const char *sql = "SELECT rolls FROM users";
    struct wire_fields told =
        tell(PHASE_DUAL_OWN, STAGE_EXPANDED, SHAPE_OLD, sql,
             FIELDS("C42703", "Mcolumn \"rolls\" does not exist",
                    "HPerhaps you meant to reference the column \"users.roles\".", "P8"));
    check_field(&told, 'H', NULL);
    check_field(&told, 'P', "8");
    told = tell(PHASE_DUAL_OWN, STAGE_EXPANDED, SHAPE_NEW, "SELECT amout FROM transactions t",
                FIELDS("C42703", "Mcolumn \"amout\" does not exist",
                       "HPerhaps you meant to reference the column \"t.amount_new\"."));
    check_field(&told, 'H', "Perhaps you meant to reference the column \"t.amount\".");
    told = tell(PHASE_DUAL_OWN, STAGE_EXPANDED, SHAPE_OLD, "SELECT nam FROM users",
                FIELDS("C42703", "Mcolumn \"nam\" does not exist", "Hor \"users.name\"?"));
    check_field(&told, 'H', "or \"users.name\"?");
}

static void an_error_inside_a_conversion_is_about_the_name_that_it_stands_for(void **state)
{
    (void)state;
    /* the position is that of "roles" in what is sent */
    const char *sql = "SELECT count(*), u.role FROM users u";
    struct rewrite_world world = world_make(PHASE_NEW, STAGE_EXPANDED, SHAPE_OLD);
    struct rewrite *rewrite = rewrite_text(&world.context, slice_of(sql));
    char position[32];
    snprintf(position, sizeof position, "P%td",
             strstr(rewrite->text.data, "\"roles\"") - rewrite->text.data + 1);
    rewrite_put(rewrite);
    world_free(&world);
    struct wire_fields told =
        tell(PHASE_NEW, STAGE_EXPANDED, SHAPE_OLD, sql,
             FIELDS("C42803", "Mcolumn \"u.roles\" must appear in the GROUP BY clause", position));
    check_field(&told, 'M', "column \"u.role\" must appear in the GROUP BY clause");
    check_field(&told, 'P', "18");
}

static void values_between_quotes_are_left_alone(void **state)
{
    (void)state;
    struct wire_fields told = tell(
        PHASE_DUAL_OWN, STAGE_EXPANDED, SHAPE_NEW, "INSERT INTO transactions (amount) VALUES ('x')",
        FIELDS("C22P02", "Minvalid input syntax for type numeric: \"amount_new\""));
    check_field(&told, 'M', "invalid input syntax for type numeric: \"amount_new\"");
}

static int make_arena(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int release_arena(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_violated_column_is_the_one_that_the_client_wrote),
        cmocka_unit_test(a_temporary_name_is_never_told),
        cmocka_unit_test(names_are_found_in_any_language_and_only_between_quotes),
        cmocka_unit_test(a_row_is_shown_only_where_it_can_be_taken_apart_in_one_way),
        cmocka_unit_test(a_key_is_shown_by_the_clients_names_or_not_at_all),
        cmocka_unit_test(other_tables_are_told_of_as_they_are),
        cmocka_unit_test(a_hint_offers_no_column_that_the_client_does_not_have),
        cmocka_unit_test(an_error_inside_a_conversion_is_about_the_name_that_it_stands_for),
        cmocka_unit_test(values_between_quotes_are_left_alone),
    };
    return cmocka_run_group_tests(tests, make_arena, release_arena);
}
