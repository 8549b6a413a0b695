/*
 * Enlist: asking the server, in the session itself, how it resolves names and which shape it was
 * SET to. The server's answer is the truth whatever was rolled back, was SET LOCAL, or came from a
 * role's defaults, so nothing of it need be followed along.
 *
 * The question is extended-protocol messages under names of our own: a simple Query would destroy
 * the client's unnamed statement. Inside a client's batch it ends with Flush, never with Sync,
 * which would commit the batch's transaction.
 */
#include "session.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/wire/frame.h"
#include "segue/wire/message.h"

#include <stdlib.h>

static const char *own_name = "segue_enlist"; /* statement and portal */

/* Everything is qualified: the session's search path may be anybody's. */
static const char question[] =
    "SELECT k, n FROM ("
    "SELECT 0 AS a, 0::pg_catalog.int8 AS b, 'h' AS k,"
    " pg_catalog.current_setting('segue.shape', true) AS n"
    " UNION ALL SELECT 1, u.o, 's', u.s::pg_catalog.text FROM"
    " pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS u(s, o)"
    " UNION ALL SELECT 0, 1, 'p', " CATALOG_SERVER_SQL "::pg_catalog.text"
    " UNION ALL SELECT 2, 0, 't', c.relname::pg_catalog.text FROM pg_catalog.pg_class AS c"
    " WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()"
    " AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0::pg_catalog.oid"
    ") AS q ORDER BY a, b";

struct names {
    char **items;
    size_t count;
};

struct enlist_answer {
    bool has_shape, has_server;
    bool is_nonsense; /* some of it was */
    char *shape;      /* NULL: never set */
    int64_t server;   /* as catalog_server */
    struct names schemas, temporaries;
};

static void names_add(struct names *names, const char *data, size_t length)
{
    names->items = memory_resize(names->items, (names->count + 1) * sizeof *names->items);
    names->items[names->count++] = memory_string_range(data, length);
}

