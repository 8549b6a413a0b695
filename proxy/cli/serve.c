/*
 * `segue serve`: the order of start-up and shutdown, nothing else.
 *
 * Start: settings, fleet, workers (they listen, and refuse clients of databases that are not
 * loaded), console, then the fleet's threads. Stop, on SIGTERM or SHUTDOWN: no new connections,
 * sessions end at their next transaction boundary; on SIGINT, or when asked a second time, at once.
 * What blocks while stopping runs on a thread of its own, so that the loop still hears the second
 * signal.
 *
 * Restart, on SIGUSR2 or RESTART: a successor is started, which inherits the listening sockets and
 * gets as far as it can without the databases. Then it is given those, loads them and accepts
 * connections, beside this process. Only when it does so, this one stops as on SIGTERM; where it
 * dies before, this one takes the databases back and goes on. The successor moves no phase before
 * the last session of this process has ended. A SIGTERM that comes before it is in charge is for
 * both.
 */
#include "segue/admin/console.h"
#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/change/change.h"
#include "segue/cli/cli.h"
#include "segue/fleet/fleet.h"

#include "commands.h"
#include "predecessor.h"
#include "restart.h"

#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include <uv.h>

enum {
    ACCEPT_AFTER_MS = 3000, /* though a database is not loaded; or L to the process before */
    TELL_MS = 500 /* for the answer to RESTART to be sent, where nothing says that it was */
};

struct serve {
    uv_loop_t loop;
    struct stream_pool pool; /* of the loop */
    uv_signal_t on_sigterm, on_sigint, on_sighup, on_sigusr2;
    uv_async_t on_news; /* from another thread: what follows may have changed */
    uv_timer_t timer;   /* ACCEPT_AFTER_MS, then TELL_MS */
    uv_thread_t stopper;
    struct settings *settings;
    struct fleet *fleet;
    struct console *console;
    struct inherited_sockets *inherited;
    struct predecessor predecessor;
    struct restart restart;
    _Atomic bool ended;
    bool accepting;
    bool stopping;
    bool at_once;
};

static void print_help(FILE *stream)
{
    fputs("Usage: segue serve -c FILE [--check]\n"
          "\n"
          "Runs the proxy in the foreground, logging to stderr.\n"
          "\n"
          "  -c, --config FILE   the configuration (see segue.conf)\n"
          "      --check         read the configuration, say whether it is right, and end\n"
          "  -h, --help          this text\n"
          "\n"
          "SIGUSR2 starts the program again, which takes the listening sockets over.\n"
          "SIGTERM drains: sessions end at their next transaction boundary; a second one, or "
          "SIGINT,\n"
          "ends at once. SIGHUP reads the configuration again, as RELOAD does, and logs what "
          "changed.\n"
          "Transitions and phases are kept in the database and survive any end.\n",
          stream);
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            log_warning(NULL, "the limit of open files stays at its soft value");
    }
}

/* ---------------------------------------------------------------- accepting */

static void accept_now(struct serve *serve)
{
    if (serve->accepting || serve->stopping)
        return;
    serve->accepting = true;
    uv_timer_stop(&serve->timer);
    for (size_t i = 0; i < fleet_worker_count(serve->fleet); i++)
        worker_accept(fleet_worker(serve->fleet, i));
    if (predecessor_waits(&serve->predecessor))
        predecessor_tell(&serve->predecessor, true);
    else
        sd_notify(0, "READY=1");
}

static void on_accept_late(uv_timer_t *timer)
{
    struct serve *serve = timer->data;
    if (predecessor_waits(&serve->predecessor))
        predecessor_tell(&serve->predecessor, false); /* which may know better */
    else
        accept_now(serve);
}

/* The one before accepts no more connections. They may wait a moment, for databases to be loaded.
 */
static void on_handed_over(void *context)
{
    struct serve *serve = context;
    if (serve->stopping)
        return;
    console_start(serve->console); /* until now the other one's answered */
    if (serve->accepting)
        sd_notify(0, "READY=1");
    else if (!uv_is_active((uv_handle_t *)&serve->timer))
        accept_now(serve);
}

