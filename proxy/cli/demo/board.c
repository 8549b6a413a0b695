/* Latencies in buckets on a logarithmic scale, written with relaxed atomics. */
#include "board.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SUB_BITS = 4, SUB_COUNT = 1 << SUB_BITS };

/* Values below 16 have a bucket each; above, the four bits after the highest one choose it. */
static unsigned bucket_of(uint64_t us)
{
    if (us < SUB_COUNT)
        return (unsigned)us;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(us);
    unsigned sub = (unsigned)(us >> (exponent - SUB_BITS)) & (SUB_COUNT - 1);
    unsigned bucket = (exponent - SUB_BITS + 1) * SUB_COUNT + sub;
    return bucket < DEMO_METER_BUCKETS ? bucket : DEMO_METER_BUCKETS - 1;
}

/* The highest value that falls into the bucket. */
static uint64_t bucket_top(unsigned bucket)
{
    if (bucket < SUB_COUNT)
        return bucket;
    unsigned shift = bucket / SUB_COUNT - 1;
    return ((uint64_t)(SUB_COUNT + bucket % SUB_COUNT + 1) << shift) - 1;
}

void demo_board_init(struct demo_board *board)
{
    memset(board, 0, sizeof *board);
    pthread_mutex_init(&board->lock, NULL);
    demo_board_go(board, 0, "start");
}

void demo_board_release(struct demo_board *board)
{
    pthread_mutex_destroy(&board->lock);
}

void demo_board_go(struct demo_board *board, unsigned step, const char *name)
{
    BUG_ON(step >= DEMO_STEPS_MAX);
    atomic_store(&board->step_name, name);
    atomic_store(&board->step, step);
}

void demo_board_count(struct demo_board *board, struct demo_meter *meter, uint64_t latency_ns)
{
    uint64_t us = latency_ns / 1000;
    unsigned step = atomic_load_explicit(&board->step, memory_order_relaxed);
    atomic_fetch_add_explicit(&meter->steps[step].statements, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&meter->steps[step].latency[bucket_of(us)], 1, memory_order_relaxed);
    /* Each meter has one writer, so this is no race. */
    if (us > atomic_load_explicit(&meter->steps[step].slowest_us, memory_order_relaxed))
        atomic_store_explicit(&meter->steps[step].slowest_us, us, memory_order_relaxed);
}

void demo_board_fail(struct demo_board *board, struct demo_meter *meter, const char *who,
                     const char *statement, const char *format, ...)
{
    unsigned step = atomic_load(&board->step);
    atomic_fetch_add(&meter->steps[step].failed, 1);
    char what[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    size_t length = strlen(what);
    while (length > 0 && what[length - 1] == '\n')
        what[--length] = '\0';

    pthread_mutex_lock(&board->lock);
    if (board->failure_count < DEMO_FAILURES_KEPT)
        snprintf(board->failures[board->failure_count], sizeof board->failures[0],
                 "[%s] %s: %s\n    %s", atomic_load(&board->step_name), who, statement, what);
    board->failure_count++;
    pthread_mutex_unlock(&board->lock);
}

static uint64_t quantile(const uint64_t *buckets, uint64_t total, unsigned percent)
{
    uint64_t rank = (total * percent + 99) / 100, seen = 0;
    for (unsigned i = 0; i < DEMO_METER_BUCKETS; i++) {
        seen += buckets[i];
        if (seen >= rank && seen > 0)
            return bucket_top(i);
    }
    return 0;
}

struct demo_reading demo_board_read(struct demo_meter *const *meters, size_t count, unsigned step)
{
    struct demo_reading reading = {0};
    uint64_t buckets[DEMO_METER_BUCKETS] = {0}, total = 0;
    for (size_t i = 0; i < count; i++) {
        reading.statements += atomic_load(&meters[i]->steps[step].statements);
        reading.failed += atomic_load(&meters[i]->steps[step].failed);
        uint64_t slowest = atomic_load(&meters[i]->steps[step].slowest_us);
        if (slowest > reading.slowest_us)
            reading.slowest_us = slowest;
        for (unsigned b = 0; b < DEMO_METER_BUCKETS; b++) {
            uint64_t seen = atomic_load(&meters[i]->steps[step].latency[b]);
            buckets[b] += seen;
            total += seen;
        }
    }
    reading.p50_us = quantile(buckets, total, 50);
    reading.p99_us = quantile(buckets, total, 99);
    return reading;
}
