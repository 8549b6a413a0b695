/*
 * Session: one client connection and its own server connection, from accept to close. On the
 * worker's thread only.
 */
#ifndef SEGUE_SESSION_SESSION_H
#define SEGUE_SESSION_SESSION_H

#include "admission.h"
#include "overtime.h"
#include "request_queue.h"
#include "worker_state.h"

enum session_state {
    SESSION_STARTUP,    /* the startup packet is read */
    SESSION_CONNECTING, /* to the server */
    SESSION_LOGIN,      /* authentication is relayed, up to the first ReadyForQuery */
    SESSION_READY,      /* messages are relayed */
    SESSION_RAW,        /* replication: messages are relayed unseen */
    SESSION_CANCEL,     /* a CancelRequest was passed on: until the server closes */
    SESSION_ENDING      /* what waits is being sent, then everything is closed */
};

/* Why no message of the client's is taken just now. Its bytes are kept, up to a bound. */
enum session_wait {
    WAIT_NONE,
    WAIT_LOGIN,    /* for the first ReadyForQuery */
    WAIT_INJECTED, /* for the answer to messages of our own */
    WAIT_DRAIN,    /* for every reply: a newer snapshot is there, and the client pipelines */
    WAIT_QUEUE,    /* the request queue is at its ceiling */
    WAIT_HELD,     /* for the next snapshot: the table is held */
    WAIT_PARSED,   /* for the worker's second thread to parse a large text */
    WAIT_STAGED    /* for the server to read CopyData, or to have read it all (copy_staging.c) */
};

/* How the server resolves names for this session, as far as it was asked. */
enum enlistment {
    ENLIST_UNKNOWN, /* ask before the next text that touches a table in transition */
    ENLIST_ASKED,
    ENLIST_KNOWN
};

/* Bytes of a message that is passed on, or thrown away, without being looked at. */
struct message_rest {
    size_t left;
    bool discard;
};

struct portal {
    struct definition *definition;
    uint32_t statement; /* of the definition's text: a cursor may be declared among others */
    bool is_held;       /* a cursor WITH HOLD: it outlives its transaction */
    char *name;         /* NULL: the unnamed one */
    LIST_ENTRY(portal) link;
};

/* Syncs among the data of a COPY that failed: nobody knows how many are still to be answered. */
struct copy_doubt {
    uint32_t left;        /* at most */
    bool skips;           /* none was answered so far, and the server may be skipping up to one */
    bool own_is_answered; /* a ReadyForQuery was counted for the Sync of our own */
};

struct enlist_answer;
struct parse_task;
struct upstream_attempt;
struct cancel_key;
struct authentication;

struct session {
    struct worker *worker;
    LIST_ENTRY(session) link; /* of worker->relaying or worker->timed */
    struct stream client, server;
    enum session_state state;
    enum session_wait waiting;
    uint8_t handles; /* streams not yet closed, and a notice under way (cancel.c) */
    bool counted;    /* among max_client_conn */
    bool is_cancel;  /* the startup packet was a CancelRequest */
    bool is_replication;
    bool startup_is_bad; /* a packet that only the server's refusal can follow: nothing else passes
                          */
    bool refusal_began;  /* which has */
    bool password_asked; /* an answer of the client's is awaited, and nothing else */
    bool ssl_asked, gss_asked;
    bool is_direct_tls;         /* the client began with TLS, not with SSLRequest */
    bool client_left;           /* it said Terminate, or closed its side */
    bool said_terminate;        /* it said Terminate */
    bool server_said_fatal;     /* the server is about to close */
    bool client_broke_protocol; /* the server was given the offending header; the rest goes nowhere
                                 */
    bool processing_client;     /* client messages are being taken: not again from inside */
    bool is_cancelled;          /* the statement that waits: it is refused when it is met again */
    uint64_t deadline;          /* of the state, in uv_now; 0 none */
    uint64_t login_deadline;    /* of the login as a whole; then of the end as a whole */
    uint64_t id;
    enum shape port_shape; /* of the port it came in by */
    struct configuration *configuration;
    struct text client_kept, server_kept; /* bytes of messages that must be whole, or must wait */
    struct message_rest client_rest, server_rest;
    struct upstream_attempt *attempt;      /* until it is certain at which server it stays */
    struct cancel_key *cancel_key;         /* NULL: a cancel request finds its way without */
    uint8_t host;                          /* index into settings->upstream.hosts */
    struct authentication *authentication; /* NULL: it is relayed, or over */