/* Alone from the start, the process accepts clients at once, and tells those of a database that is
 * not loaded so. In the place of another it leaves them to that one, which serves them. */
static void begin_work(void *context)
{
    struct serve *serve = context;
    if (serve->stopping)
        return;
    if (!predecessor_waits(&serve->predecessor))
        console_start(serve->console);
    fleet_start(serve->fleet);
    if (serve->predecessor.channel < 0 || serve->settings->database_count == 0)
        accept_now(serve);
    else
        uv_timer_start(&serve->timer, on_accept_late, ACCEPT_AFTER_MS, 0);
}

static void on_database_ready(void *context, struct fleet *fleet, size_t database)
{
    struct serve *serve = context;
    uv_async_send(&serve->on_news);
    backfill_resume_all(fleet, database);
}

static void on_predecessor_gone(void *context)
{
    struct serve *serve = context;
    log_info(NULL, "process %d, whose place this one took, has ended", serve->predecessor.pid);
    fleet_set_predecessor(serve->fleet, 0);
}

/* ---------------------------------------------------------------- stopping */

static void stop_workers(struct serve *serve, enum worker_stopping how)
{
    for (size_t i = 0; i < fleet_worker_count(serve->fleet); i++)
        worker_stop(fleet_worker(serve->fleet, i), how);
}

/* Blocks until sessions and threads have ended; on a thread of its own. The loop may still tell the
 * workers to end at once: they are freed there. */
static void end_everything(void *context)
{
    struct serve *serve = context;
    restart_join(&serve->restart);
    change_stop(serve->fleet);
    for (size_t i = 0; i < fleet_worker_count(serve->fleet); i++)
        worker_join(fleet_worker(serve->fleet, i));
    restart_await_end(&serve->restart);
    serve->ended = true;
    uv_async_send(&serve->on_news);
}

static void on_console_closed(void *context)
{
    struct serve *serve = context;
    BUG_ON(uv_thread_create(&serve->stopper, end_everything, serve) != 0);
}

static void begin_stop(struct serve *serve, const char *why, enum worker_stopping how)
{
    if (serve->stopping) {
        if (!serve->at_once) {
            log_info(NULL, "%s again: ending at once", why);
            serve->at_once = true;
            restart_cancel(&serve->restart, true);
            stop_workers(serve, WORKER_ENDS);
        }
        return;
    }
    serve->stopping = true;
    serve->at_once = how == WORKER_ENDS;
    restart_cancel(&serve->restart, serve->at_once); /* where it has not handed over */
    uv_timer_stop(&serve->timer);
    log_info(NULL, "%s: %s", why,
             how == WORKER_ENDS ? "ending at once"
                                : "no new connections, sessions end at their next transaction "
                                  "boundary");
    /* Else the service goes on, whatever this process does. */
    if (how != WORKER_HANDS_OVER && !predecessor_waits(&serve->predecessor))
        sd_notify(0, "STOPPING=1");
    stop_workers(serve, how);
    console_stop(serve->console, how == WORKER_HANDS_OVER, on_console_closed, serve);
}

static void on_signal(uv_signal_t *handle, int number)
{
    begin_stop(handle->data, number == SIGTERM ? "SIGTERM" : "SIGINT",
               number == SIGTERM ? WORKER_DRAINS : WORKER_ENDS);
}

static void on_hangup(uv_signal_t *handle, int number)
{
    (void)number;
    struct serve *serve = handle->data;
    if (!serve->stopping)
        console_reload(serve->console);
}

static void hand_over(struct serve *serve)
{
    if (serve->stopping || !serve->restart.is_ready || !restart_hand_over(&serve->restart))
        return;
    char main_pid[32];
    snprintf(main_pid, sizeof main_pid, "MAINPID=%d", (int)serve->restart.successor.pid);
    sd_notify(0, main_pid);
    log_info(NULL, "process %d takes over", (int)serve->restart.successor.pid);
    restart_put_in_charge(&serve->restart);
    begin_stop(serve, "restart", WORKER_HANDS_OVER);
}

