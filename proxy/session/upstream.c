/*
 * Connecting to the server: a Unix socket, an address, or a name, whose addresses are tried one
 * after the other. A handle that could not connect must be closed before the next try, so the next
 * one begins in its close callback.
 */
#include "session.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"

#include <stdio.h>
#include <stdlib.h>

struct upstream_attempt {
    struct session *session; /* NULL once it has ended: the callback only frees */
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    struct addrinfo *addresses; /* NULL for an address or a Unix socket */
    struct addrinfo *next;      /* to be tried when the one under way fails */
    struct sockaddr_storage address;
    bool retrying; /* the handle is closing, to be used again */
    int status;    /* of the last try */
};

static void on_connected(uv_connect_t *request, int status);

static void attempt_free(struct upstream_attempt *attempt)
{
    if (attempt->addresses)
        uv_freeaddrinfo(attempt->addresses);
    free(attempt);
}

static void fail(struct session *session, int status)
{
    const struct settings *settings = session->worker->settings;
    struct upstream_attempt *attempt = session->attempt;
    session->attempt = NULL;
    attempt_free(attempt);
    struct error error;
    error_set(&error, "08006", "could not connect to the server at \"%s\", port %d: %s",
              settings->upstream.host, settings->upstream.port, uv_strerror(status));
    error_hint(&error, "Is PostgreSQL running, and is `upstream` of segue.conf right?");
    session_refuse(session, SESSION_END_SERVER_UNREACHABLE, &error);
}

static void connect_tcp(struct session *session, const struct sockaddr *address)
{
    session_init_server(session, false);
    session->handles++;
    int status =
        uv_tcp_connect(&session->attempt->connect, &session->server.tcp, address, on_connected);
    if (status != 0) /* as if it had failed later: the close callback tries the next */
        on_connected(&session->attempt->connect, status);
}

static void try_next(struct session *session)
{
    struct upstream_attempt *attempt = session->attempt;
    struct addrinfo *address = attempt->next;
    if (!address) {
        fail(session, attempt->status);
        return;
    }
    attempt->next = address->ai_next;
    connect_tcp(session, address->ai_addr);
}

/* ---------------------------------------------------------------- TLS */

static void fail_encryption(struct session *session, const char *why, const char *hint)
{
    const struct settings *settings = session->worker->settings;
    struct error error;
    error_set(&error, "08006", "could not connect to the server at \"%s\", port %d: %s",
              settings->upstream.host, settings->upstream.port, why);
    error_hint(&error, "%s", hint);
    session_refuse(session, SESSION_END_SERVER_UNREACHABLE, &error);
}

/* Connected. */
static void on_open(struct session *session)
{
    if (!session->worker->encryption.server || session->server.handle.type != UV_TCP) {
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
    if (session->server.tls || length != 1) /* see CVE-2021-23222 */
        fail_encryption(session, "received unencrypted data after the answer to SSLRequest",
                        "Somebody between Segue and the server may be tampering.");
    else if (data[0] == 'S')
        stream_secure(&session->server, session->worker->encryption.server,
                      session->worker->settings->upstream.host, (struct slice){0});
    else if (data[0] != 'N')
        fail_encryption(session, "it does not answer as PostgreSQL does",
                        "Is `upstream` of segue.conf right?");
    else if (session->worker->settings->server_tls.mode >= SSLMODE_REQUIRE)
        fail_encryption(session, "it does not support TLS, but server_tls_sslmode requires it",
                        "Set ssl = on in postgresql.conf, or relax server_tls_sslmode.");
    else
        login_on_upstream(session);
}

void upstream_on_end(struct session *session)
{
    fail_encryption(
        session, "it closed the connection when it was asked for TLS",
        "Is `upstream` of segue.conf right? server_tls_sslmode = disable does not ask.");
}

void upstream_on_secured(struct stream *stream, const struct error *error)
{
    struct session *session = stream->owner;
    if (session_is_over(session))
        return;
    if (error)
        fail_encryption(session, error->message,
                        "See server_tls_ca_file and the other server_tls_ settings.");
    else
        login_on_upstream(session);
}

/* ---------------------------------------------------------------- connecting */

/* The request of a try is over; its attempt is the session's again. */
static void on_connected(uv_connect_t *request, int status)
{
    struct upstream_attempt *attempt = request->data;
    struct session *session = attempt->session;
    if (!session) {
        attempt_free(attempt);
        return;
    }
    if (status == 0) {
        session->attempt = NULL;
        attempt_free(attempt);
        stream_connected(&session->server);
        on_open(session);
        return;
    }
    attempt->status = status;
    attempt->retrying = true;
    stream_close(&session->server);
}

bool upstream_on_closed(struct session *session)
{
    struct upstream_attempt *attempt = session->attempt;
    if (!attempt || !attempt->retrying)
        return false;
    attempt->retrying = false;
    session->handles--;
    try_next(session);
    return true;
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct upstream_attempt *attempt = request->data;
    attempt->addresses = addresses;
    attempt->next = addresses;
    if (!attempt->session) {
        attempt_free(attempt);
        return;
    }
    attempt->status = status;
    if (status != 0)
        fail(attempt->session, status);
    else
        try_next(attempt->session);
}

static void connect_unix(struct session *session, const char *directory, int port)
{
    char path[512];
    snprintf(path, sizeof path, "%s/.s.PGSQL.%d", directory, port);
    session_init_server(session, true);
    session->handles++;
    uv_pipe_connect(&session->attempt->connect, &session->server.pipe, path, on_connected);
}

static void resolve(struct session *session, const char *host, int port)
{
    struct upstream_attempt *attempt = session->attempt;
    char service[16];
    snprintf(service, sizeof service, "%d", port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int status = uv_getaddrinfo(&session->worker->loop, &attempt->resolve, on_resolved, host,
                                service, &hints);
    if (status != 0)
        fail(session, status);
}

void upstream_connect(struct session *session)
{
    const char *host = session->worker->settings->upstream.host;
    int port = session->worker->settings->upstream.port;
    session_go_state(session, SESSION_CONNECTING);
    struct upstream_attempt *attempt = NEW(struct upstream_attempt);
    attempt->session = session;
    attempt->resolve.data = attempt->connect.data = attempt;
    session->attempt = attempt;
    struct sockaddr *address = (struct sockaddr *)&attempt->address;
    if (listener_is_unix(host))
        connect_unix(session, host, port);
    else if (uv_ip4_addr(host, port, (struct sockaddr_in *)address) == 0 ||
             uv_ip6_addr(host, port, (struct sockaddr_in6 *)address) == 0)
        connect_tcp(session, address);
    else
        resolve(session, host, port);
}

/*
 * The callback of whatever is under way (a look-up, a try) frees the attempt; between two tries,
 * while the handle closes, there is none.
 */
void upstream_cancel(struct session *session)
{
    struct upstream_attempt *attempt = session->attempt;
    if (!attempt)
        return;
    session->attempt = NULL;
    attempt->session = NULL;
    if (attempt->retrying)
        attempt_free(attempt);
    else
        uv_cancel((uv_req_t *)&attempt->resolve); /* refused where it is past that; as well */
}
