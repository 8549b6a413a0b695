/*
 * `segue demo`: the main job on an embedded default. This file sets the scene (a throwaway
 * PostgreSQL, sample tables, Segue in front) and clears it away; the journey is in journey.c.
 */
#include "demo.h"

#include "../commands.h"
#include "journey.h"
#include "segue/base/clock.h"
#include "segue/base/memory.h"
#include "segue/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST_PORT = 21400, PROXY_STOP_PATIENCE_MS = 10000 };
enum { ROWS_MIN = 1000, ROWS_MAX = 5000000, SECONDS_MAX = 3600, CONNECTIONS_MAX = 40 };
enum { PORT_SERVER, PORT_OLD, PORT_NEW, PORT_ADMIN, PORT_COUNT };

static volatile sig_atomic_t interrupted;

bool demo_is_interrupted(void)
{
    return interrupted != 0;
}

static void on_signal(int signal)
{
    interrupted = signal;
}

static void catch_signals(void)
{
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
}

/* ---------------------------------------------------------------- options */

static void print_help(FILE *stream)
{
    fputs(
        "Usage: segue demo [OPTION]...\n"
        "\n"
        "Makes a throwaway PostgreSQL with two tables, starts Segue in front of it and an old and "
        "a\n"
        "new version of an app that read and write without pause, and changes the type of a "
        "column\n"
        "in each table meanwhile, all the way and once back. Every answer is checked.\n"
        "\n"
        "      --keep            at the end leave all of it running, until Ctrl-C\n"
        "      --rows N          rows in each table (100000)\n"
        "      --seconds N       that the apps work on in each step (3)\n"
        "      --connections N   of each app (4)\n"
        "      --port N          first TCP port to try (21400)\n"
        "      --bindir DIR      where PostgreSQL's initdb and postgres are\n"
        "  -q, --quiet           only the outcome\n"
        "  -h, --help            this text\n"
        "\n"
        "Exit status: 0 when no statement failed and every row is right, 1 when not, 2 for wrong\n"
        "options.\n",
        stream);
}

static bool parse_number(const char *name, const char *text, int low, int high, int *number)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text && !*end && value >= low && value <= high) {
        *number = (int)value;
        return true;
    }
    fprintf(stderr, "segue demo: --%s: expected a number from %d to %d, got \"%s\"\n", name, low,
            high, text);
    return false;
}

enum parsed { PARSED, PARSED_HELP, PARSED_WRONG };