static void names_release(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

void enlist_release(struct session *session)
{
    struct enlist_answer *answer = session->answer;
    session->answer = NULL;
    free(session->injected_error);
    session->injected_error = NULL;
    if (!answer)
        return;
    names_release(&answer->schemas);
    names_release(&answer->temporaries);
    free(answer->shape);
    free(answer);
}

/* ---------------------------------------------------------------- asking */

/* The group that ends the queue: the client's own messages lie before it. */
static void mark_waited_for(struct request_queue *queue)
{
    for (uint32_t i = queue->count; i > 0; i--) {
        struct request *request = request_queue_at(queue, i - 1);
        if (request->injected == REQUEST_OF_CLIENT)
            return;
        request->is_waited_for = true;
    }
}

void inject_end(struct session *session)
{
    struct text out;
    text_init(&out, 16);
    bool is_boundary = !session->batch_open;
    if (is_boundary) {
        wire_write_sync(&out);
        request_push(session, REQUEST_SYNC);
    } else {
        wire_write_flush(&out);
    }
    request_queue_at(&session->queue, session->queue.count - 1)->injected = REQUEST_INJECTED_LAST;
    if (is_boundary) /* in a batch an error skips the client's message too, and is its answer */
        mark_waited_for(&session->queue);
    output_add_text(&session->worker->to_server, &out);
    text_release(&out);
    session->waiting = WAIT_INJECTED;
}

void enlist_ask(struct session *session)
{
    enlist_release(session);
    session->answer = NEW(struct enlist_answer);
    session->answer_is_optional = false;
    session->enlistment = ENLIST_ASKED;
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    wire_write_close(&out, 'S', own_name); /* left where the last time failed half way */
    request_push(session, REQUEST_CLOSE_STATEMENT)->injected = REQUEST_INJECTED;
    wire_write_parse(&out, own_name, (struct slice){question, sizeof question - 1}, NULL, 0);
    request_push(session, REQUEST_PARSE)->injected = REQUEST_INJECTED;
    wire_write_bind(&out, own_name, own_name);
    request_push(session, REQUEST_BIND)->injected = REQUEST_INJECTED;
    wire_write_execute(&out, own_name);
    struct request *execute = request_push(session, REQUEST_EXECUTE);
    execute->injected = REQUEST_INJECTED_ROWS;
    execute->portal = memory_string(own_name);
    wire_write_close(&out, 'P', own_name);
    struct request *close = request_push(session, REQUEST_CLOSE_PORTAL);
    close->injected = REQUEST_INJECTED;
    close->portal = memory_string(own_name);
    wire_write_close(&out, 'S', own_name);
    request_push(session, REQUEST_CLOSE_STATEMENT)->injected = REQUEST_INJECTED;
    output_add_text(&session->worker->to_server, &out);
    text_release(&out);
    inject_end(session);
    stat_add(&session->worker->stats.enlisted, 1);
}

/* ---------------------------------------------------------------- the answer */

static bool read_number(struct slice digits, int64_t *number)
{
    enum { DIGITS_MAX = 18 }; /* fit into the number, whatever they are */
    *number = 0;
    if (digits.length == 0 || digits.length > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        *number = *number * 10 + (digits.data[i] - '0');
    }
    return true;
}

/* False where it is no row of the answer. */
static bool read_row(struct enlist_answer *answer, const uint8_t *body, size_t length)
{
    size_t offset = 2;
    struct slice kind, name;
    if (length < 2 || !wire_take_value(body, length, &offset, &kind) || kind.length != 1 ||
        !wire_take_value(body, length, &offset, &name) || (!name.data && kind.data[0] != 'h'))
        return false;
    switch (kind.data[0]) {
    case 'h':
        answer->has_shape = true;
        free(answer->shape);
        answer->shape = name.data ? memory_string_range(name.data, name.length) : NULL;
        return true;
    case 'p':
        answer->has_server = true;
        return read_number(name, &answer->server);
    case 's':
        names_add(&answer->schemas, name.data, name.length);
        return true;
    case 't':
        names_add(&answer->temporaries, name.data, name.length);
        return true;
    default:
        return false;
    }
}

void enlist_on_row(struct session *session, const uint8_t *body, size_t length)
{
    struct enlist_answer *answer = session->answer;
    if (answer && !read_row(answer, body, length))
        answer->is_nonsense = true;
}

/* An answer that is not the whole answer says nothing. NULL where it is. */
static struct error *judge_answer(const struct enlist_answer *answer)
{
    if (answer->has_shape && answer->has_server && !answer->is_nonsense)
        return NULL;
    struct error *error = memory_get(sizeof *error);
    error_set(error, "08P01", "the server's answer to a question of Segue's makes no sense");
    error_hint(error, "Is `upstream` of segue.conf a PostgreSQL server?");
    return error;
}

static void learn(struct session *session, const struct enlist_answer *answer)
{
    struct resolution_set *set = session->worker->resolutions;
    struct resolution *resolution = resolution_intern(
        set, (const char *const *)answer->schemas.items, answer->schemas.count,
        (const char *const *)answer->temporaries.items, answer->temporaries.count);
    resolution_put(set, session->resolution);
    session->resolution = resolution;
    session->server_started = answer->server;
    struct error error;
    free(session->shape_error);
    session->shape_error = NULL;
    if (!session_set_shapes(session, answer->shape, &error)) {
        session->shape_error = memory_get(sizeof error);
        *session->shape_error = error;
    }
    session->enlistment = ENLIST_KNOWN;
    rewriting_new_context(session);
}

void enlist_on_end(struct session *session)
{
    if (session->waiting == WAIT_INJECTED)
        session->waiting = WAIT_NONE;
    if (session->enlistment != ENLIST_ASKED)
        return;
    session->enlistment = ENLIST_UNKNOWN;
    struct error *error = session->injected_error;
    session->injected_error = NULL;
    if (!error && !(error = judge_answer(session->answer)))
        learn(session, session->answer);
    enlist_release(session);
    if (session->answer_is_optional) {
        free(error);
        error = NULL;
    }
    session->injected_error = error;
}
