/*
 * `segue serve`: the order of start-up and shutdown, nothing else.
 *
 * Start: settings, fleet, workers (they listen, and refuse clients of databases that are not
 * loaded), console, then the fleet's threads. Stop, on SIGTERM or SHUTDOWN: no new connections,
 * sessions end at their next transaction boundary; on SIGINT, or when asked a second time, at once.
 * What blocks while stopping runs on a thread of its own, so that the loop still hears the second
 * signal.
 */
#include "segue/admin/console.h"
#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/change/change.h"
#include "segue/cli/cli.h"
#include "segue/fleet/fleet.h"

#include "commands.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

struct serve {
    uv_loop_t loop;
    uv_signal_t on_sigterm, on_sigint, on_sighup;
    uv_async_t on_ended; /* the stopper is done */
    uv_thread_t stopper;
    struct settings *settings;
    struct fleet *fleet;
    struct console *console;
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

static void stop_workers(struct serve *serve, bool drain)
{
    for (size_t i = 0; i < fleet_worker_count(serve->fleet); i++)
        worker_stop(fleet_worker(serve->fleet, i), drain);
}

/* Blocks until sessions and threads have ended; on a thread of its own. */
static void end_everything(void *context)
{
    struct serve *serve = context;
    backfill_stop_all(serve->fleet);
    fleet_stop(serve->fleet);
    for (size_t i = 0; i < fleet_worker_count(serve->fleet); i++)
        worker_join(fleet_worker(serve->fleet, i));
    uv_async_send(&serve->on_ended);
}

static void on_console_closed(void *context)
{
    struct serve *serve = context;
    BUG_ON(uv_thread_create(&serve->stopper, end_everything, serve) != 0);
}

static void begin_stop(struct serve *serve, const char *why, bool drain)
{
    if (serve->stopping) {
        if (!serve->at_once) {
            log_info(NULL, "%s again: ending at once", why);
            serve->at_once = true;
            stop_workers(serve, false);
        }
        return;
    }
    serve->stopping = true;
    serve->at_once = !drain;
    log_info(NULL, "%s: %s", why,
             drain ? "no new connections, sessions end at their next transaction boundary"
                   : "ending at once");
    stop_workers(serve, drain);
    console_stop(serve->console, on_console_closed, serve);
}

static void on_signal(uv_signal_t *handle, int number)
{
    begin_stop(handle->data, number == SIGTERM ? "SIGTERM" : "SIGINT", number == SIGTERM);
}

static void on_hangup(uv_signal_t *handle, int number)
{
    (void)number;
    struct serve *serve = handle->data;
    if (!serve->stopping)
        console_reload(serve->console);
}

static void on_shutdown_command(void *context)
{
    begin_stop(context, "SHUTDOWN", true);
}

static void on_ended(uv_async_t *handle)
{
    struct serve *serve = handle->data;
    uv_thread_join(&serve->stopper);
    uv_close((uv_handle_t *)&serve->on_sigterm, NULL);
    uv_close((uv_handle_t *)&serve->on_sigint, NULL);
    uv_close((uv_handle_t *)&serve->on_sighup, NULL);
    uv_close((uv_handle_t *)&serve->on_ended, NULL);
}

static void on_database_ready(void *context, struct fleet *fleet, size_t database)
{
    (void)context;
    backfill_resume_all(fleet, database);
}

static bool start_workers(struct serve *serve, struct error *error)
{
    struct worker_events events = fleet_worker_events(serve->fleet);
    for (int i = 0; i < serve->settings->workers; i++) {
        struct worker *worker = worker_start(serve->settings, (size_t)i, &events, error);
        if (!worker)
            return false;
        fleet_add_worker(serve->fleet, worker);
    }
    return true;
}

static void watch_signals(struct serve *serve)
{
    BUG_ON(uv_signal_init(&serve->loop, &serve->on_sigterm) != 0);
    BUG_ON(uv_signal_init(&serve->loop, &serve->on_sigint) != 0);
    BUG_ON(uv_signal_init(&serve->loop, &serve->on_sighup) != 0);
    BUG_ON(uv_async_init(&serve->loop, &serve->on_ended, on_ended) != 0);
    serve->on_sigterm.data = serve->on_sigint.data = serve;
    serve->on_sighup.data = serve->on_ended.data = serve;
    uv_signal_start(&serve->on_sigterm, on_signal, SIGTERM);
    uv_signal_start(&serve->on_sigint, on_signal, SIGINT);
    uv_signal_start(&serve->on_sighup, on_hangup, SIGHUP);
}

/* After a start that failed half-way: what runs already is ended, in the same order. */
static void undo_start(struct serve *serve)
{
    stop_workers(serve, false);
    for (size_t i = 0; i < fleet_worker_count(serve->fleet); i++)
        worker_join(fleet_worker(serve->fleet, i));
}

static int run(struct serve *serve, struct error *error)
{
    serve->fleet = fleet_new(serve->settings);
    if (!start_workers(serve, error)) {
        undo_start(serve);
        return CLI_FAILED;
    }
    BUG_ON(uv_loop_init(&serve->loop) != 0);
    serve->console = console_start(&serve->loop, serve->fleet, error);
    if (!serve->console) {
        undo_start(serve);
        uv_run(&serve->loop, UV_RUN_DEFAULT);
        uv_loop_close(&serve->loop);
        return CLI_FAILED;
    }
    console_on_shutdown(serve->console, on_shutdown_command, serve);
    watch_signals(serve);
    fleet_on_ready(serve->fleet, on_database_ready, serve);
    fleet_start(serve->fleet);
    log_info(NULL, "segue %s serves %s:%s with %d worker%s, process %d", SEGUE_VERSION,
             serve->settings->upstream.host, serve->settings->upstream.port,
             serve->settings->workers, serve->settings->workers == 1 ? "" : "s", (int)getpid());
    uv_run(&serve->loop, UV_RUN_DEFAULT);
    BUG_ON(uv_loop_close(&serve->loop) != 0);
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

    struct error error = {0};
    struct serve serve = {.settings = settings_load(path, &error)};
    if (!serve.settings)
        return fail(&error, CLI_USAGE);
    if (check_only) {
        printf("%s is right\n", path);
        settings_free(serve.settings);
        return CLI_OK;
    }
    settings_apply_to_log(serve.settings);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    int status = run(&serve, &error);
    fleet_free(serve.fleet);
    settings_free(serve.settings);
    return status == CLI_OK ? CLI_OK : fail(&error, status);
}
