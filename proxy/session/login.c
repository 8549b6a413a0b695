/*
 * Login: from the first byte to the upstream connection. The startup packet goes to the server as
 * the client sent it, and authentication is between the two; Segue only reads who is coming and in
 * which shape.
 */
#include "session.h"

#include "upstream.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/wire/frame.h"
#include "segue/wire/message.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

/* ---------------------------------------------------------------- the shape of a client */

bool session_set_shapes(struct session *session, const char *value, struct error *error)
{
    /* What a list does not name has the shape of the port. */
    struct text list;
    text_init(&list, TEXT_UNBOUNDED);
    text_add_string(&list, shape_name(session->port_shape));
    if (value && value[0])
        text_add_format(&list, ",%s", value);
    struct shape_list shapes;
    bool is_valid = shape_list_parse(&shapes, list.data, error);
    text_release(&list);
    if (!is_valid) {
        error_set(error, "22023", "invalid value for parameter \"segue.shape\": \"%s\"", value);
        error_hint(error, "Say \"old\", \"new\", or a list such as \"users_role=new,amount=old\".");
        return false;
    }
    shape_list_release(&session->shapes);
    session->shapes = shapes;
    return true;
}

/* The next option as PostgreSQL splits them: at white space, which a backslash protects. */
static bool next_option(const char **at, struct text *option)
{
    text_clear(option);
    while (isspace((unsigned char)**at))
        ++*at;
    if (!**at)
        return false;
    for (bool escaped = false; **at && (escaped || !isspace((unsigned char)**at)); ++*at) {
        if (!escaped && **at == '\\') {
            escaped = true;
            continue;
        }
        escaped = false;
        text_add_char(option, **at);
    }
    return true;
}

/* "name=value" with '-' for '_' allowed in the name, as the server has it. */
static const char *value_of(const char *assignment, const char *name)
{
    for (; *name; name++, assignment++) {
        char c = *assignment == '-' ? '_' : (char)tolower((unsigned char)*assignment);
        if (c != *name)
            return NULL;
    }
    return *assignment == '=' ? assignment + 1 : NULL;
}

char *startup_shape(const char *options)
{
    char *shape = NULL;
    struct text option;
    text_init(&option, WIRE_STARTUP_MAX);
    while (next_option(&options, &option)) {
        const char *assignment = NULL;
        if (strcmp(option.data, "-c") == 0)
            assignment = next_option(&options, &option) ? option.data : NULL;
        else if (strncmp(option.data, "-c", 2) == 0 || strncmp(option.data, "--", 2) == 0)
            assignment = option.data + 2;
        const char *value = assignment ? value_of(assignment, "segue.shape") : NULL;
        if (value) { /* the last one counts */
            free(shape);
            shape = memory_string(value);
        }
    }
    text_release(&option);
    return shape;
}

/* ---------------------------------------------------------------- the startup packet */

static void refuse_protocol(struct session *session, const char *what)
{
    struct error error;
    error_set(&error, "08P01", "%s", what);
    session_refuse(session, SESSION_END_PROTOCOL_VIOLATION, &error);
}

/* One byte in answer to a request for encryption. */
static void answer_encryption(struct session *session, char decision)
{
    struct text answer;
    text_init(&answer, 1);
    text_add_char(&answer, decision);
    session_send_client(session, &answer);
    text_release(&answer);
}

/* A Unix socket needs none, and PostgreSQL offers none there. */
static bool may_secure(const struct session *session)
{
    return session->configuration->encryption.clients && session->client.handle.type == UV_TCP &&
           !session->client.tls;
}

/* A client that has already sent more than the request is under attack, or attacks. */
static void on_encryption_request(struct session *session, size_t length, bool *asked, bool accept)
{
    if (*asked) {
        refuse_protocol(session, "encryption was asked for twice");
        return;
    }
    *asked = true;
    if (session->client_kept.length > length) {
        refuse_protocol(session, "received unencrypted data after the request for encryption");
        return;
    }
    text_release(&session->client_kept);
    answer_encryption(session, accept ? 'S' : 'N');
    if (accept)
        stream_secure(&session->client, session->configuration->encryption.clients, NULL,
                      (struct slice){0});
}

