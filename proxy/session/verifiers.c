/*
 * The server is asked with the control connection's user, over one connection that is kept, since
 * clients tend to come in crowds. Asking anew at each login, a changed password counts at once.
 */
#include "verifiers.h"

#include "segue/base/memory.h"

#include <errno.h>
#include <libpq-fe.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

bool verifiers_are_known(const struct settings *settings)
{
    return settings->auth_file || settings->database_count > 0;
}

/* ---------------------------------------------------------------- the file */

enum { LINE_MAX_LENGTH = 2048, FILE_BUFFER = 4096 };

/* The next string in double quotes, where two of them stand for one; as PgBouncer's. */
static bool take_quoted(const char **at, struct text *out)
{
    text_clear(out);
    *at += strspn(*at, " \t");
    if (**at != '"')
        return false;
    for (++*at; **at; ++*at) {
        if (**at == '"' && *++*at != '"')
            return true;
        text_add_char(out, **at);
    }
    return false;
}

static bool is_users_line(const char *line, const char *user, struct text *stored)
{
    struct text name;
    text_init(&name, LINE_MAX_LENGTH);
    bool found =
        take_quoted(&line, &name) && strcmp(name.data, user) == 0 && take_quoted(&line, stored);
    text_release(&name);
    return found;
}

/* A line that is too long is nobody's, nor is what is left of it one. */
static bool next_line(FILE *file, char *line, size_t size)
{
    while (fgets(line, (int)size, file)) {
        if (strchr(line, '\n') || feof(file))
            return true;
        for (int c = 0; c != '\n' && c != EOF;)
            c = getc(file);
    }
    return false;
}

static bool find_in_file(const char *path, const char *user, struct text *stored,
                         struct error *error)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        error_set(error, "58P01", "could not open auth_file \"%s\": %s", path, strerror(errno));
        return false;
    }
    char line[LINE_MAX_LENGTH], buffer[FILE_BUFFER];
    setvbuf(file, buffer, _IOFBF, sizeof buffer); /* one that we can wipe */
    bool found = false;
    while (!found && next_line(file, line, sizeof line))
        found = is_users_line(line, user, stored);
    bool done = !ferror(file) || error_set(error, "58030", "could not read auth_file \"%s\"", path);
    if (!found)
        text_clear(stored);
    fclose(file);
    OPENSSL_cleanse(line, sizeof line);
    OPENSSL_cleanse(buffer, sizeof buffer);
    return done;
}

/* ---------------------------------------------------------------- the server */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static PGconn *kept; /* under the mutex, with what it was made of */
static char *kept_conninfo;

static void drop_kept(void)
{
    PQfinish(kept);
    kept = NULL;
    free(kept_conninfo);
    kept_conninfo = NULL;
}

static bool is_kept(const char *conninfo)
{
    return kept && PQstatus(kept) == CONNECTION_OK && strcmp(kept_conninfo, conninfo) == 0;
}

static PGresult *ask(const char *user)
{
    const char *values[] = {user};
    return PQexecParams(kept,
                        "SELECT rolpassword FROM pg_catalog.pg_authid "
                        "WHERE rolname OPERATOR(pg_catalog.=) $1::pg_catalog.name",
                        1, NULL, values, NULL, NULL, 0);
}

static bool fail(const PGresult *result, struct error *error)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *why = result ? PQresultErrorMessage(result) : PQerrorMessage(kept);
    error_set(error, state ? state : "08006", "could not ask for the password verifier of a user");
    error_detail(error, "%s", why);
    error_hint(error,
               "The control user must be able to read pg_authid; or name a file in auth_file.");
    return false;
}

static bool find_on_server(const char *conninfo, const char *user, struct text *stored,
                           struct error *error)
{
    bool was_kept = is_kept(conninfo);
    PGresult *result = was_kept ? ask(user) : NULL;
    if (!result || PQstatus(kept) != CONNECTION_OK) {
        PQclear(result);
        drop_kept();
        kept = PQconnectdb(conninfo);
        kept_conninfo = memory_string(conninfo);
        result = PQstatus(kept) == CONNECTION_OK ? ask(user) : NULL;
    }
    bool done = result && PQresultStatus(result) == PGRES_TUPLES_OK;
    if (!done)
        fail(result, error);
    else if (PQntuples(result) == 1 && !PQgetisnull(result, 0, 0)) {
        text_add_string(stored, PQgetvalue(result, 0, 0));
        OPENSSL_cleanse(PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0));
    }
    PQclear(result);
    if (!done)
        drop_kept();
    return done;
}

static const char *database_to_ask(const struct settings *settings, const char *database)
{
    for (size_t i = 0; database && i < settings->database_count; i++) {
        if (strcmp(settings->databases[i].name, database) == 0)
            return database;
    }
    return settings->databases[0].name; /* roles are the cluster's: any will do */
}

bool verifiers_find(const struct settings *settings, const char *database, const char *user,
                    struct scram_verifier *verifier, struct error *error)
{
    struct text stored;
    text_init(&stored, LINE_MAX_LENGTH);
    text_extend(&stored, LINE_MAX_LENGTH); /* it does not grow: that would leave copies behind */
    text_clear(&stored);
    bool asked;
    if (settings->auth_file) {
        asked = find_in_file(settings->auth_file, user, &stored, error);
    } else {
        char *base = settings_control_conninfo(settings, database_to_ask(settings, database));
        struct text conninfo;
        text_init(&conninfo, TEXT_UNBOUNDED);
        text_add_format(&conninfo, "%s application_name='segue verifiers'", base);
        free(base);
        pthread_mutex_lock(&mutex);
        asked = find_on_server(conninfo.data, user, &stored, error);
        pthread_mutex_unlock(&mutex);
        text_release(&conninfo);
    }
    if (asked && !scram_verifier_parse(verifier, stored.data))
        scram_verifier_mock(verifier, user);
    OPENSSL_cleanse(stored.data, stored.capacity);
    text_release(&stored);
    return asked;
}
