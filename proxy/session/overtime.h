/*
 * Overtime: sessions that are idle, or in a query or transaction, for longer than the settings
 * allow. The path of messages knows no clock for it: once a second all sessions are looked at, and
 * one that is as it was at the look before has been so since. So a session ends up to two seconds
 * late, and where no such time-out is set, nothing is looked at.
 */
#ifndef SEGUE_SESSION_OVERTIME_H
#define SEGUE_SESSION_OVERTIME_H

#include <stdint.h>

struct session;
struct worker;

/* How a session was found, and since when (low bits of uv_now). */
struct overtime {
    uint32_t answered, transactions; /* its counts at the last look */
    uint32_t unchanged_since, transaction_since;
    uint8_t activity;
};

void overtime_begin(struct session *session); /* counts from now on */
/* The settings changed. */
void overtime_configure(struct worker *worker);
/* To be called at each tick of the worker, while it has one. */
void overtime_tick(struct worker *worker);

#endif