    /* who */
    char *user, *database_name, *application;
    char address[64];
    uint64_t connected_ms;
    uint64_t queries;
    uint64_t bytes_from_client, bytes_from_server;
    uint32_t answered,
        transactions; /* requests answered and transactions ended: they only change */
    struct overtime overtime;
    struct admission *user_place, *database_place; /* once logged in */
    int32_t server_pid;

    /* the protocol */
    struct request_queue queue;
    char transaction;        /* of the last ReadyForQuery: I, T, E */
    bool transaction_failed; /* as far as the replies go: also after a ROLLBACK whose Sync is not
                                answered yet it has not */
    bool batch_open; /* extended messages were sent and no Sync since. A Query between them may be
                        skipped, so only its ReadyForQuery ends the batch too */
    bool skipping;   /* an extended message failed and its Sync is not sent yet */
    bool injection_failed; /* it was a message of ours that failed, in the client's batch */
    bool skips_here;       /* while skipping: the server does not, so nothing is passed on */
    bool syncs_in_copy;    /* Syncs among data may be on their way */
    struct copy_doubt copy_doubt;
    bool copying_in; /* the server reads CopyData */
    bool copy_end_sent;
    bool copy_data_sent; /* CopyData, and nothing behind it but more, Sync and Flush */
    struct definition
        *staged;           /* a COPY into a temporary table is complete: the rest is to be sent */
    uint64_t staged_rows;  /* that the INSERT out of it wrote */
    bool standard_strings; /* standard_conforming_strings */
    enum sql_encoding encoding; /* in which the client's texts are, and errors' positions counted */
    char *server_encoding, *client_encoding; /* by name; NULL until the server told */
    bool encoding_is_safe;
    bool encoding_is_utf8;             /* or none, so that bytes go to the server as they are */
    char *date_style, *interval_style; /* as the server reports them; NULL until it has */

    /* rewriting; all of it only where `database` is not NULL */
    struct worker_database *database;
    struct worker_snapshot *pinned; /* NULL between transactions */
    uint64_t serial;                /* of the snapshot that shapes and context are for */
    uint64_t context;    /* names everything that decides how a text is rewritten; see definition */
    uint64_t contexts;   /* the last one given out */
    bool context_is_new; /* it began between transactions: new_shapes is not of it yet */
    uint64_t new_shapes;
    uint64_t touched; /* transitions touched in this transaction */
    struct shape_list shapes;
    char *startup_shape;           /* from the connection string; NULL: the listener's */
    struct error *shape_error;     /* segue.shape has a value that means nothing */
    struct resolution *resolution; /* valid while ENLIST_KNOWN */
    enum enlistment enlistment;
    int64_t server_started; /* of its server, as catalog_server; 0 until it was asked */
    bool asked_once;        /* the first enlist query, at the first transaction, was made */
    bool changes_pending;   /* this transaction may change the resolution; asked again after it */
    bool schema_changed;    /* this transaction ran DDL */
    struct parse_task *parsing; /* a large text, being parsed or done; NULL: none */
    struct enlist_answer *answer;
    bool answer_is_optional;      /* nobody's statement waits for it */
    struct error *injected_error; /* what the messages of our own met; the next text reports it */
    struct prepared_map prepared;
    struct portal unnamed_portal;
    LIST_HEAD(, portal) portals;
    uint32_t naming;    /* requests on their way with a PREPARE or DEALLOCATE: names may change */
    bool writes_unseen; /* a portal that writes is suspended, and no command was completed since:
                           what it wrote shows from the next one on */
    bool bound_names;   /* what was bound last holds a PREPARE or DEALLOCATE */
    uint32_t bound_effects; /* of what was bound last */
    bool declares_cursors;  /* a cursor or named portal over a table in transition was made: FETCH
                               is looked at from then on */
    bool bound_staged;      /* a COPY by way of a temporary table was bound in this session */
    bool prepared_unseen;   /* a Parse was too large to be looked at, and no transition was there */
};

