/*
 * Is the server what target_session_attrs asks for? It tells after the login: PostgreSQL 14 and
 * later by ParameterStatus, others are asked by a query. Until then the client hears nothing but
 * requests for passwords, so that the login can be made again elsewhere without its notice. A
 * client answers such requests again, save those of SASL: where one has been through that and the
 * server is the wrong one, it is told to come back, and finds another then (upstream_hosts.c).
 */
#include "server_reply.h"
#include "upstream.h"

#include "segue/base/memory.h"
#include "segue/wire/frame.h"
#include "segue/wire/message.h"

enum { REQUEST_OK = 0, REQUEST_CLEARTEXT = 3, REQUEST_MD5 = 5 };

static enum settings_target target_of(const struct session *session)
{
    return session->configuration->settings->upstream.target;
}

static bool takes_any(const struct session *session)
{
    const struct upstream_attempt *attempt = session->attempt;
    return attempt->choices[attempt->choice].takes_any;
}

void upstream_begin_login(struct session *session)
{
    struct upstream_attempt *attempt = session->attempt;
    attempt->heard = attempt->withholding = attempt->asking = false;
    attempt->version_is_withheld = false;
    attempt->in_hot_standby = attempt->is_read_only = FACT_UNKNOWN;
    text_release(&attempt->withheld);
    text_release(&session->server_kept); /* of the server before */
}

/* ---------------------------------------------------------------- what the client may hear */

static void deliver_withheld(struct session *session)
{
    struct upstream_attempt *attempt = session->attempt;
    if (attempt->withheld.length == 0)
        return;
    output_flush(to_client(session)); /* in their order */
    session_send_client(session, &attempt->withheld);
    text_release(&attempt->withheld);
    attempt->told_version |= attempt->version_is_withheld;
}

static void settle(struct session *session)
{
    deliver_withheld(session);
    upstream_settle(session);
}

bool upstream_withholds(const struct session *session)
{
    return session->attempt && session->attempt->withholding;
}

void upstream_withhold(struct session *session, const struct reply *reply)
{
    text_add(&session->attempt->withheld, reply->data, reply->size);
}

/* ---------------------------------------------------------------- judging */

/* NULL: it is what is asked for. */
static const char *what_is_wrong(const struct session *session)
{
    const struct upstream_attempt *attempt = session->attempt;
    bool is_standby = attempt->in_hot_standby == FACT_TRUE;
    bool is_read_only = is_standby || attempt->is_read_only == FACT_TRUE;
    if (attempt->in_hot_standby == FACT_UNKNOWN || attempt->is_read_only == FACT_UNKNOWN)
        return "it does not tell whether it is in hot standby mode";
    switch (target_of(session)) {
    case TARGET_ANY:
        return NULL;
    case TARGET_READ_WRITE:
        return is_read_only ? "session is read-only" : NULL;
    case TARGET_READ_ONLY:
        return is_read_only ? NULL : "session is not read-only";
    case TARGET_PRIMARY:
        return is_standby ? "server is in hot standby mode" : NULL;
    case TARGET_STANDBY:
    case TARGET_PREFER_STANDBY:
        return is_standby ? NULL : "server is not in hot standby mode";
    }
    BUG("target %d", (int)target_of(session));
}

static enum verdict judge(struct session *session)
{
    const struct settings *settings = session->configuration->settings;
    const char *wrong = what_is_wrong(session);
    bool is_no_matter = takes_any(session) || (target_of(session) == TARGET_PREFER_STANDBY &&
                                               session->attempt->cannot_repeat);
    if (!wrong || is_no_matter) {
        upstream_hosts_note(settings, session->host, wrong ? HOST_DOES_NOT_SUIT : HOST_SUITS);
        settle(session);
        return PASS;
    }
    if (!session->attempt->cannot_repeat) {
        upstream_try_failed(session, HOST_DOES_NOT_SUIT, wrong,
                            "target_session_attrs of section upstream says what a server must be.");
        return DROP;
    }
    upstream_hosts_note(settings, session->host, HOST_DOES_NOT_SUIT);
    bool has_more = upstream_has_more(session->attempt);
    upstream_give_up(session, wrong,
                     has_more ? "Connect again: this login cannot be repeated at another server, "
                                "but the next one begins there."
                              : "target_session_attrs of section upstream says what a server must "
                                "be.");
    return DROP;
}

/* ---------------------------------------------------------------- asking */

static void ask(struct session *session)
{
    struct text query;
    text_init(&query, 256);
    wire_write_query(&query, SLICE("SELECT pg_catalog.pg_is_in_recovery(),"
                                   " pg_catalog.current_setting('transaction_read_only')"));
    uv_buf_t buffer = uv_buf_init(query.data, (unsigned)query.length);
    stream_write(&session->server, &buffer, 1); /* a broken server is told by its reading side */
    text_release(&query);
    session->attempt->asking = true;
}

