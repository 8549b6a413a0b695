/*
 * Connecting to a server: hosts in turn, of each all addresses, until one takes the session. A
 * handle that could not be used must be closed before the next try, so the next one begins in its
 * close callback.
 */
#include "cancel.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/wire/message.h"

#include <stdio.h>
#include <stdlib.h>

/* It outlives its attempt where that could not wait for it. */
struct name_lookup {
    uv_getaddrinfo_t request;
    struct upstream_attempt *attempt; /* NULL: nobody waits */
};

static void on_connected(uv_connect_t *request, int status);

const struct settings_host *upstream_host(const struct session *session)
{
    const struct upstream_attempt *attempt = session->attempt;
    if (attempt && attempt->given.name)
        return &attempt->given;
    return &session->configuration->settings->upstream.hosts[session->host];
}

bool upstream_has_more(const struct upstream_attempt *attempt)
{
    return attempt->next || attempt->choice + 1 < attempt->choice_count;
}

static void forget_addresses(struct upstream_attempt *attempt)
{
    if (attempt->addresses)
        uv_freeaddrinfo(attempt->addresses);
    attempt->addresses = attempt->next = NULL;
}

static void abandon_lookup(struct upstream_attempt *attempt)
{
    if (!attempt->lookup)
        return;
    attempt->lookup->attempt = NULL;
    uv_cancel((uv_req_t *)&attempt->lookup->request); /* refused where it runs; as well */
    attempt->lookup = NULL;
}

static void attempt_free(struct upstream_attempt *attempt)
{
    abandon_lookup(attempt);
    forget_addresses(attempt);
    text_release(&attempt->failures);
    text_release(&attempt->startup);
    text_release(&attempt->withheld);
    free(attempt->given.name);
    free(attempt);
}

/* The callback of a try that is under way frees the attempt. */
void upstream_cancel(struct session *session)
{
    struct upstream_attempt *attempt = session->attempt;
    if (!attempt)
        return;
    session->attempt = NULL;
    attempt->session = NULL;
    if (!attempt->connecting)
        attempt_free(attempt);
}

void upstream_settle(struct session *session)
{
    upstream_cancel(session);
}

/* ---------------------------------------------------------------- failing */

static void note_failure(struct session *session, const char *why, const char *hint)
{
    struct upstream_attempt *attempt = session->attempt;
    const struct settings_host *host = upstream_host(session);
    text_add_format(&attempt->failures, "%sat \"%s\"", attempt->tried++ ? "; " : "", host->name);
    char ip[INET6_ADDRSTRLEN] = "";
    const struct sockaddr *address = (const struct sockaddr *)&attempt->address;
    if (address->sa_family && uv_ip_name(address, ip, sizeof ip) == 0 &&
        strcmp(ip, host->name) != 0)
        text_add_format(&attempt->failures, " (%s)", ip);
    text_add_format(&attempt->failures, ", port %d: %s", host->port, why);
    snprintf(attempt->hint, sizeof attempt->hint, "%s", hint);
}

static void give_up(struct session *session)
{
    struct upstream_attempt *attempt = session->attempt;
    struct error error;
    error_set(&error, "08006", "could not connect to %s %s",
              attempt->tried > 1 ? "any server:" : "the server", attempt->failures.data);
    error_hint(&error, "%s", attempt->hint);
    session_refuse(
        session, attempt->timed_out ? SESSION_END_CONNECT_TIMEOUT : SESSION_END_SERVER_UNREACHABLE,
        &error);
}

void upstream_give_up(struct session *session, const char *why, const char *hint)
{
    note_failure(session, why, hint);
    give_up(session);
}

static void begin_choice(struct session *session);
static void connect_tcp(struct session *session, const struct sockaddr *address);

/* The next address, or the next host. */
static void go_on(struct session *session)
{
    struct upstream_attempt *attempt = session->attempt;
    struct addrinfo *address = attempt->next;
    bool is_late =
        session->login_deadline && session->login_deadline <= uv_now(&session->worker->loop);
    if (is_late || !upstream_has_more(attempt)) {
        give_up(session);
    } else if (address) {
        attempt->next = address->ai_next;
        connect_tcp(session, address->ai_addr);
    } else {
        attempt->choice++;
        begin_choice(session);
    }
}