enum {
    SESSION_KEPT_MAX =
        64 * 1024, /* bytes kept from a client that must wait, before reading stops */
    SESSION_QUEUE_MAX = 64 * 1024,  /* requests outstanding */
    SESSION_LOOK_MAX = 1024 * 1024, /* a message from the server above this is not looked into */
    SESSION_NAMES_MAX = 64 * 1024,  /* bytes of a message's names */
    SESSION_ENDING_MS = 10 * 1000,  /* for a peer to take what waits */
    SESSION_LINGER_MS = 1000        /* and, when it has taken it, to close */
};

/* ---- session.c: life ---- */
void session_accept(struct worker_listener *listener);
/* Its client's stream is not connected yet. It frees itself, after session_end. */
struct session *session_new(struct worker_listener *listener);
void session_go_state(struct session *session, enum session_state state);
/*
 * The one ending: counted, one line in the log (`detail`, or what the reason says), and both
 * connections close. Nothing may be sent afterwards. Of a session that has ended: nothing.
 */
void session_end(struct session *session, enum session_end_reason reason, const char *detail);
/* The same, and the client is told FATAL first, where a message may begin. */
void session_refuse(struct session *session, enum session_end_reason reason,
                    const struct error *error);
/* What the end of either connection means, after all that was said before; `otherwise` where
 * nothing was. */
enum session_end_reason session_end_reason_of(const struct session *session,
                                              enum session_end_reason otherwise);
void session_subject(const struct session *session, char *buffer, size_t size);
bool session_is_idle(
    const struct session *session); /* at a transaction boundary, nothing on its way */
static inline bool session_is_over(const struct session *session)
{
    return session->state == SESSION_ENDING;
}
/* As far as the replies go, the server reads CopyData. */
static inline bool session_is_in_copy(const struct session *session)
{
    return session->copying_in && !session->copy_end_sent;
}
/* Takes up the client's messages again where whatever it waited for has happened. */
void session_continue(struct session *session);
/* The time that its state may take begins anew. */
void session_restart_deadline(struct session *session);
/* The startup packet was a CancelRequest. */
void session_become_cancel(struct session *session);
/* The deadline passed. */
void session_on_deadline(struct session *session);
/* Ends it because the worker drains. */
void session_drain(struct session *session);
void session_kill(struct session *session); /* because an operator said so */
/* The server's stream; its handle is not counted yet. */
void session_init_server(struct session *session, bool is_unix);
void session_send_client(struct session *session, const struct text *text);

/* Logged in. False where there is no place for it, and it was told so. */
bool session_start_relay(struct session *session);

/* One that `handles` counts is gone. The last one frees the session. */
void session_let_go(struct session *session);
void session_on_client_closed(struct stream *stream);
void session_on_server_closed(struct stream *stream);

/* ---- relay.c ---- */
extern const struct stream_events relay_client_events, relay_server_events;
/*
 * Of what the server of a replication connection says nothing is looked at but where a message
 * ends: a last word of Segue's must not get into the middle of one. Gives how much may be passed
 * on: all but a header that is not whole.
 */
size_t relay_follow(struct session *session, const uint8_t *data, size_t length);

/* ---- login.c ---- */
void login_on_client(struct session *session);   /* SESSION_STARTUP: client_kept grew */
void login_on_upstream(struct session *session); /* connected */
void login_on_secured(struct stream *stream, const struct error *error); /* the client */
/* TLS from the first byte on; false where this listener has none. */
bool login_begin_direct_tls(struct session *session, const uint8_t *data, size_t length);
/* The value of segue.shape in a startup packet's options; NULL where absent. The caller frees. */
char *startup_shape(const char *options);
bool session_set_shapes(struct session *session, const char *value, struct error *error) MUST_CHECK;