static enum upstream_fact fact_of(struct slice value)
{
    if (slice_equal(value, SLICE("on")) || slice_equal(value, SLICE("t")))
        return FACT_TRUE;
    if (slice_equal(value, SLICE("off")) || slice_equal(value, SLICE("f")))
        return FACT_FALSE;
    return FACT_UNKNOWN;
}

static void read_answer(struct upstream_attempt *attempt, const struct reply *reply)
{
    size_t offset = 2;
    struct slice standby, read_only;
    if (reply->body_length < 2 ||
        !wire_take_value(reply->body, reply->body_length, &offset, &standby) ||
        !wire_take_value(reply->body, reply->body_length, &offset, &read_only))
        return;
    attempt->in_hot_standby = fact_of(standby);
    attempt->is_read_only = fact_of(read_only);
}

static enum verdict on_answer(struct session *session, const struct reply *reply)
{
    switch (reply->data[0]) {
    case 'Z':
        return judge(session);
    case 'D':
        read_answer(session->attempt, reply);
        return DROP;
    case 'S':
    case 'N':
    case 'A':
        return PASS;
    default: /* its shape, its end, or an error: then nothing is known of the server */
        return DROP;
    }
}

/* ---------------------------------------------------------------- during the login */

static void note_parameter(struct upstream_attempt *attempt, const struct reply *reply)
{
    const char *name = wire_read_name(reply->body, reply->body_length);
    size_t offset = name ? strlen(name) + 1 : 0;
    const char *value =
        name ? wire_read_name(reply->body + offset, reply->body_length - offset) : NULL;
    if (!value)
        return;
    if (strcmp(name, "in_hot_standby") == 0)
        attempt->in_hot_standby = fact_of(slice_of(value));
    else if (strcmp(name, "default_transaction_read_only") == 0)
        attempt->is_read_only = fact_of(slice_of(value));
}

static enum verdict on_request(struct session *session, const struct reply *reply)
{
    struct upstream_attempt *attempt = session->attempt;
    uint32_t code = reply->body_length >= 4 ? wire_get_int32(reply->body) : REQUEST_OK;
    if (code == REQUEST_OK)
        return PASS;
    attempt->cannot_repeat |= code != REQUEST_CLEARTEXT && code != REQUEST_MD5;
    deliver_withheld(session);
    attempt->withholding = false;
    return PASS;
}

/* A server that starts or stops, or a standby that takes no sessions, leaves it to the others. */
static enum verdict on_refusal(struct session *session, const struct reply *reply)
{
    const char *state = wire_error_field(reply->body, reply->body_length, 'C');
    const char *message = wire_error_field(reply->body, reply->body_length, 'M');
    struct upstream_attempt *attempt = session->attempt;
    if (!state || !message || strcmp(state, "57P03") != 0 || attempt->cannot_repeat ||
        (attempt->tried == 0 && !upstream_has_more(attempt))) {
        settle(session);
        return PASS;
    }
    upstream_try_failed(session, HOST_IS_DOWN, message,
                        "Is PostgreSQL running, and is `upstream` of segue.conf right?");
    return DROP;
}

static enum verdict on_login_message(struct session *session, const struct reply *reply)
{
    struct upstream_attempt *attempt = session->attempt;
    switch (reply->data[0]) {
    case 'R':
        return on_request(session, reply);
    case 'S':
        note_parameter(attempt, reply);
        return PASS;
    case 'v':
        if (attempt->told_version)
            return DROP;
        attempt->version_is_withheld = true;
        return PASS;
    case 'Z':
        if (attempt->in_hot_standby != FACT_UNKNOWN && attempt->is_read_only != FACT_UNKNOWN)
            return judge(session);
        attempt->in_hot_standby = attempt->is_read_only = FACT_UNKNOWN;
        ask(session);
        return DROP;
    default:
        return PASS;
    }
}

enum verdict upstream_on_reply(struct session *session, const struct reply *reply)
{
    struct upstream_attempt *attempt = session->attempt;
    if (!reply_is_whole(reply))
        return NEED_WHOLE;
    if (!attempt->heard) {
        attempt->heard = true;
        session_restart_deadline(session);
    }
    attempt->withholding = true;
    if (attempt->asking)
        return on_answer(session, reply);
    if (reply->data[0] == 'E')
        return on_refusal(session, reply);
    if (target_of(session) != TARGET_ANY)
        return on_login_message(session, reply);
    upstream_hosts_note(session->configuration->settings, session->host, HOST_SUITS);
    settle(session);
    return PASS;
}