static enum parsed parse_options(int argc, char **argv, struct demo_options *options)
{
    enum { KEEP = 256, ROWS, SECONDS, CONNECTIONS, PORT, BINDIR };
    static const struct option known[] = {{"keep", no_argument, NULL, KEEP},
                                          {"rows", required_argument, NULL, ROWS},
                                          {"seconds", required_argument, NULL, SECONDS},
                                          {"connections", required_argument, NULL, CONNECTIONS},
                                          {"port", required_argument, NULL, PORT},
                                          {"bindir", required_argument, NULL, BINDIR},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    bool good = true;
    int option;
    while (good && (option = getopt_long(argc, argv, "qh", known, NULL)) != -1) {
        if (option == KEEP)
            options->keep = true;
        else if (option == ROWS)
            good = parse_number("rows", optarg, ROWS_MIN, ROWS_MAX, &options->rows);
        else if (option == SECONDS)
            good = parse_number("seconds", optarg, 0, SECONDS_MAX, &options->seconds);
        else if (option == CONNECTIONS)
            good = parse_number("connections", optarg, 1, CONNECTIONS_MAX, &options->connections);
        else if (option == PORT)
            good = parse_number("port", optarg, 1024, 32000, &options->first_port);
        else if (option == BINDIR)
            options->binaries = optarg;
        else if (option == 'q')
            options->quiet = true;
        else if (option == 'h')
            return PARSED_HELP;
        else
            good = false;
    }
    if (good && optind < argc) {
        fprintf(stderr, "segue demo: unexpected argument \"%s\"\n", argv[optind]);
        good = false;
    }
    return good ? PARSED : PARSED_WRONG;
}

/* ---------------------------------------------------------------- the scene */

struct scene {
    struct demo_options options;
    struct demo_report report;
    struct demo_cluster cluster;
    struct demo_child proxy;
    struct demo_model model;
    struct demo_board board;
    struct demo_journey journey;
    int ports[PORT_COUNT];
    char config[192];
};

static bool write_config(struct scene *scene, struct error *error)
{
    snprintf(scene->config, sizeof scene->config, "%s/segue.conf", scene->cluster.directory);
    FILE *file = fopen(scene->config, "we");
    if (!file)
        return error_set(error, "58030", "cannot write %s: %s", scene->config, strerror(errno));
    fprintf(file,
            "listen \"old\" { address = \"127.0.0.1\"  port = %d  shape = \"old\" }\n"
            "listen \"new\" { address = \"127.0.0.1\"  port = %d  shape = \"new\" }\n"
            "admin        { address = \"127.0.0.1\"  port = %d  users_file = \"%s\"\n"
            "               unix_socket_dir = \"\" }\n"
            "upstream     { host = \"127.0.0.1\"  port = %d }\n"
            "database \"%s\" { control_user = \"%s\"  control_password_file = \"%s\" }\n"
            "workers = 2\n",
            scene->ports[PORT_OLD], scene->ports[PORT_NEW], scene->ports[PORT_ADMIN],
            scene->cluster.users, scene->ports[PORT_SERVER], DEMO_DATABASE, DEMO_SUPERUSER,
            scene->cluster.passfile);
    return fclose(file) == 0 ||
           error_set(error, "58030", "cannot write %s: %s", scene->config, strerror(errno));
}

static bool load_tables(struct scene *scene, struct error *error)
{
    char *conninfo = demo_cluster_conninfo(&scene->cluster, scene->ports[PORT_SERVER],
                                           DEMO_DATABASE, DEMO_SUPERUSER, "segue demo");
    PGconn *server = PQconnectdb(conninfo);
    free(conninfo);
    bool good = PQstatus(server) == CONNECTION_OK ||
                error_set(error, "08006", "%s", PQerrorMessage(server));
    good = good && demo_model_load(&scene->model, server, error);
    if (good)
        demo_report_line(
            &scene->report,
            "  PostgreSQL %d.%d on port %d, `users` and `transactions` with %zu rows each",
            PQserverVersion(server) / 10000, PQserverVersion(server) % 10000,
            scene->ports[PORT_SERVER], demo_model_rows(&scene->model));
    PQfinish(server);
    return good;
}

/* The same program, as a child: `segue serve`. */
static bool start_proxy(struct scene *scene, struct error *error)
{
    const char *const argv[] = {"/proc/self/exe", "serve", "-c", scene->config, NULL};
    scene->proxy.name = "segue serve";
    snprintf(scene->proxy.log, sizeof scene->proxy.log, "%s/segue.log", scene->cluster.directory);
    return write_config(scene, error) && demo_child_start(&scene->proxy, argv, NULL, SIGINT, error);
}

static bool set_scene(struct scene *scene, struct error *error)
{
    demo_report_line(&scene->report,
                     "Segue demo: the types of two columns change while two versions of an app "
                     "work on them.\n");
    demo_model_init(&scene->model, (size_t)scene->options.rows);
    demo_board_init(&scene->board);
    if (!demo_ports_find(scene->options.first_port, scene->ports, PORT_COUNT, error) ||
        !demo_cluster_start(&scene->cluster, scene->options.binaries, scene->ports[PORT_SERVER],
                            error) ||
        !load_tables(scene, error) || !start_proxy(scene, error))
        return false;
    demo_report_line(&scene->report,
                     "  Segue: the old app on port %d, the new app on port %d, admin on port %d",
                     scene->ports[PORT_OLD], scene->ports[PORT_NEW], scene->ports[PORT_ADMIN]);
    scene->journey = (struct demo_journey){
        .options = &scene->options,
        .cluster = &scene->cluster,
        .proxy = &scene->proxy,
        .model = &scene->model,
        .board = &scene->board,
        .report = &scene->report,
        .old_port = scene->ports[PORT_OLD],
        .new_port = scene->ports[PORT_NEW],
        .admin_port = scene->ports[PORT_ADMIN],
    };
    return true;
}

/* The apps first, so that they see no error; the proxy, then what it stands before. How
 * each of them ends is told: a sanitizer's finding, say, comes to light only now. */
static bool clear_scene(struct scene *scene)
{
    struct error proxy_error = {0}, server_error = {0};
    demo_journey_end(&scene->journey);
    bool proxy = demo_child_stop(&scene->proxy, SIGINT, PROXY_STOP_PATIENCE_MS, &proxy_error);
    bool server = demo_cluster_stop(&scene->cluster, &server_error);
    if (!proxy)
        demo_report_error(&proxy_error);
    if (!server)
        demo_report_error(&server_error);
    demo_board_release(&scene->board);
    demo_model_release(&scene->model);
    return proxy && server;
}

/* ---------------------------------------------------------------- --keep */

static void print_connection(const struct scene *scene, const char *what, int port,
                             const char *database, const char *user)
{
    printf("  %-22s psql \"host=127.0.0.1 port=%d dbname=%s user=%s password=%s\"\n", what, port,
           database, user, scene->cluster.password);
}

static void keep(const struct scene *scene)
{
    puts("\nAll of it is still running. To look around:\n");
    print_connection(scene, "as the old app:", scene->ports[PORT_OLD], DEMO_DATABASE,
                     DEMO_APP_USER);
    print_connection(scene, "as the new app:", scene->ports[PORT_NEW], DEMO_DATABASE,
                     DEMO_APP_USER);
    print_connection(scene, "PostgreSQL itself:", scene->ports[PORT_SERVER], DEMO_DATABASE,
                     DEMO_SUPERUSER);
    print_connection(scene, "Segue's admin port:", scene->ports[PORT_ADMIN], "segue",
                     DEMO_SUPERUSER);
    puts("\n"
         "  As either app:      SELECT * FROM users WHERE id < 5;\n"
         "  On the admin port:  SHOW HELP;  SHOW TRANSITIONS;  SHOW CLIENTS;\n"
         "                      REWRITE FOR old 'UPDATE users SET role = ''dev'' WHERE id = 1';\n"
         "  A journey of your own, also there; look at it as either app after each line:\n"
         "    APPLY 'transition \"rename\" { table = \"public.users\"  lossless = true\n"
         "           old \"name\"      { type = \"text\"  from = \"full_name\" }\n"
         "           new \"full_name\" { type = \"text\"  from = \"name\" } }';\n"
         "    EXPAND rename;\n"
         "    ADVANCE rename;  BACKFILL rename;  VERIFY rename;\n"
         "    ADVANCE rename TO new;  REVERT rename;  ADVANCE rename;\n"
         "    CONTRACT rename;\n");
    printf("  Logs and segue.conf: %s\n\nCtrl-C ends it all and removes it.\n",
           scene->cluster.directory);
    fflush(stdout);
    while (!demo_is_interrupted())
        clock_sleep_ms(100);
}

int cli_demo(int argc, char **argv)
{
    struct scene *scene = NEW(struct scene);
    scene->options = (struct demo_options){
        .first_port = FIRST_PORT, .rows = 100000, .seconds = 3, .connections = 4};
    enum parsed parsed = parse_options(argc, argv, &scene->options);
    if (parsed != PARSED) {
        print_help(parsed == PARSED_HELP ? stdout : stderr);
        free(scene);
        return parsed == PARSED_HELP ? CLI_OK : CLI_USAGE;
    }
    demo_report_init(&scene->report, scene->options.quiet);
    catch_signals();

    struct error error = {0};
    bool went = set_scene(scene, &error) && demo_journey_go(&scene->journey, &error);
    if (!went)
        demo_report_error(&error);
    bool right = demo_journey_sum_up(&scene->journey, went);
    if (scene->options.keep && scene->proxy.pid && !demo_is_interrupted())
        keep(scene);
    bool cleared = clear_scene(scene);
    free(scene);
    return went && right && cleared ? CLI_OK : CLI_FAILED;
}