static void on_end_command(void *context, enum console_ending ending)
{
    struct serve *serve = context;
    if (ending == CONSOLE_RESTART)
        hand_over(serve);
    else
        begin_stop(serve, "SHUTDOWN", WORKER_DRAINS);
}

static void free_workers(struct serve *serve)
{
    for (size_t i = 0; i < fleet_worker_count(serve->fleet); i++)
        worker_free(fleet_worker(serve->fleet, i));
}

static void close_handles(struct serve *serve)
{
    uv_thread_join(&serve->stopper);
    free_workers(serve);
    restart_join(&serve->restart);
    predecessor_close(&serve->predecessor);
    uv_close((uv_handle_t *)&serve->on_sigterm, NULL);
    uv_close((uv_handle_t *)&serve->on_sigint, NULL);
    uv_close((uv_handle_t *)&serve->on_sighup, NULL);
    uv_close((uv_handle_t *)&serve->on_sigusr2, NULL);
    uv_close((uv_handle_t *)&serve->timer, NULL);
    uv_close((uv_handle_t *)&serve->on_news, NULL);
}

/* ---------------------------------------------------------------- news */

static void on_sigusr2(uv_signal_t *handle, int number)
{
    (void)number;
    struct serve *serve = handle->data;
    if (!serve->stopping)
        restart_by_signal(&serve->restart);
}

static void on_told(uv_timer_t *timer)
{
    hand_over(timer->data);
}

static void on_news(uv_async_t *handle)
{
    struct serve *serve = handle->data;
    if (serve->ended) {
        close_handles(serve);
        return;
    }
    if (fleet_is_ready(serve->fleet))
        accept_now(serve);
    if (serve->restart.is_ready && !serve->stopping)
        uv_timer_start(&serve->timer, on_told, TELL_MS, 0);
}

/* ---------------------------------------------------------------- starting */

static bool start_workers(struct serve *serve, struct error *error)
{
    struct worker_events events = fleet_worker_events(serve->fleet);
    for (int i = 0; i < serve->settings->workers; i++) {
        struct worker *worker =
            worker_start(serve->settings, (size_t)i, &events, serve->inherited, error);
        if (!worker)
            return false;
        fleet_add_worker(serve->fleet, worker);
    }
    return true;
}

static void watch_signal(struct serve *serve, uv_signal_t *handle, uv_signal_cb callback,
                         int number)
{
    BUG_ON(uv_signal_init(&serve->loop, handle) != 0);
    handle->data = serve;
    BUG_ON(uv_signal_start(handle, callback, number) != 0);
}

static void init_handles(struct serve *serve)
{
    watch_signal(serve, &serve->on_sigterm, on_signal, SIGTERM);
    watch_signal(serve, &serve->on_sigint, on_signal, SIGINT);
    watch_signal(serve, &serve->on_sighup, on_hangup, SIGHUP);
    watch_signal(serve, &serve->on_sigusr2, on_sigusr2, SIGUSR2);
    BUG_ON(uv_async_init(&serve->loop, &serve->on_news, on_news) != 0);
    BUG_ON(uv_timer_init(&serve->loop, &serve->timer) != 0);
    serve->on_news.data = serve->timer.data = serve;
}

/* After a start that failed half-way: what runs already is ended, in the same order. */
static void undo_start(struct serve *serve)
{
    stop_workers(serve, serve->predecessor.channel < 0 ? WORKER_ENDS : WORKER_HANDS_OVER);
    for (size_t i = 0; i < fleet_worker_count(serve->fleet); i++)
        worker_join(fleet_worker(serve->fleet, i));
    free_workers(serve);
}

static void begin(struct serve *serve)
{
    if (serve->predecessor.channel < 0) {
        begin_work(serve);
        return;
    }
    fleet_set_predecessor(serve->fleet, serve->predecessor.pid);
    serve->predecessor.on_released = begin_work;
    serve->predecessor.on_handed_over = on_handed_over;
    serve->predecessor.on_gone = on_predecessor_gone;
    serve->predecessor.context = serve;
    predecessor_offer(&serve->predecessor, &serve->loop);
}

