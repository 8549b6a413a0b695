/*
 * Runs: the backfills of this process, each a thread. Within this room only.
 *
 * A run is known by fleet, database and transition; it stays in the list when it has ended, until
 * another takes its place. The functions of the second part are the thread's own.
 */
#ifndef SEGUE_CHANGE_RUN_H
#define SEGUE_CHANGE_RUN_H

#include "segue/fleet/fleet.h"
#include "segue/fleet/store.h"

enum want { WANT_GO, WANT_PAUSE, WANT_CANCEL, WANT_STOP };

/* Starts the thread, which goes on from what the store says. 55006 where one is running already. */
bool run_begin(struct fleet *fleet, size_t database, const char *who,
               const struct store_backfill *state, struct error *error) MUST_CHECK;
bool run_is_alive(const struct fleet *fleet, size_t database, const char *transition);
/* Tells it how to end; false where none is alive. */
bool run_tell(const struct fleet *fleet, size_t database, const char *transition, enum want want);
/* How far the latest run is, alive or not; false, and `state` as it was, where there is none. */
bool run_look(const struct fleet *fleet, size_t database, const char *transition,
              struct store_backfill *state, bool *alive);
/* Ends all threads after the range at hand, and joins them. What they did not finish stays
 * resumable. */
void run_stop_all(const struct fleet *fleet);

/* ---- for the thread ---- */
struct run {
    struct run *next;
    struct fleet *fleet;
    size_t database;
    char *transition, *who; /* these four never change */
    struct run_state *state;
};
enum want run_wanted(const struct run *run);
void run_show(struct run *run, const struct store_backfill *state);
/* Rests so long, or until somebody wants something. */
void run_rest(const struct run *run, unsigned milliseconds);
void run_fill(struct run *run); /* filler.c: what the thread does */

/* `from` may share strings with `to`. */
void run_copy(struct store_backfill *to, const struct store_backfill *from);
void run_set(char **field, const char *value);

#endif
