/*
 * The throwaway server. `postgres` is a direct child and not pg_ctl's, so that the kernel ends it
 * with the demo. It never flushes to disk: what it holds is worth nothing an hour later.
 */
#include "cluster.h"

#include "../secret.h"
#include "demo.h"
#include "segue/base/clock.h"
#include "segue/base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PORT_LIMIT = 32768 };
enum { START_PATIENCE_MS = 60000, STOP_PATIENCE_MS = 15000 };

/* ---------------------------------------------------------------- ports */

static int listen_on(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1)) {
        close(fd);
        return -1;
    }
    return fd;
}

bool demo_ports_find(int first, int *ports, size_t count, struct error *error)
{
    size_t found = 0;
    for (int port = first; port < PORT_LIMIT && found < count; port++) {
        int fd = listen_on(port);
        if (fd < 0)
            continue;
        close(fd);
        ports[found++] = port;
    }
    if (found == count)
        return true;
    error_set(error, "53000", "no %zu free TCP ports between %d and %d", count, first, PORT_LIMIT);
    error_hint(error, "Give a lower first port with --port.");
    return false;
}

/* ---------------------------------------------------------------- where, and as whom */

static bool has_server(const char *binaries)
{
    char path[300];
    snprintf(path, sizeof path, "%s/initdb", binaries);
    if (access(path, X_OK))
        return false;
    snprintf(path, sizeof path, "%s/postgres", binaries);
    return access(path, X_OK) == 0;
}

static bool ask_pg_config(char *binaries, size_t size)
{
    FILE *pipe = popen("pg_config --bindir 2>/dev/null", "r");
    if (!pipe)
        return false;
    bool answered = fgets(binaries, (int)size, pipe) != NULL;
    pclose(pipe);
    if (!answered)
        return false;
    binaries[strcspn(binaries, "\n")] = '\0';
    return has_server(binaries);
}

/* Debian keeps each version in a folder of its own; the highest one wins. */
static bool look_in_usr_lib(char *binaries, size_t size)
{
    glob_t found;
    long best = -1;
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found))
        return false;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        long version = strtol(found.gl_pathv[i] + strlen("/usr/lib/postgresql/"), NULL, 10);
        if (version > best && has_server(found.gl_pathv[i])) {
            best = version;
            snprintf(binaries, size, "%s", found.gl_pathv[i]);
        }
    }
    globfree(&found);
    return best >= 0;
}

static bool find_binaries(struct demo_cluster *cluster, const char *given, struct error *error)
{
    if (given) {
        snprintf(cluster->binaries, sizeof cluster->binaries, "%s", given);
        return has_server(given) ||
               error_set(error, "58P01", "there is no initdb and postgres in %s", given);
    }
    if (ask_pg_config(cluster->binaries, sizeof cluster->binaries) ||
        look_in_usr_lib(cluster->binaries, sizeof cluster->binaries))
        return true;
    error_set(error, "58P01", "no PostgreSQL server programs found");
    error_hint(error, "Install them (Debian: apt-get install postgresql), or say where initdb and "
                      "postgres are with --bindir.");
    return false;
}

/* PostgreSQL refuses to run as root. */
static bool choose_owner(struct demo_user *owner, struct error *error)
{
    *owner = (struct demo_user){.uid = geteuid(), .gid = getegid()};
    if (owner->uid != 0)
        return true;
    static const char *const candidates[] = {"postgres", "nobody"};
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
        struct passwd *entry = getpwnam(candidates[i]); // NOLINT: before there are threads
        if (!entry || entry->pw_uid == 0)
            continue;
        *owner = (struct demo_user){.switches = true, .uid = entry->pw_uid, .gid = entry->pw_gid};
        snprintf(owner->name, sizeof owner->name, "%s", candidates[i]);
        return true;
    }
    error_set(error, "58000",
              "PostgreSQL does not run as root, and there is no user postgres or "
              "nobody to run it as");
    return false;
}