void upstream_try_failed(struct session *session, enum upstream_verdict verdict, const char *why,
                         const char *hint)
{
    struct upstream_attempt *attempt = session->attempt;
    note_failure(session, why, hint);
    if (!session->is_cancel)
        upstream_hosts_note(session->configuration->settings, session->host, verdict);
    if (session->state != SESSION_CONNECTING)
        session_go_state(session, SESSION_CONNECTING);
    abandon_lookup(attempt);
    if (session->server.is_open) {
        attempt->retrying = true;
        stream_close(&session->server);
    } else {
        go_on(session);
    }
}

static const char *const is_it_running =
    "Is PostgreSQL running, and is `upstream` of segue.conf right?";

static void try_failed(struct session *session, const char *why)
{
    upstream_try_failed(session, HOST_IS_DOWN, why, is_it_running);
}

void upstream_on_deadline(struct session *session)
{
    char why[64];
    snprintf(why, sizeof why, "no answer within %d seconds",
             session->configuration->settings->server_connect_timeout);
    session->attempt->timed_out = true;
    try_failed(session, why);
}

/* The server closed the connection before it said what the client could be told. */
void upstream_on_end(struct session *session)
{
    struct upstream_attempt *attempt = session->attempt;
    if (session->state == SESSION_CONNECTING)
        upstream_try_failed(
            session, HOST_IS_DOWN, "it closed the connection when it was asked for TLS",
            "Is `upstream` of segue.conf right? server_tls_sslmode = disable does not ask.");
    else if (attempt->cannot_repeat)
        upstream_give_up(session, "it closed the connection during the login", is_it_running);
    else
        try_failed(session, "it closed the connection during the login");
}

/* ---------------------------------------------------------------- TLS */

/* As libpq, no other host is tried then: somebody may want just that. */
static void fail_encryption(struct session *session, const char *why, const char *hint)
{
    upstream_give_up(session, why, hint);
}

/* Connected. */
static void on_open(struct session *session)
{
    if (!session->configuration->encryption.server || session->server.handle.type != UV_TCP) {
        login_on_upstream(session);
        return;
    }
    static const char request[] = {0, 0, 0, 8, 4, (char)210, 22, 47};
    uv_buf_t buffer = {.base = (char *)request, .len = sizeof request};
    stream_write(&session->server, &buffer, 1);
    stream_read_start(&session->server);
}

void upstream_on_answer(struct session *session, const uint8_t *data, size_t length)
{
    if (session->attempt->retrying)
        return;                             /* too late */
    if (session->server.tls || length != 1) /* see CVE-2021-23222 */
        fail_encryption(session, "received unencrypted data after the answer to SSLRequest",
                        "Somebody between Segue and the server may be tampering.");
    else if (data[0] == 'S')
        stream_secure(&session->server, session->configuration->encryption.server,
                      upstream_host(session)->name, (struct slice){0});
    else if (data[0] != 'N')
        fail_encryption(session, "it does not answer as PostgreSQL does",
                        "Is `upstream` of segue.conf right?");
    else if (session->configuration->settings->server_tls.mode >= SSLMODE_REQUIRE)
        fail_encryption(session, "it does not support TLS, but server_tls_sslmode requires it",
                        "Set ssl = on in postgresql.conf, or relax server_tls_sslmode.");
    else
        login_on_upstream(session);
}

void upstream_on_secured(struct stream *stream, const struct error *error)
{
    struct session *session = stream->owner;
    if (session_is_over(session) || session->attempt->retrying)
        return;
    if (error)
        fail_encryption(session, error->message,
                        "See server_tls_ca_file and the other server_tls_ settings.");
    else
        login_on_upstream(session);
}

/* ---------------------------------------------------------------- connecting */

static void begin_try(struct session *session, bool is_unix)
{
    session->attempt->timed_out = false;
    session_restart_deadline(session);
    session_init_server(session, is_unix);
    session->handles++;
}

static void connect_tcp(struct session *session, const struct sockaddr *address)
{
    struct upstream_attempt *attempt = session->attempt;
    begin_try(session, false);
    if (address != (struct sockaddr *)&attempt->address)
        memcpy(&attempt->address, address,
               address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                              : sizeof(struct sockaddr_in));
    attempt->connecting = true;
    int status = uv_tcp_connect(&attempt->connect, &session->server.tcp, address, on_connected);
    if (status != 0) /* as if it had failed later: the close callback tries the next */
        on_connected(&attempt->connect, status);
}

/* It connects at once, or not at all. */
static void connect_unix(struct session *session, const struct settings_host *host)
{
    struct unix_socket_name name;
    int status = UV_ENAMETOOLONG;
    if (unix_socket_name(host->name, host->port, &name))
        status = unix_socket_connect(&name);
    if (status < 0) {
        try_failed(session, uv_strerror(status));
        return;
    }
    begin_try(session, true);
    BUG_ON(uv_pipe_open(&session->server.pipe, status) != 0);
    stream_connected(&session->server);
    on_open(session);
}