bool login_begin_direct_tls(struct session *session, const uint8_t *data, size_t length)
{
    enum { TLS_HANDSHAKE = 22 };
    if (data[0] != TLS_HANDSHAKE || session->client_kept.length || session->ssl_asked ||
        session->gss_asked || !may_secure(session))
        return false;
    session->is_direct_tls = true;
    stream_secure(&session->client, session->configuration->encryption.clients, NULL,
                  (struct slice){(const char *)data, length});
    return true;
}

void login_on_secured(struct stream *stream, const struct error *error)
{
    struct session *session = stream->owner;
    if (session_is_over(session))
        return;
    if (error) {
        session_end(session, SESSION_END_TLS_FAILED, error->message);
    } else if (session->is_direct_tls && !stream_tls_names_protocol(stream)) {
        refuse_protocol(session, "direct TLS without the ALPN protocol \"postgresql\"");
    }
}

/* Whether the client has come the way that client_tls_sslmode wants. */
static bool is_secured_as_required(struct session *session, struct error *error)
{
    enum settings_sslmode mode = session->configuration->settings->client_tls.mode;
    if (session->client.handle.type != UV_TCP || mode < SSLMODE_REQUIRE)
        return true;
    if (!session->client.tls) {
        error_set(error, "28000", "this port is for TLS only");
        error_hint(error, "Connect with sslmode=require or stricter.");
        return false;
    }
    char name[128];
    if (mode != SSLMODE_VERIFY_FULL || (stream_peer_name(&session->client, name, sizeof name) &&
                                        session->user && strcmp(name, session->user) == 0))
        return true;
    error_set(error, "28000", "certificate authentication failed for user \"%s\"",
              session->user ? session->user : "");
    error_hint(error, "client_tls_sslmode is verify-full: the common name of the client's "
                      "certificate must be the user's name.");
    return false;
}

/* Whether a replication parameter asks for that: PostgreSQL's parse_bool(), or a database's name.
 * What it cannot read the server refuses. */
static bool wants_replication(const char *value)
{
    static const char *const yes[] = {"true", "yes"};
    if (!value || !value[0])
        return false;
    size_t length = strlen(value);
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strncasecmp(value, yes[i], length) == 0)
            return true;
    }
    return strcasecmp(value, "on") == 0 || strcmp(value, "1") == 0 ||
           strcmp(value, "database") == 0;
}

/* May it go on to the server? Where not, the client has been told. */
static bool admit(struct session *session)
{
    struct error error;
    if (!is_secured_as_required(session, &error)) {
        session_refuse(session, SESSION_END_LOGIN_REFUSED, &error);
        return false;
    }
    if (!worker_admit_client(session->worker->settings)) {
        error_set(&error, "53300", "sorry, too many clients already");
        error_detail(&error, "max_client_conn is %d", session->worker->settings->max_client_conn);
        error_hint(&error, "Raise max_client_conn in segue.conf, or use fewer connections.");
        session_refuse(session, SESSION_END_MAX_CLIENT_CONN, &error);
        return false;
    }
    session->counted = true;
    return true;
}

/* The server knows best how to say what is wrong with it. */
static void begin_refusal(struct session *session)
{
    session->startup_is_bad = true;
    if (admit(session))
        upstream_connect(session);
}

/* As much of a role's or database's name as the server takes: it cuts the rest off. */
static char *name_of(const char *given)
{
    enum { NAME_MAX_LENGTH = 63 }; /* NAMEDATALEN - 1 */
    return given ? memory_string_range(given, strnlen(given, NAME_MAX_LENGTH)) : NULL;
}