static bool make_directory(struct demo_cluster *cluster, struct error *error)
{
    const char *parent = getenv("TMPDIR"); // NOLINT: before there are threads
    if (!parent || !*parent)
        parent = "/tmp";
    char path[sizeof cluster->directory];
    if (snprintf(path, sizeof path, "%s/segue-demo-XXXXXX", parent) >= (int)sizeof path)
        return error_set(error, "58000", "the name of the temporary directory %s is too long",
                         parent);
    if (!mkdtemp(path))
        return error_set(error, "58030", "cannot make a directory in %s: %s", parent,
                         strerror(errno));
    memcpy(cluster->directory, path, sizeof path);
    if (cluster->owner.switches && chown(path, cluster->owner.uid, cluster->owner.gid))
        return error_set(error, "58030", "cannot give %s to user %s: %s", path, cluster->owner.name,
                         strerror(errno));
    return true;
}

/* ---------------------------------------------------------------- the password */

static bool make_password(char password[33], struct error *error)
{
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return error_set(error, "58000", "no random bytes for a password: %s", strerror(errno));
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(password + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

/* Readable by its owner alone; `owner` NULL: by the demo's own user. */
static bool write_secret(const char *path, const char *content, const struct demo_user *owner,
                         struct error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(error, "58030", "cannot write %s: %s", path, strerror(errno));
    size_t length = strlen(content);
    bool written = write(fd, content, length) == (ssize_t)length;
    if (written && owner && owner->switches)
        written = fchown(fd, owner->uid, owner->gid) == 0;
    if (close(fd) || !written)
        return error_set(error, "58030", "cannot write %s: %s", path, strerror(errno));
    return true;
}

static bool write_passfile(struct demo_cluster *cluster, struct error *error)
{
    char content[80];
    snprintf(cluster->passfile, sizeof cluster->passfile, "%s/passfile", cluster->directory);
    snprintf(content, sizeof content, "*:*:*:*:%s\n", cluster->password);
    return write_secret(cluster->passfile, content, NULL, error);
}

static bool write_users(struct demo_cluster *cluster, struct error *error)
{
    char *verifier = secret_verifier(cluster->password, error);
    if (!verifier)
        return false;
    struct text line;
    text_init(&line, TEXT_UNBOUNDED);
    text_add_format(&line, "\"%s\" \"%s\" operator\n", DEMO_SUPERUSER, verifier);
    snprintf(cluster->users, sizeof cluster->users, "%s/users", cluster->directory);
    bool written = write_secret(cluster->users, line.data, NULL, error);
    text_release(&line);
    free(verifier);
    return written;
}

/* ---------------------------------------------------------------- the server */

static bool run_initdb(struct demo_cluster *cluster, const char *data, struct error *error)
{
    char program[300], password_file[192], password_option[224];
    snprintf(program, sizeof program, "%s/initdb", cluster->binaries);
    snprintf(password_file, sizeof password_file, "%s/initdb-password", cluster->directory);
    snprintf(password_option, sizeof password_option, "--pwfile=%s", password_file);
    if (!write_secret(password_file, cluster->password, &cluster->owner, error))
        return false;
    const char *const argv[] = {program,
                                "--pgdata",
                                data,
                                "-U",
                                DEMO_SUPERUSER,
                                "--auth=scram-sha-256",
                                password_option,
                                "--encoding=UTF8",
                                "--no-locale",
                                "--no-sync",
                                NULL};
    struct demo_child initdb = {.name = "initdb"};
    snprintf(initdb.log, sizeof initdb.log, "%s/initdb.log", cluster->directory);
    bool made = demo_child_start(&initdb, argv, &cluster->owner, SIGKILL, error) &&
                demo_child_finish(&initdb, error);
    unlink(password_file);
    return made;
}

static bool start_server(struct demo_cluster *cluster, const char *data, struct error *error)
{
    char program[300], port[16];
    snprintf(program, sizeof program, "%s/postgres", cluster->binaries);
    snprintf(port, sizeof port, "%d", cluster->port);
    const char *const argv[] = {program,
                                "-D",
                                data,
                                "-p",
                                port,
                                "-c",
                                "listen_addresses=127.0.0.1",
                                "-c",
                                "unix_socket_directories=",
                                "-c",
                                "fsync=off",
                                "-c",
                                "full_page_writes=off",
                                "-c",
                                "max_wal_size=4GB",
                                "-c",
                                "shared_buffers=256MB",
                                NULL};
    cluster->server.name = "the PostgreSQL server";
    snprintf(cluster->server.log, sizeof cluster->server.log, "%s/postgres.log",
             cluster->directory);
    /* SIGINT is PostgreSQL's fast shutdown. */
    return demo_child_start(&cluster->server, argv, &cluster->owner, SIGINT, error);
}

static bool wait_for_server(struct demo_cluster *cluster, struct error *error)
{
    char port[16];
    snprintf(port, sizeof port, "%d", cluster->port);
    const char *const keywords[] = {"host", "port", "dbname", NULL};
    const char *const values[] = {"127.0.0.1", port, "postgres", NULL};
    for (unsigned waited = 0; waited < START_PATIENCE_MS; waited += 50) {
        if (PQpingParams(keywords, values, 0) == PQPING_OK)
            return true;
        if (demo_is_interrupted())
            return error_set(error, "57014", "interrupted");
        if (!demo_child_is_running(&cluster->server, error))
            return false;
        clock_sleep_ms(50);
    }
    return error_set(error, "57P03", "the PostgreSQL server did not start within %d s",
                     START_PATIENCE_MS / 1000);
}

char *demo_cluster_conninfo(const struct demo_cluster *cluster, int port, const char *database,
                            const char *user, const char *application_name)
{
    struct text conninfo;
    text_init(&conninfo, TEXT_UNBOUNDED);
    text_add_format(&conninfo,
                    "host=127.0.0.1 port=%d dbname=%s user=%s password=%s application_name='%s' "
                    "connect_timeout=20",
                    port, database, user, cluster->password, application_name);
    return text_take(&conninfo);
}

static bool make_database(struct demo_cluster *cluster, struct error *error)
{
    struct text create_user;
    text_init(&create_user, TEXT_UNBOUNDED);
    text_add_string(&create_user, "CREATE ROLE " DEMO_APP_USER " LOGIN PASSWORD ");
    text_add_literal(&create_user, cluster->password);
    const char *const statements[] = {"CREATE DATABASE " DEMO_DATABASE, create_user.data};

    char *conninfo =
        demo_cluster_conninfo(cluster, cluster->port, "postgres", DEMO_SUPERUSER, "segue demo");
    PGconn *connection = PQconnectdb(conninfo);
    free(conninfo);
    bool made = PQstatus(connection) == CONNECTION_OK;
    for (size_t i = 0; made && i < sizeof statements / sizeof *statements; i++) {
        PGresult *result = PQexec(connection, statements[i]);
        made = PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
    }
    if (!made)
        error_set(error, "58000", "cannot make the database: %s", PQerrorMessage(connection));
    PQfinish(connection);
    text_release(&create_user);
    return made;
}

bool demo_cluster_start(struct demo_cluster *cluster, const char *binaries, int port,
                        struct error *error)
{
    memset(cluster, 0, sizeof *cluster);
    cluster->port = port;
    char data[192];
    if (!find_binaries(cluster, binaries, error) || !choose_owner(&cluster->owner, error) ||
        !make_directory(cluster, error) || !make_password(cluster->password, error) ||
        !write_passfile(cluster, error) || !write_users(cluster, error))
        return false;
    snprintf(data, sizeof data, "%s/data", cluster->directory);
    return run_initdb(cluster, data, error) && start_server(cluster, data, error) &&
           wait_for_server(cluster, error) && make_database(cluster, error);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    if (remove(path))
        fprintf(stderr, "segue demo: cannot remove %s: %s\n", path, strerror(errno));
    return 0; /* go on: as much as possible */
}

bool demo_cluster_stop(struct demo_cluster *cluster, struct error *error)
{
    bool good = demo_child_stop(&cluster->server, SIGINT, STOP_PATIENCE_MS, error);
    if (cluster->directory[0])
        nftw(cluster->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    cluster->directory[0] = '\0';
    return good;
}
