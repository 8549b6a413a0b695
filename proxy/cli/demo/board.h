/*
 * The score board of the demo: what the apps' connections saw in each step of the journey. Every
 * connection has a meter of its own to write to; the journey adds them up while they run.
 */
#ifndef SEGUE_PROXY_CLI_DEMO_BOARD_H
#define SEGUE_PROXY_CLI_DEMO_BOARD_H

#include "segue/base/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { DEMO_STEPS_MAX = 16 };

/* Buckets of latency in microseconds: 16 to each power of two, so a value is known to 6 %; the last
 * one is for an hour and more. */
enum { DEMO_METER_BUCKETS = 480 };

struct demo_meter {
    struct {
        _Atomic uint32_t latency[DEMO_METER_BUCKETS];
        _Atomic uint64_t slowest_us;
        _Atomic uint64_t statements;
        _Atomic uint64_t failed; /* errors and wrong answers */
    } steps[DEMO_STEPS_MAX];
};

struct demo_reading {
    uint64_t statements;
    uint64_t failed;
    uint64_t p50_us, p99_us, slowest_us; /* 0 where there was no statement */
};

enum { DEMO_FAILURES_KEPT = 8 };
struct demo_board {
    _Atomic unsigned step; /* what is measured now */
    const char *_Atomic step_name;
    pthread_mutex_t lock;
    size_t failure_count;
    char failures[DEMO_FAILURES_KEPT][1200]; /* the first ones, for a person */
};

void demo_board_init(struct demo_board *board);
void demo_board_release(struct demo_board *board);
void demo_board_go(struct demo_board *board, unsigned step, const char *name);

/* One statement, answered or not, after so long. */
void demo_board_count(struct demo_board *board, struct demo_meter *meter, uint64_t latency_ns);
/* One failure: of `who`, at `statement`. */
void demo_board_fail(struct demo_board *board, struct demo_meter *meter, const char *who,
                     const char *statement, const char *format, ...) PRINTF_LIKE(5, 6);

/* Adds up one step over several meters. */
struct demo_reading demo_board_read(struct demo_meter *const *meters, size_t count, unsigned step);

#endif
