/*
 * Texts that are made to be too much: deep in every way that the grammar nests, or long. On a
 * thread with a worker's stack, as in the proxy. Deep ones are refused with 54001, those that are
 * just not too deep are rewritten like any other, and neither ends the process.
 */
#include "rewrite_world.h"
#include "segue/sql/parse.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { STACK_SIZE = 64 * 1024 * 1024, DEEP = 50000 };

static struct rewrite_world world;

static int set_up(void **state)
{
    (void)state;
    world = world_make(PHASE_DUAL_NEW, STAGE_EXPANDED, SHAPE_OLD);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_free(&world);
    return 0;
}

/* ---------------------------------------------------------------- the thread */

struct task {
    struct slice text;
    struct rewrite *rewrite;
};

static void *run(void *data)
{
    struct task *task = data;
    task->rewrite = rewrite_text(&world.context, task->text);
    return NULL;
}

static struct rewrite *rewrite_on_thread(const struct text *text)
{
    struct task task = {.text = {text->data, text->length}};
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstacksize(&attributes, STACK_SIZE), 0);
    assert_int_equal(pthread_create(&thread, &attributes, run, &task), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    return task.rewrite;
}

/* ---------------------------------------------------------------- texts */

/* `before` and `behind` are repeated around what is in the middle. */
struct bomb {
    const char *name, *begin, *before, *middle, *behind, *end;
    int levels; /* of the tree, about, for each time */
};

static const struct bomb bombs[] = {
    {"brackets", "SELECT role FROM users WHERE ", "(", "role = 'a'", ")", "", 1},
    {"a sum", "SELECT role FROM users WHERE id = 1", "", "", "+1", "", 1},
    {"concatenations of the column", "SELECT role", "", "", "||role", " FROM users", 1},
    {"sub-selects", "SELECT role FROM users WHERE id = ", "(SELECT id FROM users WHERE id = ", "1",
     ")", "", 4},
    {"derived tables", "SELECT role FROM ", "(SELECT role FROM ", "users", ") AS u", "", 4},
    {"CASE", "SELECT ", "CASE WHEN role = 'a' THEN 1 ELSE ", "0", " END", " FROM users", 5},
    {"functions", "SELECT ", "lower(", "role", ")", " FROM users", 1},
    {"signs", "SELECT role FROM users WHERE id = ", "- ", "1", "", "", 1},
    {"negations", "SELECT role FROM users WHERE ", "NOT ", "true", "", "", 1},
    {"casts", "SELECT role", "", "", "::text", " FROM users", 1},
    {"collations", "SELECT role", "", "", " COLLATE \"C\"", " FROM users", 1},
    {"null tests", "SELECT (role", "", "", ") IS NULL", " FROM users", 1},
    {"joins with conditions", "SELECT u.role FROM users AS u", "", "",
     " JOIN other AS o ON o.id = 1 AND o.id = 2", "", 1},
    {"joins with columns", "SELECT u.role FROM users AS u", "", "", " CROSS JOIN other", "", 1},
    {"unions of several columns", "SELECT id, role FROM users", "", "",
     " UNION SELECT id, roles FROM other", "", 1},
    {"unions and ANDs", "SELECT role FROM users WHERE id = 1 AND id = 2", "", "",
     " EXCEPT SELECT role FROM users WHERE id = 1 AND id = 2", "", 1},
    {"common tables", "", "WITH x AS (", "SELECT role FROM users", ") SELECT role FROM x", "", 4},
    {"columns called end", "SELECT role FROM users AS u WHERE ", "(u.end + ", "1", ")", " = 1", 2},
    {"subscripts", "SELECT role FROM users WHERE id = ", "(ARRAY[", "1", "])[1]", "", 3},
    {"rows", "SELECT role FROM users WHERE ", "ROW(", "1", ")", " = ROW(1)", 1},
};

static void write_bomb(struct text *out, const struct bomb *bomb, int times)
{
    text_add_string(out, bomb->begin);
    for (int i = 0; i < times; i++)
        text_add_string(out, bomb->before);
    text_add_string(out, bomb->middle);
    for (int i = 0; i < times; i++)
        text_add_string(out, bomb->behind);
    text_add_string(out, bomb->end);
}

static void what_is_too_deep_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        struct text text;
        text_init(&text, TEXT_UNBOUNDED);
        write_bomb(&text, &bombs[i], DEEP);
        struct rewrite *rewrite = rewrite_on_thread(&text);
        if (rewrite->outcome != REWRITE_REFUSED || strcmp(rewrite->error->sqlstate, "54001") != 0)
            fail_msg("%s: outcome %d, %s", bombs[i].name, rewrite->outcome,
                     rewrite->error ? rewrite->error->message : "");
        rewrite_put(rewrite);
        text_release(&text);
    }
}

static void what_is_just_not_too_deep_is_rewritten(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        struct text text;
        text_init(&text, TEXT_UNBOUNDED);
        write_bomb(&text, &bombs[i], (SQL_DEPTH_MAX - 100) / bombs[i].levels / 2);
        struct rewrite *rewrite = rewrite_on_thread(&text);
        if (rewrite->outcome == REWRITE_REFUSED && strcmp(rewrite->error->sqlstate, "54001") == 0)
            fail_msg("%s: %s", bombs[i].name, rewrite->error->message);
        rewrite_put(rewrite);
        text_release(&text);
    }
}

/* ---------------------------------------------------------------- long, not deep */

static void check_long(const char *begin, const char *item, const char *end, int times)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_string(&text, begin);
    for (int i = 0; i < times; i++)
        text_add_string(&text, item);
    text_add_string(&text, end);
    struct rewrite *rewrite = rewrite_on_thread(&text);
    if (rewrite->outcome != REWRITE_CHANGED)
        fail_msg("outcome %d, %s: %.60s", rewrite->outcome,
                 rewrite->error ? rewrite->error->message : "", text.data);
    rewrite_put(rewrite);
    text_release(&text);
}

static void what_is_long_and_not_deep_is_rewritten(void **state)
{
    (void)state;
    check_long("SELECT role FROM users WHERE id IN (1", ", 1", ")", 50000);
    check_long("SELECT id FROM users WHERE role = 'a'", " OR id = 1", "", 20000);
    check_long("SELECT id FROM users WHERE role = 'a'", " AND id = 1", "", 20000);
    check_long("INSERT INTO users (id, role) VALUES (1, 'a')", ", (1, 'a')", "", 20000);
    check_long("SELECT role", ", 1", " FROM users", 1600);
    check_long("SELECT role FROM users", "; SELECT role FROM users", "", 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_too_deep_is_refused),
        cmocka_unit_test(what_is_just_not_too_deep_is_rewritten),
        cmocka_unit_test(what_is_long_and_not_deep_is_rewritten),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
