/* The scan for words: a bit may be set wrongly, never left unset wrongly. */
#include "../../proxy/rewrite/cache/name_scan.h"
#include "../../proxy/rewrite/cache/words.h"
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
            assert_int_equal(
                name_scan_text_plainly(scan, (struct slice){padded.data, padded.length}), bits);
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

/* The server makes such a name of a longer one; its last word is too short to be looked for. */
static void a_long_name_whose_end_may_be_cut_is_found(void **state)
{
    (void)state;
    static const char *const tables[] = {
        "-- -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- -- abc",
        "it is a name with some words that ends in the longest: abcdefghi",
        "a_name_of_just_sixty_three_bytes_that_is_as_long_as_names_can_b"};
    for (size_t i = 0; i < 3; i++) {
        struct snapshot *snapshot = snapshot_of(tables + i, 1);
        struct name_scan *before = scan;
        scan = name_scan_new(snapshot);
        struct text text;
        text_init(&text, TEXT_UNBOUNDED);
        text_add_format(&text, "SELECT a FROM \"%sjklm\"", tables[i]);
        check(text.data, NAME_SCAN_TABLE);
        text_release(&text);
        name_scan_free(scan);
        scan = before;
        snapshot_put(snapshot);
    }
}

/* ---------------------------------------------------------------- against a naive scan */

static const char *const naive_tables[] = {"x",
                                           "t1",
                                           "users",
                                           "order_items",
                                           "gr\xc3\xb6\xc3\x9f"
                                           "e",
                                           "a_name_that_has_just_thirty_two_",
                                           "a_name_that_has_just_thirty_two_bytes_and_some_m",
                                           "$1"};
enum { NAIVE_TABLES = 8 };

static bool naive_begins(struct slice text, size_t at)
{
    return at == 0 || !word_byte((unsigned char)text.data[at - 1]) ||
           (at > 1 && (unsigned char)text.data[at - 2] >= 0x80 &&
            (unsigned char)text.data[at - 1] < 0x80);
}

static bool naive_is_at(struct slice text, size_t at, const char *name)
{
    size_t length = strlen(name);
    return at + length <= text.length && strncasecmp(text.data + at, name, length) == 0;
}

static uint32_t naive_scan(struct slice text)
{
    for (size_t at = 0; at < text.length; at++) {
        if (!naive_begins(text, at))
            continue;
        if (naive_is_at(text, at, "u&\""))
            return NAME_SCAN_TABLE;
        for (size_t i = 0; i < NAIVE_TABLES; i++) {
            size_t end = at + strlen(naive_tables[i]);
            if (naive_is_at(text, at, naive_tables[i]) &&
                (end == text.length || !word_byte((unsigned char)text.data[end])))
                return NAME_SCAN_TABLE;
        }
    }
    return 0;
}

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13; /* xorshift32, Marsaglia 2003 */
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

/* What comes near a name, so that every way of missing or inventing one has its chance. */
static void add_random_piece(struct text *text)
{
    static const char *const pieces[] = {
        "user",      "userss",     "\x83\x65", "\xc3\xb6",
        "u&",        "&\"",        "$",        "order_item",
        "order",     "pg_temp_1",  "_",        "role",
        "SET role ", "2",          "\x01",     "A_name_THAT_has_just",
        "@[`{",      "created_at", "\x7f",     "GR\xc3\xb6",
        "u",         "y",          "t",        "prepared"};
    static const char spaces[] = " \t\n,.;\"'()&+-/*";
    size_t begun = text->length;
    switch (random_below(8)) {
    case 0:
    case 1:
    case 2:
        text_add_string(text, pieces[random_below(sizeof pieces / sizeof *pieces)]);
        break;
    case 3:
        text_add_char(text, (char)(1 + random_below(255)));
        break;
    default:
        text_add_char(text, spaces[random_below(sizeof spaces - 1)]);
    }
    for (size_t i = begun; i < text->length && random_below(3) == 0; i++)
        if (text->data[i] >= 'a' && text->data[i] <= 'z' && random_below(2))
            text->data[i] = (char)(text->data[i] - 0x20);
}

static void make_random_text(struct text *text)
{
    size_t size = random_below(4) ? random_below(200) : random_below(5000);
    size_t name_at = random_below(2) ? random_below((uint32_t)size + 1) : SIZE_MAX;
    while (text->length < size || name_at != SIZE_MAX) {
        if (text->length >= name_at) {
            text_add_string(text, naive_tables[random_below(NAIVE_TABLES)]);
            name_at = SIZE_MAX;
        }
        add_random_piece(text);
    }
    text->length -= random_below(3) ? 0 : random_below((uint32_t)text->length + 1);
}

/* Each text in memory of just its size: the sanitizer sees what reads beyond it. */
static void agrees_with_a_naive_scan_on_random_texts(void **state)
{
    (void)state;
    struct snapshot *snapshot = snapshot_of(naive_tables, NAIVE_TABLES);
    struct name_scan *of_tables = name_scan_new(snapshot);
    size_t named = 0;
    enum { TEXTS = 4000 };
    for (size_t i = 0; i < TEXTS; i++) {
        struct text random;
        text_init(&random, TEXT_UNBOUNDED);
        make_random_text(&random);
        char *copy = memory_get(random.length ? random.length : 1);
        memcpy(copy, random.data, random.length);
        struct slice text = {copy, random.length};
        uint32_t bits = name_scan_text(of_tables, text);
        uint32_t expected = naive_scan(text);
        if ((bits & NAME_SCAN_TABLE) != expected || bits != name_scan_text_plainly(of_tables, text))
            fail_msg("text %zu: %u, plainly %u, naively %u: %.*s", i, bits,
                     name_scan_text_plainly(of_tables, text), expected, (int)text.length, copy);
        named += expected != 0;
        free(copy);
        text_release(&random);
    }
    assert_in_range(named, TEXTS / 10, TEXTS - TEXTS / 10); /* both answers are tried */
    name_scan_free(of_tables);
    snapshot_put(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_name_anywhere_in_a_long_text),
        cmocka_unit_test(finds_names_of_every_kind),
        cmocka_unit_test(a_name_without_a_word_is_expected_everywhere),
        cmocka_unit_test(a_long_name_whose_end_may_be_cut_is_found),
        cmocka_unit_test(agrees_with_a_naive_scan_on_random_texts),
        cmocka_unit_test(finds_tables_whatever_their_case_and_quotes),
        cmocka_unit_test(names_that_only_begin_or_end_so_are_others),
        cmocka_unit_test(a_name_in_escapes_may_be_any),
        cmocka_unit_test(finds_what_the_session_must_look_at),
        cmocka_unit_test(set_role_is_not_an_assignment_to_a_column),
        cmocka_unit_test(bytes_of_other_encodings_do_not_hide_a_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
