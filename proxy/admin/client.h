/*
 * Client: one connection to the console, from accept to close. client.c moves bytes, protocol.c
 * knows the messages. All of it on the loop's thread.
 */
#ifndef SEGUE_PROXY_ADMIN_CLIENT_H
#define SEGUE_PROXY_ADMIN_CLIENT_H

#include "job.h"
#include "users.h"

#include "segue/net/listener.h"

enum client_state {
    CLIENT_STARTING,  /* no startup packet yet */
    CLIENT_PROVING,   /* has said who it is; a proof is awaited */
    CLIENT_READY,     /* logged in */
    CLIENT_FINISHING, /* is being told the end; closed once that is sent */
    CLIENT_CLOSING    /* handles are being closed; freed by the last one */
};

/* A statement or portal of the extended protocol. Its text holds one command, or none. */
struct prepared {
    struct prepared *next;
    char *name;
    char *text;
    /* portals only */
    struct job *job;      /* has run and went well, and has rows left to be sent */
    size_t sent;          /* bytes of them */
    const char *complete; /* all were sent: the tag of CommandComplete; else NULL */
    size_t bytes;         /* that it counts for */
};

struct client {
    struct client *next;
    struct console *console;
    struct stream stream;
    uv_timer_t timer; /* until it has logged in; then, until it has taken the last word */
    int open_handles;
    enum client_state state;
    char subject[128]; /* "A-3 ann@127.0.0.1:5000" */
    char peer[64];
    size_t source_length; /* of that part of `peer` that says where it came from */
    char *user;
    char *who;      /* user@peer */
    enum role role; /* when it logged in */
    bool is_listed; /* the role was said in users_file */
    uint32_t pid, key;
    struct entrance *entrance; /* until it has logged in */
    bool is_local;             /* at the Unix socket; `uid` is the peer's then */
    uid_t uid;

    uint8_t *input;
    size_t input_length, input_capacity;
    struct text out; /* what it is told in this turn */

    bool in_block; /* between BEGIN and COMMIT */
    bool acted;    /* a command that changes something ran in it */
    bool skipping; /* to the next Sync, after an error in the extended protocol */

    int turn;      /* messages and commands handled in this turn of the loop */
    bool has_more; /* the turn was over before all was handled */

    struct job *job; /* under way; nothing more is read from the client's commands until it ends */
    struct prepared *executing; /* the portal it is for; NULL: a simple query's */
    size_t execute_limit;       /* rows asked for; 0: all */

    /* The simple query at hand; `statements` NULL: none. */
    struct arena arena;
    struct statement *statements;
    size_t statement_count, statement_next;

    struct prepared *prepared, *portals;
    size_t kept_bytes; /* of both */
};

enum {
    CLIENT_MESSAGE_MAX = 4 * 1024 * 1024,
    CLIENT_TURN_MAX = 64,                /* of `turn`: others want to be heard, too */
    CLIENT_QUEUED_HIGH = 256 * 1024,     /* above it nothing is begun for the client */
    CLIENT_QUEUED_MAX = 96 * 1024 * 1024 /* above it the client is ended */
};

/* ---- client.c ---- */
/* Takes the next connection from the listener. */
void client_accept(struct console *console, struct listener *listener);
void client_go_state(struct client *client, enum client_state state);
/* It is who it says. */
void client_log_in(struct client *client, const char *user, enum role role);
/* Writes what is in `out`. The client may be ended by it, never freed. */
void client_flush(struct client *client);
/* A FATAL error, which is logged, then the end. */
void client_refuse(struct client *client, const struct error *error);
/* The same of a message alone. */
void client_fail(struct client *client, const char *sqlstate, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* At once, without a word. Frees later, from the loop. */
void client_end(struct client *client, const char *reason);
/* Handles what there is, sends what came of it, and reads on or not. */
void client_go_on(struct client *client);
/* Its job has news: notices, or its end. */
void client_on_job(struct client *client, bool done);

/* ---- protocol.c ---- */
/* Handles what is in the input and may be handled now; gives the bytes used. */
size_t protocol_handle(struct client *client);
void protocol_job_done(struct client *client, struct job *job);
void protocol_release(struct client *client);

#endif