/* ---- upstream.c, upstream_target.c; what they share is in upstream.h ---- */
void upstream_connect(struct session *session);
void upstream_cancel(struct session *session);    /* the session ends while connecting */
bool upstream_on_closed(struct session *session); /* true: another address is being tried */
void upstream_on_deadline(struct session *session);
/* The server's answer to SSLRequest. */
void upstream_on_answer(struct session *session, const uint8_t *data, size_t length);
/* It closed the connection while there was an attempt. */
void upstream_on_end(struct session *session);
void upstream_on_secured(struct stream *stream, const struct error *error);
/* The startup packet is about to be sent to this server. */
void upstream_begin_login(struct session *session);
/* The key of BackendKeyData, which a CancelRequest will name. */
void upstream_note_key(struct session *session, const uint8_t *key, size_t length);

/* ---- authentication.c ---- */
/* An authentication request of the server; true where it is not for the client. */
bool authentication_on_request(struct session *session, const uint8_t *body, size_t length);
/* Are the client's answers for us? */
bool authentication_takes(const struct session *session);
enum authentication_answer { AUTHENTICATION_TAKEN, AUTHENTICATION_RELAY };
enum authentication_answer authentication_on_client(struct session *session, const uint8_t *body,
                                                    size_t length);
void authentication_release(struct session *session);

/* ---- client_messages.c ---- */
/* Takes messages into worker->to_server; gives how many bytes were consumed. */
size_t client_consume(struct session *session, const uint8_t *data, size_t length);

/* ---- server_messages.c ---- */
size_t server_consume(struct session *session, uint8_t *data, size_t length);

/* ---- portals.c ---- */
struct portal *portal_find(struct session *session, const char *name); /* NULL: the unnamed one */
void portal_set(struct session *session, struct request *bind);
void portal_drop(struct session *session, struct portal *portal);
/* A cursor of SQL, which is a portal. */
void portal_declare(struct session *session, struct definition *definition,
                    const struct rewrite_named *named);
void portal_close(struct session *session, const char *name);
void session_close_portals(struct session *session); /* all of them */
void session_drop_portals(struct session *session);  /* but for cursors WITH HOLD */
/* What a portal ("": the unnamed one) will have been bound to when a message sent now comes to it.
 */
struct definition *definition_to_execute(struct session *session, const char *name);
/* The text behind a request; NULL where it was passed on unseen. */
struct definition *definition_behind(struct session *session, const struct request *request);

/* ---- requests.c: the queue's payloads ---- */
struct request *request_push(struct session *session, enum request_kind kind);
void request_release(struct session *session, struct request *request, bool undo);
void request_pop(struct session *session);
void request_skip_to_sync(struct session *session);
void request_release_all(struct session *session);

/* ---- copy_doubt.c ---- */
/* A COPY has failed. `skips`: what has failed is an Execute. */
void copy_doubt_begin(struct session *session, bool skips);
/* The client's next message is another Sync. */
void copy_doubt_add_sync(struct session *session);
/* It is something else: the server is asked first. The client waits. */
void copy_doubt_ask(struct session *session);
/* A ReadyForQuery in doubt; is it for the client? */
bool copy_doubt_on_ready(struct session *session);
/* The answer to what asked is there. */
void copy_doubt_end(struct session *session);
/* Syncs are on their way among data, and the replies that are due will tell what became of them, or
 * that it is in doubt. */
bool copy_doubt_is_coming(struct session *session);

/* ---- refuse.c ---- */
/* In place of a Query. */
void refuse_query(struct session *session, const struct error *error);
/* In place of a Parse of this name, or (NULL) of a Bind or Describe; the server then skips the rest
 * of the batch. */
void refuse_extended(struct session *session, const char *name, const struct error *error);

