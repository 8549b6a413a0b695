/*
 * Authentication: between client and server, and relayed, wherever that can be. SCRAM over two TLS
 * connections cannot: it tells both ends whose certificate the other one sees. There Segue ends it
 * on both sides (segue/auth/scram.h), with the verifier that PostgreSQL has.
 *
 *     client leg   server leg                     SCRAM
 *     any          plain                          relayed
 *     plain        TLS                            relayed; -PLUS is taken off the list, which libpq
 *                                                 would take for an attack
 *     TLS          TLS, with our certificate      relayed, channel binding and all
 *     TLS          TLS, with another              ended here, and bound to our certificate; or,
 *                                                 with no verifiers to be had, relayed for
 *                                                 clients without channel binding
 */
#include "session.h"

#include "segue/auth/scram.h"
#include "segue/base/memory.h"
#include "segue/wire/frame.h"
#include "segue/wire/message.h"

#include "verifiers.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum { REQUEST_OK = 0, REQUEST_SASL = 10, REQUEST_SASL_CONTINUE = 11, REQUEST_SASL_FINAL = 12 };

enum scram_stage {
    RELAYED_UNBOUND, /* we only see to it that the client does not expect channel binding */
    LOOKING_UP,
    CLIENT_FIRST, /* its message is awaited */
    CLIENT_FINAL,
    SERVER_FIRST, /* the server's is */
    SERVER_FINAL,
    SERVER_OK,
    ENDED /* nothing of it is left to do */
};

struct lookup {
    uv_work_t work;
    struct session *session;   /* NULL once it has ended */
    struct settings *settings; /* counted */
    char *database, *user;
    struct scram_verifier verifier;
    struct error error;
    bool found;
};

struct authentication {
    enum scram_stage stage;
    struct lookup *lookup; /* while LOOKING_UP */
    struct scram_server server;
    struct scram_client client;
};

/* ---------------------------------------------------------------- messages */

static size_t begin_request(struct text *out, int32_t code)
{
    size_t begun = wire_begin(out, 'R');
    wire_add_int32(out, code);
    return begun;
}

static void send_client(struct session *session, int32_t code, const struct text *data)
{
    struct text message;
    text_init(&message, TEXT_UNBOUNDED);
    size_t begun = begin_request(&message, code);
    text_add(&message, data->data, data->length);
    wire_end(&message, begun);
    session->password_asked = code != REQUEST_SASL_FINAL;
    session_send_client(session, &message);
    text_release(&message);
}

/* SASLInitialResponse names the mechanism, SASLResponse (NULL) does not. */
static void send_server(struct session *session, const char *mechanism, const struct text *data)
{
    struct text message;
    text_init(&message, TEXT_UNBOUNDED);
    size_t begun = wire_begin(&message, 'p');
    if (mechanism) {
        wire_add_cstring(&message, mechanism);
        wire_add_int32(&message, (int64_t)data->length);
    }
    text_add(&message, data->data, data->length);
    wire_end(&message, begun);
    uv_buf_t buffer = uv_buf_init(message.data, (unsigned)message.length);
    stream_write(&session->server, &buffer, 1); /* a broken server is told by its reading side */
    text_release(&message);
}

/* What the client may choose of. `server` NULL: it is the server's side of SCRAM that answers. */
static void ask_client(struct session *session, const struct scram_server *server)
{
    static const struct scram_server unbound = {0};
    struct text mechanisms;
    text_init(&mechanisms, TEXT_UNBOUNDED);
    scram_server_mechanisms(server ? server : &unbound, &mechanisms);
    send_client(session, REQUEST_SASL, &mechanisms);
    text_release(&mechanisms);
}

static void refuse(struct session *session, const struct error *error)
{
    session->authentication->stage = ENDED;
    session_refuse(session, SESSION_END_LOGIN_FAILED, error);
}

/* ---------------------------------------------------------------- the verifier */

static void look_up(uv_work_t *work)
{
    struct lookup *lookup = work->data;
    lookup->found = verifiers_find(lookup->settings, lookup->database, lookup->user,
                                   &lookup->verifier, &lookup->error);
}

static void lookup_free(struct lookup *lookup)
{
    OPENSSL_cleanse(&lookup->verifier, sizeof lookup->verifier);
    settings_put(lookup->settings);
    free(lookup->database);
    free(lookup->user);
    free(lookup);
}