static void run_loop(struct serve *serve)
{
    stream_pool_run(&serve->pool);
    stream_pool_release(&serve->pool);
    console_free(serve->console);
    BUG_ON(uv_loop_close(&serve->loop) != 0);
}

static int run(struct serve *serve, struct error *error)
{
    serve->fleet = fleet_new(serve->settings);
    if (!start_workers(serve, error)) {
        undo_start(serve);
        return CLI_FAILED;
    }
    BUG_ON(uv_loop_init(&serve->loop) != 0);
    stream_pool_init(&serve->pool, &serve->loop);
    serve->console = console_new(&serve->pool, serve->fleet);
    if (!console_open(serve->console, serve->inherited, error)) {
        undo_start(serve);
        console_stop(serve->console, false, NULL, NULL);
        run_loop(serve);
        return CLI_FAILED;
    }
    inherited_free(serve->inherited);
    serve->inherited = NULL;
    console_on_end(serve->console, on_end_command, serve);
    serve->restart.fleet = serve->fleet;
    serve->restart.console = serve->console;
    serve->restart.wake = &serve->on_news;
    console_on_restart(serve->console, restart_by_command, &serve->restart);
    init_handles(serve);
    fleet_on_ready(serve->fleet, on_database_ready, serve);
    log_info(NULL, "segue %s serves %s:%s with %d worker%s, process %d", SEGUE_VERSION,
             serve->settings->upstream.host, serve->settings->upstream.port,
             serve->settings->workers, serve->settings->workers == 1 ? "" : "s", (int)getpid());
    begin(serve);
    run_loop(serve);
    log_info(NULL, "ended");
    return CLI_OK;
}

static int fail(const struct error *error, int status)
{
    fprintf(stderr, "segue serve: %s\n", error->message);
    if (error->detail[0])
        fprintf(stderr, "  %s\n", error->detail);
    if (error->hint[0])
        fprintf(stderr, "  %s\n", error->hint);
    return status;
}

/* The program as it was started: a newer one may lie at its path by the time of a restart. */
static char *own_path(void)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    BUG_ON(length < 0);
    path[length] = '\0';
    return memory_string(path);
}

static int serve(const char *path, bool check_only)
{
    struct error error = {0};
    struct serve serve = {.settings = NULL};
    bool has_predecessor = predecessor_find(&serve.predecessor);
    serve.settings = settings_load(path, &error);
    if (!serve.settings) {
        if (has_predecessor)
            predecessor_fail(&serve.predecessor, &error);
        return fail(&error, CLI_USAGE);
    }
    if (check_only) {
        bool fine = console_check(serve.settings, &error);
        settings_put(serve.settings);
        if (!fine)
            return fail(&error, CLI_USAGE);
        printf("%s is right\n", path);
        return CLI_OK;
    }
    settings_apply_to_log(serve.settings);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    char *program = own_path();
    const char *arguments[] = {program, "serve", "-c", path, NULL};
    serve.restart.arguments = arguments;
    serve.inherited = inherited_take();
    int status = run(&serve, &error);
    if (status != CLI_OK && has_predecessor)
        predecessor_fail(&serve.predecessor, &error);
    inherited_free(serve.inherited);
    fleet_free(serve.fleet);
    settings_put(serve.settings);
    free(program);
    return status == CLI_OK ? CLI_OK : fail(&error, status);
}

int cli_serve(int argc, char **argv)
{
    enum { OPTION_CHECK = 256 };
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, OPTION_CHECK},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL;
    bool check_only = false;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case OPTION_CHECK:
            check_only = true;
            break;
        case 'h':
            print_help(stdout);
            return CLI_OK;
        default:
            print_help(stderr);
            return CLI_USAGE;
        }
    }
    if (!path || optind != argc) {
        print_help(stderr);
        return CLI_USAGE;
    }

    return serve(path, check_only);
}
