/*
 * What client and server say in random slices: wherever the network cuts it, the same is passed on
 * to either side, and the session ends up in the same place. A session without its worker's loop:
 * the slices are handed to the relay as a stream would, each in memory of its own.
 *
 * The input: a byte that chooses what is under way, then pieces. Each begins with who speaks (the
 * highest bit) and how many bytes it has, and a byte that says where it is cut.
 */
#include "../../proxy/session/session.h"
#include "../unit/rewrite_world.h"
#include "segue/base/log.h"
#include "segue/wire/message.h"

#include <fcntl.h>
#include <unistd.h>

enum { DATABASES = 3, INPUT_MAX = 4096, SERVER_SPEAKS = 0x80, LOGGED_IN = 0x80 };

static struct worker worker;
static struct worker_listener listener = {.worker = &worker, .is_unix = true};

static void add_snapshot(struct worker_database *database, struct snapshot *snapshot)
{
    struct worker_snapshot *held = NEW(struct worker_snapshot);
    held->snapshot = snapshot;
    held->scan = name_scan_new(snapshot);
    TAILQ_INIT(&database->snapshots);
    TAILQ_INSERT_TAIL(&database->snapshots, held, link);
    database->current = held;
}

static void make_worker(void)
{
    struct error error;
    log_set_level(LOG_ERROR);
    worker.settings =
        settings_parse("listen \"old\" { address = \"/tmp\" port = 1 shape = \"old\" }\n"
                       "upstream { host = \"/tmp\" port = 2 }\n",
                       "fuzz", &error);
    BUG_ON(!worker.settings);
    worker.configuration = NEW(struct configuration);
    *worker.configuration = (struct configuration){1, (struct settings *)worker.settings, {0}};
    worker.databases = NEW_ARRAY(struct worker_database, DATABASES);
    add_snapshot(&worker.databases[1], snapshot_new(1, NULL, NULL, 0));
    static struct rewrite_world world;
    world = world_make(PHASE_DUAL_NEW, STAGE_EXPANDED, SHAPE_OLD);
    add_snapshot(&worker.databases[2], world.snapshot);
    worker.cache = rewrite_cache_new(1 << 20);
    worker.resolutions = resolution_set_new();
    LIST_INIT(&worker.relaying);
    LIST_INIT(&worker.timed);
    output_init(&worker.to_client);
    output_init(&worker.to_server);
    BUG_ON(uv_mutex_init(&worker.mutex) != 0 || uv_loop_init(&worker.loop) != 0);
    BUG_ON(uv_timer_init(&worker.loop, &worker.tick) != 0);
    worker.tick.data = &worker;
    parse_thread_init(&worker.parse_thread);
    stream_pool_init(&worker.pool, &worker.loop);
}

/* ---------------------------------------------------------------- one run */

struct peer {
    int socket;
    struct text heard;
};

struct run {
    struct session *session;
    struct peer client, server;
    bool is_over;
    int waiting, transaction;
    uint32_t outstanding;
};

static void connect_peer(struct peer *peer, struct stream *stream)
{
    int ends[2];
    BUG_ON(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0);
    BUG_ON(uv_pipe_open(&stream->pipe, ends[0]) != 0);
    peer->socket = ends[1];
    text_init(&peer->heard, TEXT_UNBOUNDED);
    stream_connected(stream);
}

static void listen_to(struct peer *peer)
{
    char buffer[16 * 1024];
    ssize_t count;
    while ((count = read(peer->socket, buffer, sizeof buffer)) > 0)
        text_add(&peer->heard, buffer, (size_t)count);
}

static void say(struct run *run, bool server_speaks, const void *data, size_t length)
{
    if (length == 0 || session_is_over(run->session))
        return;
    uint8_t *copy = memory_get(length);
    memcpy(copy, data, length);
    if (server_speaks)
        relay_server_events.on_read(&run->session->server, copy, length);
    else
        relay_client_events.on_read(&run->session->client, copy, length);
    free(copy);
    listen_to(&run->client);
    listen_to(&run->server);
}

static void log_in(struct run *run)
{
    struct text said;
    text_init(&said, TEXT_UNBOUNDED);
    wire_write_authentication_ok(&said);
    wire_write_parameter_status(&said, "client_encoding", "UTF8");
    wire_write_ready_for_query(&said, 'I');
    say(run, true, said.data, said.length);
    text_release(&said);
}

static void begin(struct run *run, uint8_t choice)
{
    struct session *session = run->session = session_new(&listener);
    connect_peer(&run->client, &session->client);
    session_go_state(session, SESSION_CONNECTING);
    session_init_server(session, true);
    session->handles++;
    connect_peer(&run->server, &session->server);
    unsigned database = choice % 4 % DATABASES;
    session->database = database ? &worker.databases[database] : NULL;
    struct error error;
    BUG_ON(!session_set_shapes(session, NULL, &error));
    session_go_state(session, SESSION_LOGIN);
    if (choice & LOGGED_IN)
        log_in(run);
}

static void end(struct run *run)
{
    struct session *session = run->session;
    run->is_over = session_is_over(session);
    run->waiting = (int)session->waiting;
    run->transaction = session->transaction;
    run->outstanding = session->queue.count;
    session_end(session, SESSION_END_KILLED, NULL);
    stream_close(&session->client);
    while (worker.session_count > 0)
        uv_run(&worker.loop, UV_RUN_NOWAIT);
    close(run->client.socket);
    close(run->server.socket);
}

/* What waits for a reply goes on behind what came with it, so that is one piece. */
static bool may_be_cut(const struct run *run, bool server_speaks)
{
    return !server_speaks || run->session->waiting == WAIT_NONE;
}

static void play(struct run *run, const uint8_t *data, size_t size, bool in_slices)
{
    begin(run, data[0]);
    for (size_t at = 1; size - at > 2;) {
        bool server_speaks = data[at] & SERVER_SPEAKS;
        size_t length = (size_t)(data[at] & 0x7f) + 1, places = data[at + 1];
        at += 2;
        if (length > size - at)
            length = size - at;
        size_t first = 0, second = 0;
        if (in_slices && !session_is_over(run->session) && may_be_cut(run, server_speaks)) {
            first = places % length;
            second = first + places / 16 % (length - first);
        }
        say(run, server_speaks, data + at, first);
        say(run, server_speaks, data + at + first, second - first);
        say(run, server_speaks, data + at + second, length - second);
        at += length;
    }
    end(run);
}

static void assert_same(const struct text *whole, const struct text *sliced)
{
    BUG_ON(whole->length != sliced->length);
    BUG_ON(whole->length && memcmp(whole->data, sliced->data, whole->length) != 0);
}

static void release(struct run *run)
{
    text_release(&run->client.heard);
    text_release(&run->server.heard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > INPUT_MAX)
        return 0;
    if (!worker.settings)
        make_worker();
    struct run whole = {0}, sliced = {0};
    play(&whole, data, size, false);
    play(&sliced, data, size, true);
    assert_same(&whole.client.heard, &sliced.client.heard);
    assert_same(&whole.server.heard, &sliced.server.heard);
    BUG_ON(whole.is_over != sliced.is_over || whole.outstanding != sliced.outstanding);
    BUG_ON(!whole.is_over &&
           (whole.waiting != sliced.waiting || whole.transaction != sliced.transaction));
    release(&whole);
    release(&sliced);
    return 0;
}