/* SCRAM ends here, as PostgreSQL would end it: a client may bind it to the certificate it sees. */
static void begin_scram(struct session *session, const struct scram_verifier *verifier)
{
    struct authentication *authentication = session->authentication;
    uint8_t digest[STREAM_DIGEST_MAX];
    scram_server_init(&authentication->server, verifier);
    scram_server_offer_binding(&authentication->server, digest,
                               stream_tls_end_point(&session->client, digest));
    authentication->stage = CLIENT_FIRST;
    ask_client(session, &authentication->server);
    session_continue(session); /* it may have said something before it was asked */
}

static void on_looked_up(uv_work_t *work, int status)
{
    struct lookup *lookup = work->data;
    struct session *session = lookup->session;
    if (session) {
        session->authentication->lookup = NULL;
        if (status == 0 && lookup->found)
            begin_scram(session, &lookup->verifier);
        else
            refuse(session, &lookup->error);
    }
    lookup_free(lookup);
}

static void begin_lookup(struct session *session)
{
    struct lookup *lookup = NEW(struct lookup);
    lookup->session = session;
    lookup->settings = settings_get(session->configuration->settings);
    lookup->database = memory_string(session->database_name);
    lookup->user = memory_string(session->user);
    lookup->work.data = lookup;
    session->authentication->lookup = lookup;
    session->authentication->stage = LOOKING_UP;
    BUG_ON(uv_queue_work(&session->worker->loop, &lookup->work, look_up, on_looked_up) != 0);
}

/* ---------------------------------------------------------------- what the server asks for */

static bool offers(const uint8_t *body, size_t length, const char *mechanism)
{
    size_t at = 4;
    for (const char *name; at < length && (name = wire_read_name(body + at, length - at)) && *name;
         at += strlen(name) + 1) {
        if (strcmp(name, mechanism) == 0)
            return true;
    }
    return false;
}

static void begin(struct session *session, enum scram_stage stage)
{
    session->authentication = NEW(struct authentication);
    session->authentication->stage = stage;
}

/* True where the client must not see it. */
static bool on_sasl(struct session *session, const uint8_t *body, size_t length)
{
    if (!session->server.tls || !offers(body, length, SCRAM_MECHANISM))
        return false;
    bool client_is_secured = session->client.tls != NULL;
    if (client_is_secured && stream_tls_same_certificate(&session->client, &session->server))
        return false;
    if (client_is_secured && verifiers_are_known(session->configuration->settings)) {
        begin(session, CLIENT_FIRST);
        begin_lookup(session);
        return true;
    }
    if (client_is_secured)
        begin(session, RELAYED_UNBOUND);
    ask_client(session, NULL);
    return true;
}

/* ---------------------------------------------------------------- with the server */

static bool on_server_first(struct session *session, struct slice data)
{
    struct authentication *authentication = session->authentication;
    struct text answer;
    struct error error;
    text_init(&answer, TEXT_UNBOUNDED);
    bool done = scram_client_final(&authentication->client, data, &answer, &error);
    if (done) {
        authentication->stage = SERVER_FINAL;
        send_server(session, NULL, &answer);
    } else {
        refuse(session, &error);
    }
    text_release(&answer);
    return true;
}

static bool on_server_final(struct session *session, struct slice data)
{
    struct authentication *authentication = session->authentication;
    struct error error;
    if (scram_client_check(&authentication->client, data, &error)) {
        authentication->stage = SERVER_OK;
        const struct text *final = &authentication->server.server_final;
        send_client(session, REQUEST_SASL_FINAL, final);
    } else {
        refuse(session, &error);
    }
    return true;
}

bool authentication_on_request(struct session *session, const uint8_t *body, size_t length)
{
    if (length < 4)
        return false;
    int32_t code = (int32_t)wire_get_int32(body);
    struct slice data = {(const char *)body + 4, length - 4};
    enum scram_stage stage =
        session->authentication ? session->authentication->stage : RELAYED_UNBOUND;
    if (code == REQUEST_SASL && !session->authentication)
        return on_sasl(session, body, length);
    if (stage == SERVER_FIRST && code == REQUEST_SASL_CONTINUE)
        return on_server_first(session, data);
    if (stage == SERVER_FINAL && code == REQUEST_SASL_FINAL)
        return on_server_final(session, data);
    if (stage == RELAYED_UNBOUND || stage == SERVER_OK || stage == ENDED)
        return stage == ENDED;
    struct error error;
    error_set(&error, "08P01", "the server's authentication request %d comes out of turn", code);
    refuse(session, &error);
    return true;
}

