/*
 * Upstream: finding the server of one session. Its attempt lives from the first look-up of a name
 * until it is certain that the session stays where it is: at once where any server will do, else
 * when the server has shown what it is, after the login.
 *
 *     upstream.c         hosts and their addresses, one after the other, and what each one met
 *     upstream_target.c  is it the kind of server that target_session_attrs asks for?
 *     upstream_hosts.c   what this process knows of the hosts: whom to ask first
 */
#ifndef SEGUE_SESSION_UPSTREAM_H
#define SEGUE_SESSION_UPSTREAM_H

#include "segue/net/unix_socket.h"

#include "session.h"

struct name_lookup;

enum { UPSTREAM_FAILURES_MAX = 900 }; /* bytes: they go into an error's message */

/* One of the hosts that are tried, in this order. `suits_if_need_be`: prefer-standby. */
struct upstream_choice {
    uint8_t host; /* index into settings->upstream.hosts */
    bool takes_any;
};

struct upstream_attempt {
    struct session *session; /* NULL once it has ended: the callback only frees */
    struct upstream_choice choices[2 * SETTINGS_HOSTS_MAX];
    size_t choice_count;
    size_t choice;              /* the one under way */
    struct name_lookup *lookup; /* under way; NULL: none */
    struct addrinfo *addresses; /* of its host; NULL for an address or a Unix socket */
    struct addrinfo *next;      /* to be tried when the one under way fails */
    struct sockaddr_storage address;
    struct settings_host
        given; /* where the session is that is to be cancelled; name NULL: unknown */
    uv_connect_t connect;
    bool connecting; /* `connect` is under way */
    bool retrying;   /* the handle is closing, to be used again */
    size_t tried;
    struct text failures; /* of all before */
    char hint[256];       /* of the last one */
    bool timed_out;       /* the last one */

    /* after connecting */
    struct text startup; /* the client's packet, to be sent to each */
    bool heard;          /* this server has said something */
    bool cannot_repeat;  /* the client was asked for SASL or GSS, which none does twice */
    bool told_version;   /* NegotiateProtocolVersion went to the client */
    bool version_is_withheld;
    bool withholding; /* what the server says just now waits in `withheld` */
    struct text withheld;
    bool asking; /* the server is asked by a query of ours what it is */
    enum upstream_fact { FACT_UNKNOWN, FACT_FALSE, FACT_TRUE } in_hot_standby, is_read_only;
};

/* ---- upstream.c ---- */
/* The attempt knows what to try. */
void upstream_begin(struct session *session);
/* The present try failed: the next, or the end of the session. `verdict` is on its host. */
enum upstream_verdict { HOST_UNKNOWN, HOST_SUITS, HOST_DOES_NOT_SUIT, HOST_IS_DOWN };
void upstream_try_failed(struct session *session, enum upstream_verdict verdict, const char *why,
                         const char *hint);
/* It failed, and no other is to be tried. */
void upstream_give_up(struct session *session, const char *why, const char *hint);
/* It stays at this server; the attempt is gone. */
void upstream_settle(struct session *session);
const struct settings_host *upstream_host(const struct session *session);
bool upstream_has_more(const struct upstream_attempt *attempt);

/* ---- upstream_hosts.c; for all workers ---- */
/* From now on what is known is of these settings' hosts: nothing yet, where the list is another. */
void upstream_hosts_begin(const struct settings *settings);
void upstream_hosts_note(const struct settings *settings, size_t host,
                         enum upstream_verdict verdict);
/* Fills `choices`, which has room for all; gives their count. */
size_t upstream_hosts_order(const struct settings *settings, bool any_will_do,
                            struct upstream_choice *choices);

#endif
