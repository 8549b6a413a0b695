/*
 * Cancelling: what has to happen between a cancel request's arrival and its being passed on.
 */
#ifndef SEGUE_SESSION_CANCEL_H
#define SEGUE_SESSION_CANCEL_H

#include "session.h"
#include "upstream.h"

/* ---- cancel.c ---- */
/*
 * `session` has brought a cancel request, and has an attempt. True where a session of this process
 * is meant: it is told, and upstream_begin comes when it has done its part.
 */
bool cancel_announce(struct session *session) MUST_CHECK;
/* Of a statement that was cancelled before the server had it. */
void cancel_explain(struct error *error);

/* ---- cancel_keys.c; for all workers ---- */
/* Which session's server gave out a key, and where that server is. */
struct cancel_key;
struct cancel_key *cancel_key_add(struct session *session, const uint8_t *key, size_t length,
                                  const struct settings_host *host,
                                  const struct sockaddr_storage *address);
void cancel_key_remove(struct cancel_key *key); /* NULL is allowed */
/*
 * False where no session of this process has it. Else `notice` is posted to the worker of the one
 * that does; `address->ss_family` is 0 for a Unix socket; the caller frees the host's name.
 */
bool cancel_key_find(const uint8_t *key, size_t length, struct settings_host *host,
                     struct sockaddr_storage *address, struct worker_order *notice) MUST_CHECK;
/* For the worker's own thread: its session that has the key; NULL where that is gone. */
struct session *cancel_key_session(const struct worker *worker, const uint8_t *key, size_t length);

#endif