/* ---------------------------------------------------------------- with the client */

static bool read_initial_response(const uint8_t *body, size_t length, struct scram_server *server,
                                  struct slice *data, struct error *error)
{
    const char *mechanism = wire_read_name(body, length);
    size_t at = mechanism ? strlen(mechanism) + 1 : 0;
    if (!mechanism || length - at < 4)
        return error_set(error, "08P01", "invalid SASL response");
    if (!scram_server_choose(server, mechanism, error))
        return false;
    if (wire_get_int32(body + at) != length - at - 4)
        return error_set(error, "08P01", "invalid SASL response");
    *data = (struct slice){(const char *)body + at + 4, length - at - 4};
    return true;
}

static bool answer_first(struct session *session, const uint8_t *body, size_t length,
                         struct error *error)
{
    struct authentication *authentication = session->authentication;
    struct slice data;
    if (!read_initial_response(body, length, &authentication->server, &data, error) ||
        !scram_server_first(&authentication->server, data, error))
        return false;
    authentication->stage = CLIENT_FINAL;
    send_client(session, REQUEST_SASL_CONTINUE, &authentication->server.server_first);
    return true;
}

/* The client has shown that it knows the password: the server is to hear so. */
static bool answer_final(struct session *session, struct slice data, struct error *error)
{
    struct authentication *authentication = session->authentication;
    struct scram_server *server = &authentication->server;
    if (!scram_server_final(server, data, session->user, error))
        return false;
    scram_client_init(&authentication->client, server->client_key, server->verifier.server_key);
    authentication->stage = SERVER_FIRST;
    struct text message;
    text_init(&message, TEXT_UNBOUNDED);
    scram_client_first(&authentication->client, &message);
    send_server(session, SCRAM_MECHANISM, &message);
    text_release(&message);
    return true;
}

bool authentication_takes(const struct session *session)
{
    return session->authentication != NULL;
}

/* Relayed: a client that would bind the channel if only it were offered is told why it is not. */
static bool check_unbound(struct session *session, const uint8_t *body, size_t length,
                          struct error *error)
{
    struct slice data;
    session->authentication->stage = ENDED;
    struct scram_server unbound = {0};
    if (!read_initial_response(body, length, &unbound, &data, error) || data.length == 0 ||
        data.data[0] != 'y')
        return true; /* the server says what is wrong with it */
    error_set(error, "28000",
              "SCRAM cannot be relayed between two TLS connections with different certificates");
    error_hint(error,
               "Connect with channel_binding=disable; or give Segue a control connection or an "
               "auth_file to know verifiers from, or the server's own certificate.");
    return false;
}

enum authentication_answer authentication_on_client(struct session *session, const uint8_t *body,
                                                    size_t length)
{
    struct error error = {0};
    struct slice data = {(const char *)body, length};
    bool done = false;
    switch (session->authentication->stage) {
    case RELAYED_UNBOUND:
        if (check_unbound(session, body, length, &error)) {
            authentication_release(session);
            return AUTHENTICATION_RELAY;
        }
        break;
    case CLIENT_FIRST:
        done = answer_first(session, body, length, &error);
        break;
    case CLIENT_FINAL:
        done = answer_final(session, data, &error);
        break;
    case LOOKING_UP:
    case SERVER_FIRST:
    case SERVER_FINAL:
    case SERVER_OK:
        error_set(&error, "08P01", "expected SASL response, got message type 112 out of turn");
        break;
    case ENDED:
        return AUTHENTICATION_TAKEN;
    }
    if (!done)
        refuse(session, &error);
    return AUTHENTICATION_TAKEN;
}

void authentication_release(struct session *session)
{
    struct authentication *authentication = session->authentication;
    if (!authentication)
        return;
    session->authentication = NULL;
    if (authentication->lookup) {
        authentication->lookup->session = NULL;
        uv_cancel((uv_req_t *)&authentication->lookup->work); /* refused where it runs; as well */
    }
    scram_server_release(&authentication->server);
    scram_client_release(&authentication->client);
    free(authentication);
}
