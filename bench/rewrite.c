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

enum { ROUNDS = 9, ROUND_US = 20000, TEXT_MAX = 1 << 18, TABLES = 8 };

struct sample {
    const char *name;
    struct text named;   /* names a table in transition */
    struct text other;   /* the same with other constants */
    struct text unnamed; /* the same over a table that is not in transition */
    double shape_target; /* us */
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

static void make_sample(struct sample *sample, const char *name, double shape_target,
                        void (*write)(struct text *out, const char *table, int seed))
{
    sample->name = name;
    sample->shape_target = shape_target;
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

/* What looks most like the words that are looked for, and is none of them. */
static void write_alike(struct text *out)
{
    static const char *const words[] = {
        "users2",   "user_id",     "order",    "orders_id", "created_at", "creates", "invoice",
        "role",     "roles",       "payment_", "temper",    "altered",    "dropped", "schema",
        "search_",  "executed_at", "segue_",   "items_",    "customer",   "resets",  "discarded",
        "accounts", "productx",    "shipment", "prepared",  "pg_temper",  "u",       "usera"};
    for (size_t i = 0; out->length < 2048; i++)
        text_add_format(out, "%s, ", words[i % (sizeof words / sizeof *words)]);
}

/* ---------------------------------------------------------------- ways */

struct bench {
    struct rewrite_world world;
    struct name_scan *scan; /* of eight tables */
    struct rewrite_cache *cache;
    const struct sample *sample;
    struct slice scanned;
    int turn;
};

static struct snapshot *eight_tables(void)
{
    static const char *const names[TABLES] = {"users",    "orders",    "order_items", "invoices",
                                              "payments", "customers", "products",    "shipments"};
    struct snapshot_transition at[TABLES] = {{0}};
    for (size_t i = 0; i < TABLES; i++) {
        struct text definition;
        struct error error;
        size_t count;
        text_init(&definition, TEXT_UNBOUNDED);
        text_add_format(&definition,
                        "transition \"t%zu\" { table = \"public.%s\"\n"
                        "old \"a\" { type = \"text\" from = \"b\" }\n"
                        "new \"b\" { type = \"text\" from = \"a\" } }\n",
                        i, names[i]);
        struct transition **transitions =
            transition_parse(definition.data, "bench.conf", &count, &error);
        BUG_ON(!transitions);
        at[i].transition = transitions[0];
        free((void *)transitions);
        text_release(&definition);
    }
    struct catalog *catalog = catalog_finish(catalog_begin());
    struct snapshot *snapshot = snapshot_new(1, catalog, at, TABLES);
    catalog_put(catalog);
    for (size_t i = 0; i < TABLES; i++)
        transition_put(at[i].transition);
    return snapshot;
}

static void scan_only(struct bench *bench)
{
    if (name_scan_text(bench->scan, bench->scanned) & NAME_SCAN_TABLE)
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

/* ---------------------------------------------------------------- measuring */

typedef void (*bench_way)(struct bench *bench);

static double measure_once(struct bench *bench, bench_way way)
{
    double begun = cpu_us(), spent;
    size_t times = 0, batch = 8;
    do {
        for (size_t i = 0; i < batch; i++)
            way(bench);
        times += batch;
        batch *= 2; /* to look at the clock is a system call, and dearer than some of the ways */
        spent = cpu_us() - begun;
    } while (spent < ROUND_US);
    return spent / (double)times;
}

static int compare_numbers(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return difference < 0 ? -1 : difference > 0;
}

static double median(double *numbers)
{
    qsort(numbers, ROUNDS, sizeof *numbers, compare_numbers);
    return numbers[ROUNDS / 2];
}

/* The lowest of some rounds: what else the machine does only adds. */
static double measure(struct bench *bench, bench_way way)
{
    double lowest = 0;
    way(bench);
    for (int round = 0; round < ROUNDS; round++) {
        double once = measure_once(bench, way);
        if (round == 0 || once < lowest)
            lowest = once;
    }
    return lowest;
}

/* In turns, so that what disturbs the one disturbs the other; the median of the rounds' ratios. */
static double measure_ratio(struct bench *bench, bench_way way, double *lowest,
                            double *lowest_library)
{
    double ratios[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        double library = measure_once(bench, library_parse);
        double ours = measure_once(bench, way);
        ratios[round] = ours / library;
        *lowest = round == 0 || ours < *lowest ? ours : *lowest;
        *lowest_library = round == 0 || library < *lowest_library ? library : *lowest_library;
    }
    return median(ratios);
}

/* ---------------------------------------------------------------- targets */

static int missed;

static const char *mark(bool is_met)
{
    missed += !is_met;
    return is_met ? " " : "!";
}

static void run_scan(struct bench *bench, const char *name, const struct text *text)
{
    bench->scanned = whole(text);
    double scan = measure(bench, scan_only), kilobytes = (double)text->length / 1024;
    printf("%-8s %7zu %10.3f %10.3f%s\n", name, text->length, scan, scan / kilobytes,
           mark(scan / (kilobytes > 1 ? kilobytes : 1) <= 0.5));
}

static void run(struct bench *bench, const struct sample *sample, bool is_small)
{
    bench->sample = sample;
    bench->cache = rewrite_cache_new(64 << 20);
    same_text(bench);
    same_text(bench); /* a text gets an entry of its own the second time it comes */
    same_text(bench);
    double text = measure(bench, same_text);
    double shape = measure(bench, same_shape);
    double first = 0, library = 0;
    double ratio = measure_ratio(bench, first_sight, &first, &library);
    struct rewrite_cache_counters counters;
    rewrite_cache_counters(bench->cache, &counters);
    printf("%-8s %7zu %10.3f%s %10.3f%s %12.1f %12.1f %9.2f%s %8llu%s\n", sample->name,
           sample->named.length, text, mark(!is_small || text <= 0.3), shape,
           mark(shape <= sample->shape_target), first, library, ratio, mark(ratio <= 1.5),
           (unsigned long long)counters.misses, mark(counters.misses == 1));
    rewrite_cache_free(bench->cache);
}

int main(void)
{
    struct sample samples[4];
    make_sample(&samples[0], "point", 1, write_point);
    make_sample(&samples[1], "insert", 4, write_insert);
    make_sample(&samples[2], "report", 25, write_report);
    make_sample(&samples[3], "rows", 800, write_rows);
    struct text alike;
    text_init(&alike, TEXT_UNBOUNDED);
    write_alike(&alike);
    struct bench bench = {.world = world_make(PHASE_DUAL_OLD, STAGE_EXPANDED, SHAPE_OLD)};
    struct snapshot *eight = eight_tables();
    bench.scan = name_scan_new(eight);
    printf("CPU us, the lowest of %d rounds; ! where a target is missed\n\n"
           "text       bytes     1 scan     per KB\n",
           ROUNDS);
    for (size_t i = 0; i < 4; i++)
        run_scan(&bench, samples[i].name, &samples[i].unnamed);
    run_scan(&bench, "alike", &alike);
    printf("\ntext       bytes     2 text     3 shape  4 1st sight     pg_query  4/pg_query  "
           "parsed\n");
    for (size_t i = 0; i < 4; i++) {
        run(&bench, &samples[i], i < 2);
        text_release(&samples[i].named);
        text_release(&samples[i].other);
        text_release(&samples[i].unnamed);
    }
    text_release(&alike);
    name_scan_free(bench.scan);
    snapshot_put(eight);
    world_free(&bench.world);
    return missed ? 1 : 0;
}
