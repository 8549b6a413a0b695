/*
 * What a statement costs in the rewriter: CPU microseconds for each way that a text can take,
 * beside what libpg_query needs for its own parse and scan of the same text. Run by bench/rewrite;
 * see README.md.
 */
#include "rewrite_world.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdio.h>
#include <time.h>

enum { ROUNDS = 5, TEXT_MAX = 1 << 18 };

struct sample {
    const char *name;
    struct text named;   /* names a table in transition */
    struct text other;   /* the same with other constants */
    struct text unnamed; /* the same over a table that is not in transition */
};

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* ---------------------------------------------------------------- texts */

static void write_point(struct text *out, const char *table, int seed)
{
    text_add_format(out, "SELECT role FROM %s WHERE id = %d", table, 100000 + seed);
}

static void write_insert(struct text *out, const char *table, int seed)
{
    text_add_format(out,
                    "INSERT INTO %s (id, role, name) VALUES (%d, 'admin,dev', 'alice %d') "
                    "RETURNING %s.id, %s.role, %s.name",
                    table, 10000 + seed, 10000 + seed, table, table, table);
    for (int i = 0; i < 12; i++)
        text_add_format(out, ", '%d'::text AS c%d", 100 + (seed + i) % 900, i);
    text_add_string(out, ", 100000");
}

static void write_report(struct text *out, const char *table, int seed)
{
    text_add_format(out,
                    "WITH recent AS (SELECT u.id, u.role, u.name FROM %s AS u WHERE u.id > %d)\n",
                    table, 10000 + seed);
    text_add_string(out, "SELECT r.role, count(*) AS n,\n");
    for (int i = 0; i < 24; i++)
        text_add_format(out,
                        "       sum(CASE WHEN r.name LIKE 'a%03d%%' THEN %d ELSE 0 END) AS s%d,\n",
                        (seed + i) % 900, i, i);
    text_add_format(
        out,
        "       max(r.name) AS top\n  FROM recent AS r\n"
        "  JOIN other AS o ON o.id = r.id AND o.roles <> 'x%d'\n"
        " WHERE EXISTS (SELECT 1 FROM %s AS v WHERE v.id = r.id AND v.role = 'admin')\n"
        " GROUP BY r.role\nHAVING count(*) > %d\n ORDER BY n DESC, r.role\n LIMIT 100000",
        10000 + seed, table, 10 + seed % 90);
}

static void write_rows(struct text *out, const char *table, int seed)
{
    text_add_format(out, "INSERT INTO %s (id, role, name) VALUES ", table);
    for (int i = 0; i < 1000; i++)
        text_add_format(out, "%s(%d, 'admin,dev,ops,test %d', 'the user with number %d')",
                        i ? ", " : "", 100000 + i, 10000 + i, 100000 + (seed + i) % 900000);
}

static void make_sample(struct sample *sample, const char *name,
                        void (*write)(struct text *out, const char *table, int seed))
{
    sample->name = name;
    text_init(&sample->named, TEXT_MAX);
    text_init(&sample->other, TEXT_MAX);
    text_init(&sample->unnamed, TEXT_MAX);
    write(&sample->named, "users", 0);
    write(&sample->other, "users", 1);
    write(&sample->unnamed, "lusers", 0);
}

static struct slice whole(const struct text *text)
{
    return (struct slice){text->data, text->length};
}

/* ---------------------------------------------------------------- ways */

struct bench {
    struct rewrite_world world;
    struct name_scan *scan;
    struct rewrite_cache *cache;
    const struct sample *sample;
    int turn;
};

static void scan_only(struct bench *bench)
{
    if (name_scan_text(bench->scan, whole(&bench->sample->unnamed)) & NAME_SCAN_TABLE)
        BUG("the sample names a table in transition");
}

static void same_text(struct bench *bench)
{
    rewrite_cache_find(bench->cache, &bench->world.context, whole(&bench->sample->named));
}