static void begin_session(struct session *session, const struct wire_startup *startup)
{
    struct error error;
    if (startup->protocol >> 16 != 3) {
        begin_refusal(session);
        return;
    }
    session->user = name_of(startup->user);
    session->database_name =
        name_of(startup->database && startup->database[0] ? startup->database : startup->user);
    session->application = memory_string(startup->application_name);
    session->is_replication = wants_replication(startup->replication);
    if (session->database_name && !session->is_replication)
        session->database = worker_find_database(session->worker, session->database_name);
    if (startup->options)
        session->startup_shape = startup_shape(startup->options);
    if (!session_set_shapes(session, session->startup_shape, &error) && session->database) {
        session_refuse(session, SESSION_END_LOGIN_REFUSED, &error);
        return;
    }
    if (admit(session))
        upstream_connect(session);
}

/* A packet that PostgreSQL would not read either. */
static void on_bad_startup(struct session *session, const struct wire_startup *startup)
{
    if (startup->length == 0 || startup->is_cancel)
        session_end(session, SESSION_END_PROTOCOL_VIOLATION,
                    "the startup packet has an impossible length");
    else if (startup->protocol >> 16 == 3)
        begin_refusal(session);
    else
        refuse_protocol(session, "invalid startup packet layout");
}

void login_on_client(struct session *session)
{
    struct wire_startup startup =
        wire_read_startup((const uint8_t *)session->client_kept.data, session->client_kept.length);
    switch (startup.kind) {
    case WIRE_STARTUP_NEED_MORE:
        return;
    case WIRE_STARTUP_BAD:
        on_bad_startup(session, &startup);
        return;
    case WIRE_STARTUP_SSL:
        on_encryption_request(session, startup.length, &session->ssl_asked, may_secure(session));
        return;
    case WIRE_STARTUP_GSS:
        on_encryption_request(session, startup.length, &session->gss_asked, false);
        return;
    case WIRE_STARTUP_CANCEL:
        session_become_cancel(session);
        stat_add(&session->worker->stats.cancels, 1);
        session->client_kept.length = startup.length; /* nothing may follow */
        upstream_connect(session);
        return;
    case WIRE_STARTUP_SESSION:
        begin_session(session, &startup);
        return;
    }
}

/* ---------------------------------------------------------------- connected */

static bool database_is_loaded(struct session *session)
{
    if (!session->database || session->database->current)
        return true;
    struct error error;
    error_set(&error, "57P03", "Segue has not loaded the transitions of database \"%s\" yet",
              session->database->name);
    error_hint(&error, "Try again shortly; if it stays so, Segue's log and SHOW FLEET on the admin "
                       "port say what its control connection meets.");
    session_refuse(session, SESSION_END_DATABASE_NOT_LOADED, &error);
    return false;
}

/* The client's first packet, and nothing behind it. */
static void take_startup(struct session *session, struct text *startup)
{
    struct text *kept = &session->client_kept;
    size_t length = wire_get_int32((const uint8_t *)kept->data), rest = kept->length - length;
    text_add(startup, kept->data, length);
    if (rest == 0) {
        text_release(kept);
        return;
    }
    memmove(kept->data, kept->data + length, rest);
    kept->length = rest;
}

/* It goes to the server as it was sent. */
void login_on_upstream(struct session *session)
{
    if (!session->is_cancel && !database_is_loaded(session))
        return;
    struct text *startup = &session->attempt->startup;
    if (startup->length == 0)
        take_startup(session, startup);
    upstream_begin_login(session);
    session_go_state(session, session->is_cancel ? SESSION_CANCEL : SESSION_LOGIN);
    uv_buf_t buffer = uv_buf_init(startup->data, (unsigned)startup->length);
    stream_write(&session->server, &buffer, 1);
    if (session->is_cancel)
        upstream_settle(session);
    stream_read_start(&session->client);
    stream_read_start(&session->server);
    if (!session->is_cancel)
        session_continue(session);
}
