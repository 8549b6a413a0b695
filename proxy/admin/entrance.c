/*
 * What comes before a login is anybody's, so each message has a small limit, is handled as soon as
 * it is whole, and must be the one that is due.
 */
#include "entrance.h"

#include "access.h"
#include "admission.h"
#include "answer.h"
#include "console_private.h"

#include "segue/auth/scram.h"
#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/wire/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { REQUEST_SASL = 10, REQUEST_SASL_CONTINUE = 11, REQUEST_SASL_FINAL = 12 };
/* A SASLInitialResponse: the mechanism and a length before SCRAM's own message. */
enum { RESPONSE_MAX = WIRE_HEADER + sizeof SCRAM_MECHANISM_PLUS + 4 + SCRAM_MESSAGE_MAX };

struct entrance {
    struct settings *settings; /* in force when it came */
    bool ssl_asked, gss_asked, is_direct_tls;
    /* of the startup packet, while a proof is awaited */
    uint32_t protocol;
    char *user, *application;
    struct scram_server server;
    bool is_begun; /* the server's first message is out */
};

void entrance_begin(struct client *client)
{
    client->entrance = NEW(struct entrance);
    client->entrance->settings = fleet_settings(client->console->fleet);
    client->is_local = client->stream.handle.type == UV_NAMED_PIPE;
    if (!client->is_local)
        return;
    struct ucred peer;
    socklen_t length = sizeof peer;
    BUG_ON(getsockopt(client->stream.socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0);
    client->uid = peer.uid;
}

void entrance_release(struct client *client)
{
    struct entrance *entrance = client->entrance;
    if (!entrance)
        return;
    client->entrance = NULL;
    if (entrance->user)
        scram_server_release(&entrance->server);
    settings_put(entrance->settings);
    free(entrance->user);
    free(entrance->application);
    free(entrance);
}

/* ------------------------------------------------------------ welcome */

static void report_parameter(void *context, const char *name, const char *value)
{
    wire_write_parameter_status(context, name, value);
}

/* A minor version above ours is answered with ours; drivers then go on or not. */
static void negotiate(struct client *client, uint32_t protocol)
{
    if ((protocol & 0xffff) == 0)
        return;
    size_t begun = wire_begin(&client->out, 'v');
    wire_add_int32(&client->out, 196608);
    wire_add_int32(&client->out, 0);
    wire_end(&client->out, begun);
}

static void welcome(struct client *client, const char *user, const char *application,
                    enum role role, const char *how)
{
    struct error error;
    if (!admission_may_log_in(client, &error)) {
        client_refuse(client, &error);
        return;
    }
    struct user said;
    client->is_listed = access_find_user(client->console->access, user, &said);
    client_log_in(client, user, role);
    log_info(client->subject, "logged in as %s by %s%s%s", role_name(role), how,
             client->stream.tls ? " over " : "", stream_tls_version(&client->stream));
    wire_write_authentication_ok(&client->out);
    polite_each_reported(report_parameter, &client->out);
    wire_write_parameter_status(&client->out, "session_authorization", user);
    wire_write_parameter_status(&client->out, "application_name", application ? application : "");
    wire_write_backend_key(&client->out, (int32_t)client->pid, (int32_t)client->key);
    answer_ready(client);
    entrance_release(client);
}

/* ------------------------------------------------------------ SCRAM */

static size_t begin_request(struct client *client, int code)
{
    size_t begun = wire_begin(&client->out, 'R');
    wire_add_int32(&client->out, code);
    return begun;
}

static void send_request(struct client *client, int code, const struct text *data)
{
    size_t begun = begin_request(client, code);
    text_add(&client->out, data->data, data->length);
    wire_end(&client->out, begun);
}

/* False where nobody could prove anything. */
static bool ask_for_proof(struct client *client, const struct wire_startup *startup)
{
    struct entrance *entrance = client->entrance;
    struct scram_verifier verifier;
    if (!access_find_verifier(client->console->access, startup->user, &verifier))
        return false;
    scram_server_init(&entrance->server, &verifier);
    entrance->protocol = startup->protocol;
    entrance->user = memory_string(startup->user);
    entrance->application = memory_string(startup->application_name);
    uint8_t digest[SCRAM_BINDING_MAX];
    size_t length = client->stream.tls ? stream_tls_end_point(&client->stream, digest) : 0;
    scram_server_offer_binding(&entrance->server, digest, length);
    client_go_state(client, CLIENT_PROVING);
    size_t begun = begin_request(client, REQUEST_SASL);
    scram_server_mechanisms(&entrance->server, &client->out);
    wire_end(&client->out, begun);
    return true;
}

static bool on_first(struct client *client, const uint8_t *body, size_t length, struct error *error)
{
    struct entrance *entrance = client->entrance;
    const char *mechanism = wire_read_name(body, length);
    size_t at = mechanism ? strlen(mechanism) + 1 : 0;
    if (!mechanism || length - at < 4 || wire_get_int32(body + at) != length - at - 4)
        return error_set(error, "08P01", "invalid SASL response");
    struct slice data = {(const char *)body + at + 4, length - at - 4};
    if (!scram_server_choose(&entrance->server, mechanism, error) ||
        !scram_server_first(&entrance->server, data, error))
        return false;
    entrance->is_begun = true;
    send_request(client, REQUEST_SASL_CONTINUE, &entrance->server.server_first);
    return true;
}

static bool on_final(struct client *client, const uint8_t *body, size_t length, struct error *error)
{
    struct entrance *entrance = client->entrance;
    struct slice data = {(const char *)body, length};
    struct user user;
    if (!scram_server_final(&entrance->server, data, entrance->user, error))
        return false;
    if (!access_find_user(client->console->access, entrance->user, &user))
        return error_set(error, "28000", "user \"%s\" was taken out of users_file meanwhile",
                         entrance->user);
    send_request(client, REQUEST_SASL_FINAL, &entrance->server.server_final);
    welcome(client, entrance->user, entrance->application, user.role,
            entrance->server.is_plus ? SCRAM_MECHANISM_PLUS : SCRAM_MECHANISM);
    return true;
}

static size_t take_response(struct client *client, const uint8_t *data, size_t left)
{
    struct error error = {0};
    size_t size;
    enum wire_frame frame = wire_frame_read(data, left, &size);
    if (frame == WIRE_NEED_MORE)
        return 0;
    if (data[0] != 'p')
        error_set(&error, "08P01", "expected SASL response, got message type %d", data[0]);
    else if (frame == WIRE_BAD_LENGTH || size > RESPONSE_MAX)
        error_set(&error, "08P01", "invalid SASL response: its length is not that of one");
    else if (left < size)
        return 0;
    else if ((client->entrance->is_begun ? on_final : on_first)(client, data + WIRE_HEADER,
                                                                size - WIRE_HEADER, &error))
        return size;
    client_refuse(client, &error);
    return left;
}

/* ------------------------------------------------------------ who it is */

/* What the users_file says of a user, or operator for one that is not in it. */
static enum role role_of(struct client *client, const char *name)
{
    struct user user;
    return access_find_user(client->console->access, name, &user) ? user.role : ROLE_OPERATOR;
}

static bool is_mapped(struct client *client, const char *name, enum role *role)
{
    struct user user;
    if (!access_find_user(client->console->access, name, &user) || !user.has_peer ||
        user.peer != client->uid)
        return false;
    *role = user.role;
    return true;
}

/* An address that was handed over, as by systemd, need not be the one of the configuration. */
static bool comes_from_loopback(const struct client *client)
{
    char ip[sizeof client->peer];
    snprintf(ip, sizeof ip, "%.*s", (int)client->source_length, client->peer);
    return settings_is_loopback(ip);
}

/* True where who it is need not be proved. */
static bool is_known(struct client *client, const char *name, enum role *role, const char **how)
{
    *how = "peer";
    if (!client->is_local) {
        *how = "trust";
        *role = role_of(client, name);
        return client->entrance->settings->admin.auth == AUTH_TRUST && comes_from_loopback(client);
    }
    if (!admission_is_privileged(client))
        return is_mapped(client, name, role);
    *role = role_of(client, name);
    return true;
}

static void refuse_peer(struct client *client, const char *name)
{
    struct error error;
    error_set(&error, "28000", "peer authentication failed for user \"%s\"", name);
    error_detail(&error, "Local user %u is neither root nor segue's own.", (unsigned)client->uid);
    error_hint(&error, "Name a users_file in section admin, with a line for this user that has "
                       "peer=local_user or a password's verifier.");
    client_refuse(client, &error);
}

static void log_in(struct client *client, const struct wire_startup *startup)
{
    enum role role = ROLE_UNSAID;
    const char *how;
    negotiate(client, startup->protocol);
    if (!is_known(client, startup->user, &role, &how)) {
        if (!ask_for_proof(client, startup))
            refuse_peer(client, startup->user);
    } else if (strlen(startup->user) > USER_NAME_MAX) {
        client_fail(client, "28000", "the user's name is longer than %d bytes", USER_NAME_MAX);
    } else {
        welcome(client, startup->user, startup->application_name, role, how);
    }
}

/* ------------------------------------------------------------ start-up */

static bool needs_tls(const struct client *client)
{
    return !client->is_local &&
           (settings_admin_needs_tls(client->entrance->settings) || !comes_from_loopback(client));
}

static bool is_secured_as_required(struct client *client, const char *user, struct error *error)
{
    const struct settings *settings = client->entrance->settings;
    char name[128];
    if (!needs_tls(client))
        return true;
    if (!client->stream.tls) {
        error_set(error, "28000", "this port is for TLS only");
        error_hint(error, "Connect with sslmode=require or stricter.");
        return false;
    }
    if (settings->admin.tls.mode != SSLMODE_VERIFY_FULL ||
        (stream_peer_name(&client->stream, name, sizeof name) && strcmp(name, user) == 0))
        return true;
    error_set(error, "28000", "certificate authentication failed for user \"%s\"", user);
    error_hint(error, "tls_sslmode is verify-full: the common name of the client's certificate "
                      "must be the user's name.");
    return false;
}

static bool startup_fits(struct client *client, const struct wire_startup *startup)
{
    const char *database =
        startup->database && *startup->database ? startup->database : startup->user;
    struct error error;
    if (startup->protocol >> 16 != 3)
        client_fail(client, "0A000", "unsupported frontend protocol %u.%u", startup->protocol >> 16,
                    startup->protocol & 0xffff);
    else if (!startup->user || !*startup->user)
        client_fail(client, "28000", "no PostgreSQL user name specified in startup packet");
    else if (!is_secured_as_required(client, startup->user, &error))
        client_refuse(client, &error);
    else if (strcmp(database, "segue") != 0)
        client_fail(client, "3D000",
                    "database \"%s\" does not exist: this is the admin console, whose only "
                    "database is \"segue\"",
                    database);
    else if (startup->replication)
        client_fail(client, "0A000", "the admin console does not replicate");
    else
        return true;
    return false;
}

static void secure(struct client *client, struct tls_context *tls, struct slice received)
{
    client_flush(client);
    if (client->state == CLIENT_STARTING)
        stream_secure(&client->stream, tls, NULL, received);
    tls_context_put(tls);
}

/* NULL: it is not offered, or under way already. A Unix socket needs none. */
static struct tls_context *tls_for(struct client *client)
{
    return client->is_local || client->stream.tls ? NULL : access_tls(client->console->access);
}

/* Bytes behind a request for encryption that was not answered yet came from somebody in between
 * (CVE-2021-23214), or from one who does not wait. */
static void answer_encryption(struct client *client, bool *asked, bool more,
                              struct tls_context *tls)
{
    if (*asked || more) {
        client_fail(client, "08P01", "unexpected data after a request for encryption");
        tls_context_put(tls);
        return;
    }
    *asked = true;
    text_add_char(&client->out, tls ? 'S' : 'N');
    if (tls)
        secure(client, tls, (struct slice){0});
}

static bool begins_direct_tls(struct client *client, const uint8_t *data, size_t left)
{
    enum { TLS_HANDSHAKE = 22 };
    struct entrance *entrance = client->entrance;
    if (left == 0 || data[0] != TLS_HANDSHAKE || entrance->ssl_asked || entrance->gss_asked)
        return false;
    struct tls_context *tls = tls_for(client);
    if (!tls)
        return false;
    entrance->is_direct_tls = true;
    secure(client, tls, (struct slice){(const char *)data, left});
    return true;
}

void entrance_on_secured(struct client *client, const struct error *error)
{
    if (error) {
        log_warning(client->subject, "closed: %s", error->message);
        client_end(client, error->message);
    } else if (client->entrance->is_direct_tls && !stream_tls_names_protocol(&client->stream)) {
        client_fail(client, "08P01", "direct TLS without the ALPN protocol \"postgresql\"");
    }
}

static size_t take_startup(struct client *client, const uint8_t *data, size_t left)
{
    if (begins_direct_tls(client, data, left))
        return left;
    struct wire_startup startup = wire_read_startup(data, left);
    bool more = left > startup.length;
    switch (startup.kind) {
    case WIRE_STARTUP_NEED_MORE:
        return 0;
    case WIRE_STARTUP_BAD:
        client_fail(client, "08P01", "invalid startup packet");
        return left;
    case WIRE_STARTUP_SSL:
        answer_encryption(client, &client->entrance->ssl_asked, more, tls_for(client));
        break;
    case WIRE_STARTUP_GSS:
        answer_encryption(client, &client->entrance->gss_asked, more, NULL);
        break;
    case WIRE_STARTUP_CANCEL:
        console_cancel(client->console, wire_get_int32(data + 8), wire_get_int32(data + 12));
        client_end(client, "it was a cancel request");
        break;
    case WIRE_STARTUP_SESSION:
        if (startup_fits(client, &startup))
            log_in(client, &startup);
        break;
    }
    return startup.length;
}

size_t entrance_handle(struct client *client)
{
    size_t used = 0, taken;
    while (client->state < CLIENT_READY) {
        const uint8_t *data = client->input + used;
        size_t left = client->input_length - used;
        taken = client->state == CLIENT_STARTING ? take_startup(client, data, left)
                                                 : take_response(client, data, left);
        if (taken == 0)
            break;
        used += taken;
    }
    return used;
}