/* The six digits at the text's end change each time, so that it does not come a second time. */
static void same_shape(struct bench *bench)
{
    struct text *other = (struct text *)&bench->sample->other;
    for (size_t i = other->length; i-- > 0;) {
        if (other->data[i] < '0' || other->data[i] > '9')
            continue;
        for (int number = bench->turn++, digits = 0; digits < 6 && i > 0; digits++, number /= 10)
            other->data[i - (size_t)digits] = (char)('0' + number % 10);
        break;
    }
    rewrite_cache_find(bench->cache, &bench->world.context, whole(other));
}

static void first_sight(struct bench *bench)
{
    struct rewrite_cache *cache = rewrite_cache_new(16 << 20);
    rewrite_cache_find(cache, &bench->world.context, whole(&bench->sample->named));
    rewrite_cache_free(cache);
}

static void library_parse(struct bench *bench)
{
    PgQueryProtobufParseResult result = pg_query_parse_protobuf(bench->sample->named.data);
    PgQuery__ParseResult *tree = pg_query__parse_result__unpack(
        NULL, result.parse_tree.len, (const uint8_t *)result.parse_tree.data);
    pg_query__parse_result__free_unpacked(tree, NULL);
    pg_query_free_protobuf_parse_result(result);
}

/* The median of some rounds, each of about 50 ms. */
static double measure(struct bench *bench, void (*way)(struct bench *bench))
{
    double rounds[ROUNDS];
    way(bench);
    for (int round = 0; round < ROUNDS; round++) {
        double begun = cpu_us(), spent;
        size_t times = 0;
        do {
            for (int i = 0; i < 8; i++)
                way(bench);
            times += 8;
            spent = cpu_us() - begun;
        } while (spent < 50000);
        rounds[round] = spent / (double)times;
        for (int i = round; i > 0 && rounds[i] < rounds[i - 1]; i--) {
            double swap = rounds[i];
            rounds[i] = rounds[i - 1];
            rounds[i - 1] = swap;
        }
    }
    return rounds[ROUNDS / 2];
}

static void run(struct bench *bench, const struct sample *sample)
{
    bench->sample = sample;
    bench->cache = rewrite_cache_new(64 << 20);
    double scan = measure(bench, scan_only);
    same_text(bench);
    same_text(bench); /* a text gets an entry of its own the second time it comes */
    same_text(bench);
    double text = measure(bench, same_text);
    double shape = measure(bench, same_shape);
    double first = measure(bench, first_sight);
    double library = measure(bench, library_parse);
    struct rewrite_cache_counters counters;
    rewrite_cache_counters(bench->cache, &counters);
    printf("%-8s %7zu %10.3f %10.3f %10.3f %12.1f %12.1f %7.2f %8llu\n", sample->name,
           sample->named.length, scan, text, shape, first, library, first / library,
           (unsigned long long)counters.misses);
    rewrite_cache_free(bench->cache);
}

int main(void)
{
    struct sample samples[4];
    make_sample(&samples[0], "point", write_point);
    make_sample(&samples[1], "insert", write_insert);
    make_sample(&samples[2], "report", write_report);
    make_sample(&samples[3], "rows", write_rows);
    struct bench bench = {.world = world_make(PHASE_DUAL_OLD, STAGE_EXPANDED, SHAPE_OLD)};
    bench.scan = name_scan_new(bench.world.snapshot);
    printf("CPU us per statement, medians of %d rounds\n"
           "text       bytes    1 scan     2 text    3 shape  4 1st sight  pg_query 4/pg_query  "
           "parsed\n",
           ROUNDS);
    for (size_t i = 0; i < 4; i++) {
        run(&bench, &samples[i]);
        text_release(&samples[i].named);
        text_release(&samples[i].other);
        text_release(&samples[i].unnamed);
    }
    name_scan_free(bench.scan);
    world_free(&bench.world);
    return 0;
}