/* The request of a try is over; its attempt is the session's again. */
static void on_connected(uv_connect_t *request, int status)
{
    struct upstream_attempt *attempt = request->data;
    struct session *session = attempt->session;
    attempt->connecting = false;
    if (!session) {
        attempt_free(attempt);
    } else if (attempt->retrying) {
        return; /* it took too long, and its handle is closing */
    } else if (status == 0) {
        stream_connected(&session->server);
        on_open(session);
    } else {
        try_failed(session, uv_strerror(status));
    }
}

bool upstream_on_closed(struct session *session)
{
    struct upstream_attempt *attempt = session->attempt;
    if (!attempt || !attempt->retrying)
        return false;
    attempt->retrying = false;
    session->handles--;
    go_on(session);
    return true;
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct name_lookup *lookup = request->data;
    struct upstream_attempt *attempt = lookup->attempt;
    free(lookup);
    if (!attempt) {
        uv_freeaddrinfo(addresses);
        return;
    }
    attempt->lookup = NULL;
    if (status != 0) {
        try_failed(attempt->session, uv_strerror(status));
        return;
    }
    attempt->addresses = addresses;
    attempt->next = addresses->ai_next;
    connect_tcp(attempt->session, addresses->ai_addr);
}

static void look_up(struct session *session, const struct settings_host *host)
{
    struct name_lookup *lookup = NEW(struct name_lookup);
    lookup->request.data = lookup;
    lookup->attempt = session->attempt;
    session->attempt->lookup = lookup;
    session_restart_deadline(session);
    char service[16];
    snprintf(service, sizeof service, "%d", host->port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int status = uv_getaddrinfo(&session->worker->loop, &lookup->request, on_resolved, host->name,
                                service, &hints);
    if (status == 0)
        return;
    session->attempt->lookup = NULL;
    free(lookup);
    try_failed(session, uv_strerror(status));
}

static bool is_literal(const struct settings_host *host, struct sockaddr_storage *address)
{
    return uv_ip4_addr(host->name, host->port, (struct sockaddr_in *)address) == 0 ||
           uv_ip6_addr(host->name, host->port, (struct sockaddr_in6 *)address) == 0;
}

static void begin_choice(struct session *session)
{
    struct upstream_attempt *attempt = session->attempt;
    forget_addresses(attempt);
    session->host = attempt->choices[attempt->choice].host;
    const struct settings_host *host = upstream_host(session);
    if (unix_socket_is_meant(host->name)) {
        attempt->address = (struct sockaddr_storage){0};
        connect_unix(session, host);
    } else if (attempt->given.name || is_literal(host, &attempt->address)) {
        connect_tcp(session, (struct sockaddr *)&attempt->address);
    } else {
        attempt->address = (struct sockaddr_storage){0};
        look_up(session, host);
    }
}

void upstream_connect(struct session *session)
{
    session_go_state(session, SESSION_CONNECTING);
    struct upstream_attempt *attempt = NEW(struct upstream_attempt);
    attempt->session = session;
    attempt->connect.data = attempt;
    text_init(&attempt->failures, UPSTREAM_FAILURES_MAX);
    text_init(&attempt->startup, TEXT_UNBOUNDED);
    text_init(&attempt->withheld, TEXT_UNBOUNDED);
    session->attempt = attempt;
    if (session->is_cancel && cancel_announce(session))
        return;
    /* A cancel request for a session of another process goes to the likeliest host. */
    attempt->choice_count = upstream_hosts_order(session->configuration->settings,
                                                 session->is_cancel, attempt->choices);
    begin_choice(session);
}

void upstream_begin(struct session *session)
{
    begin_choice(session);
}

/* ---------------------------------------------------------------- for cancelling */

void upstream_note_key(struct session *session, const uint8_t *key, size_t length)
{
    cancel_key_remove(session->cancel_key);
    session->cancel_key = NULL;
    struct sockaddr_storage address = {0};
    int size = sizeof address;
    if (session->server.handle.type == UV_TCP &&
        uv_tcp_getpeername(&session->server.tcp, (struct sockaddr *)&address, &size) != 0)
        return; /* the connection is gone, and the session with it */
    session->cancel_key = cancel_key_add(session, key, length, upstream_host(session), &address);
}