/* ---- copy_staging.c: COPY FROM by way of a temporary table ---- */
/* NULL where a Parse of this was no such COPY. */
const struct rewrite_staging *staging_of(const struct definition *definition);
/* Before and after an Execute of it. */
void staging_begin(struct session *session, struct definition *definition);
void staging_end(struct session *session, struct definition *definition);
/* Sends what follows for session->staged. */
void staging_continue(struct session *session);
void staging_release(struct session *session);
/* Is an Execute of one on its way? */
bool staging_is_copying(struct session *session);
void staging_ask_for_reply(struct session *session);
/* A CommandComplete; true: it was dealt with, and must not be passed on. */
bool staging_on_complete(struct session *session, struct request *request, const char *tag);
/* What an error or notice says of the temporary table is said of the client's. False where there is
 * none. */
struct wire_fields;
bool staging_translate(const struct request *request, const struct definition *definition,
                       struct arena *arena, struct wire_fields *fields);
bool staging_hides_notice(const struct request *request);

/* ---- rewriting.c ---- */
enum decision {
    DECIDE_SEND, /* `definition`, where not NULL, says what */
    DECIDE_REFUSE,
    DECIDE_WAIT
};
/* Pins, or tells that the client must wait for it. */
bool rewriting_begin(struct session *session) MUST_CHECK;
void rewriting_unpin(struct session *session);
void rewriting_transaction_ended(struct session *session);
/* A newer snapshot is there. */
void rewriting_on_publish(struct session *session);
/* As far as the replies go, and all have come: the server refuses whatever does not end it. */
bool rewriting_has_failed(const struct session *session);
/*
 * Before messages of our own: what is on its way for the client must be answered, for it decides
 * whether they can succeed. DECIDE_WAIT until it is.
 */
enum decision rewriting_before_own(struct session *session, struct error *error) MUST_CHECK;
/* Sees to it that no question need be asked behind the message at hand. */
enum decision rewriting_settle(struct session *session, struct error *error) MUST_CHECK;
void rewriting_note_effects(struct session *session, uint32_t effects);
void rewriting_note_text(struct session *session, struct slice text, uint32_t words);
void rewriting_forget_resolution(struct session *session);
void rewriting_new_context(struct session *session);
/* What words the text holds: bits of name_scan_bit. */
uint32_t rewriting_scan(const struct session *session, struct slice text);
/* `rewrite` is valid until the next look-up unless taken with rewrite_get; NULL: as it is. */
enum decision rewriting_find(struct session *session, struct slice text, uint32_t words,
                             struct rewrite **rewrite, struct error *error);
/* What the messages of our own met that this one waited for. DECIDE_REFUSE. */
enum decision refuse_with_injected_error(struct session *session, struct error *error);
enum decision rewriting_touch(struct session *session, const struct rewrite *rewrite,
                              struct error *error);
bool rewriting_names_statements(const struct rewrite *rewrite);
void rewriting_note_cursors(struct session *session, const struct rewrite *rewrite);
void rewriting_count(struct session *session, const struct rewrite *rewrite);

/* ---- reprepare.c ---- */
/*
 * Before a message that uses the statement of this slot, which was made in another context: sends
 * what is needed first, and says so in `sent`.
 */
enum decision reprepare_slot(struct session *session, struct prepared *slot, bool *sent,
                             struct error *error);
/* The same for the names that a text's EXECUTEs use. `waits`: the client waits for the answer. */
enum decision reprepare_named(struct session *session, const struct rewrite *rewrite, bool waits,
                              struct error *error);

/* The client waits until all replies on their way have come. DECIDE_WAIT. */
enum decision wait_for_replies(struct session *session);

/* ---- enlist.c ---- */
void enlist_ask(struct session *session);
void enlist_on_row(struct session *session, const uint8_t *body, size_t length);
void enlist_on_end(struct session *session); /* the messages of our own are answered */
void enlist_release(struct session *session);
/* Ends a group of injected messages: Sync at a boundary, Flush inside a batch. */
void inject_end(struct session *session);

#endif
