/*
 * Request queue: what was sent to the server and is not answered yet, oldest first. Replies are
 * matched against it exactly as the protocol orders them, so that every later feature (messages of
 * our own, changed replies, state that applies only once the server has agreed) is one entry here.
 *
 * A ring; the entries' payloads are the session's to release, before it pops or drops an entry.
 */
#ifndef SEGUE_SESSION_REQUEST_QUEUE_H
#define SEGUE_SESSION_REQUEST_QUEUE_H

#include "segue/base/error.h"

#include <stdint.h>

struct definition;
struct prepared;

enum request_kind {
    REQUEST_QUERY,
    REQUEST_PARSE,
    REQUEST_BIND,
    REQUEST_DESCRIBE_STATEMENT,
    REQUEST_DESCRIBE_PORTAL,
    REQUEST_EXECUTE,
    REQUEST_CLOSE_STATEMENT,
    REQUEST_CLOSE_PORTAL,
    REQUEST_SYNC,
    REQUEST_FUNCTION,
    REQUEST_COPY_END /* CopyDone or CopyFail: a mark between Syncs, with no reply of its own */
};

/* Why a message of our own was sent; the client sees none of its replies. */
enum request_injected {
    REQUEST_OF_CLIENT,
    REQUEST_INJECTED,
    REQUEST_INJECTED_LAST, /* of a group that the session waits for */
    REQUEST_INJECTED_ROWS  /* the Execute whose rows tell how the session resolves names */
};

/* Which part of a COPY FROM by way of a temporary table a message is (copy_staging.c). */
enum request_stage {
    REQUEST_STAGE_NONE,
    REQUEST_STAGE_CREATE,
    REQUEST_STAGE_OWN, /* nothing of its replies counts */
    REQUEST_STAGE_COPY,
    REQUEST_STAGE_INSERT,
    REQUEST_STAGE_DROP /* the COPY is complete for the client */
};

struct request {
    enum request_kind kind : 8;
    enum request_injected injected : 8;
    enum request_stage stage : 8; /* a QUERY, which may hold all of them, counts its steps */
    bool names_statements;        /* QUERY, EXECUTE: holds a PREPARE or DEALLOCATE */
    bool destroys_unnamed;        /* PARSE of the unnamed statement: also when it fails */
    bool is_waited_for;   /* of our own: its error is told with the message that waits for it */
    bool loses_statement; /* CLOSE of our own: until its Parse is answered, it is not there */
    bool asks_for_doubt; /* SYNC of our own: how many of the client's are answered (copy_doubt.c) */
    bool may_be_swallowed; /* SYNC among CopyData: it is answered where the COPY fails before it */
    uint32_t statement;    /* QUERY: statements of the client's completed so far */
    uint32_t step;         /* QUERY: of the next one, where it is a staged COPY, likewise */
    struct prepared *slot; /* PARSE, CLOSE_STATEMENT: whose definition changes with the reply */
    struct definition *definition; /* QUERY, PARSE, BIND: the text behind it; counted */
    char *portal;                  /* BIND, DESCRIBE, EXECUTE, CLOSE: its name; NULL: unnamed */
    struct error *refusal;         /* the server was made to fail: what the client is to read */
};

struct request_queue {
    struct request *ring; /* NULL while capacity is 0 */
    uint32_t capacity;    /* a power of two */
    uint32_t first, count;
};

void request_queue_init(struct request_queue *queue);
void request_queue_release(struct request_queue *queue);

/* The new entry, cleared but for its kind; valid until the next push. */
struct request *request_queue_push(struct request_queue *queue, enum request_kind kind);
void request_queue_pop(struct request_queue *queue);
/* Takes entry i (0 is the oldest) out of the middle. */
void request_queue_remove(struct request_queue *queue, uint32_t i);

static inline struct request *request_queue_at(struct request_queue *queue, uint32_t i)
{
    return &queue->ring[(queue->first + i) & (queue->capacity - 1)];
}

static inline struct request *request_queue_front(struct request_queue *queue)
{
    return queue->count ? &queue->ring[queue->first] : NULL;
}

/* Does this message from the server end the request's replies? Errors are not asked here. */
static inline bool request_ends_with(enum request_kind kind, char type)
{
    switch (kind) {
    case REQUEST_QUERY:
    case REQUEST_SYNC:
    case REQUEST_FUNCTION:
        return type == 'Z';
    case REQUEST_PARSE:
        return type == '1';
    case REQUEST_BIND:
        return type == '2';
    case REQUEST_CLOSE_STATEMENT:
    case REQUEST_CLOSE_PORTAL:
        return type == '3';
    case REQUEST_DESCRIBE_STATEMENT:
    case REQUEST_DESCRIBE_PORTAL:
        return type == 'T' || type == 'n';
    case REQUEST_EXECUTE:
        return type == 'C' || type == 'I' || type == 's';
    case REQUEST_COPY_END:
        return false;
    }
    BUG("request kind %d", (int)kind);
}

/* An error in one of these makes the server skip everything up to the next Sync, Query included. */
static inline bool request_is_extended(enum request_kind kind)
{
    return kind != REQUEST_QUERY && kind != REQUEST_SYNC && kind != REQUEST_FUNCTION;
}

/*
 * The server reads CopyData now: a Sync that was sent before any of it is swallowed by it and will
 * not be answered. Takes those out.
 */
void request_queue_enter_copy(struct request_queue *queue);
/* It has read all of it: so it has swallowed every Sync before the end, and the end. */
void request_queue_leave_copy(struct request_queue *queue);
/*
 * A COPY has failed, but it is not known before or behind which Sync among its data. A reply that
 * is none to a Sync takes those at the front out. One that is leaves the next in doubt as well;
 * where none but such are left they are taken out, since nobody waits for what they may still
 * bring.
 */
void request_queue_settle(struct request_queue *queue);
void request_queue_doubt(struct request_queue *queue);

#endif
