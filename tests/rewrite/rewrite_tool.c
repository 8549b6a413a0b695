/*
 * Rewrites statements against a live database, for the equivalence tests:
 *   rewrite_tool CONNINFO TRANSITION_FILE PHASE STAGE SHAPE [bench]
 * Statements come on standard input, separated by NUL; one line of JSON goes out for each.
 */
#include "segue/base/clock.h"
#include "segue/base/memory.h"
#include "segue/rewrite/rewrite.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "rewrite_tool: %s: %s\n", what, why);
    exit(2);
}

static char *read_all(FILE *file, size_t *length)
{
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    char buffer[8192];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        text_add(&text, buffer, got);
    *length = text.length;
    return text_take(&text);
}

static struct transition **load_transitions(const char *path, PGconn *connection, enum stage stage,
                                            size_t *count)
{
    FILE *file = fopen(path, "r");
    if (!file)
        die(path, "cannot be opened");
    size_t length;
    char *text = read_all(file, &length);
    fclose(file);
    struct error error;
    struct transition **transitions = transition_parse(text, path, count, &error);
    free(text);
    if (!transitions)
        die(path, error.message);
    for (size_t i = 0; i < *count; i++) {
        PQclear(PQexec(connection, "BEGIN"));
        /* the old columns are gone once contracted: what they were is bound before */
        if (!transition_bind(transitions[i], (struct pg_conn *)connection, stage, &error))
            die("bind", error.message);
        PQclear(PQexec(connection, "ROLLBACK"));
    }
    return transitions;
}

static struct resolution *load_resolution(struct resolution_set *set, PGconn *connection)
{
    PGresult *result = PQexec(connection, "SELECT unnest(current_schemas(true))");
    size_t count = (size_t)PQntuples(result);
    const char **schemas = NEW_ARRAY(const char *, count);
    for (size_t i = 0; i < count; i++)
        schemas[i] = PQgetvalue(result, (int)i, 0);
    struct resolution *resolution = resolution_intern(set, schemas, count, NULL, 0);
    free((void *)schemas);
    PQclear(result);
    return resolution;
}

static void print_rewrite(const struct rewrite *rewrite)
{
    static const char *const outcomes[] = {"untouched", "changed", "refused", "needs_resolution"};
    static const struct error no_error;
    const struct error *error = rewrite->error ? rewrite->error : &no_error;
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    text_add_format(&out, "{\"outcome\": \"%s\", \"text\": ", outcomes[rewrite->outcome]);
    text_add_json_string(&out, rewrite->text.data);
    text_add_format(&out,
                    ", \"sqlstate\": \"%s\", \"position\": %d, \"message\": ", error->sqlstate,
                    error->position);
    text_add_json_string(&out, error->message);
    text_add_string(&out, ", \"results\": [");
    for (size_t i = 0; i < rewrite->result_count; i++)
        text_add_format(&out, "%s[%u, %u, %d]", i ? ", " : "", rewrite->results[i].column,
                        rewrite->results[i].table_oid, rewrite->results[i].attnum);
    text_add_format(&out, "], \"touched\": %llu}\n", (unsigned long long)rewrite->touched);
    fwrite(out.data, 1, out.length, stdout);
    text_release(&out);
}

int main(int argc, char **argv)
{
    if (argc < 6)
        die("usage", "CONNINFO TRANSITION_FILE PHASE STAGE SHAPE");
    enum phase phase;
    enum stage stage;
    enum shape shape;
    if (!phase_parse(argv[3], &phase) || !stage_parse(argv[4], &stage) ||
        !shape_parse(argv[5], &shape))
        die("usage", "PHASE STAGE SHAPE");
    PGconn *connection = PQconnectdb(argv[1]);
    if (PQstatus(connection) != CONNECTION_OK)
        die("connect", PQerrorMessage(connection));
    struct error error;
    struct catalog *catalog = catalog_load((struct pg_conn *)connection, &error);
    if (!catalog)
        die("catalog", error.message);
    size_t count;
    struct transition **transitions = load_transitions(argv[2], connection, stage, &count);
    struct snapshot_transition at[SNAPSHOT_TRANSITIONS_MAX] = {0};
    for (size_t i = 0; i < count; i++)
        at[i] = (struct snapshot_transition){
            .transition = transitions[i], .phase = phase, .stage = stage};
    struct snapshot *snapshot = snapshot_new(1, catalog, at, count);
    struct resolution_set *set = resolution_set_new();
    struct resolution *resolution = load_resolution(set, connection);
    struct rewrite_context context = {.snapshot = snapshot,
                                      .resolution = resolution,
                                      .new_shapes = shape == SHAPE_NEW ? UINT64_MAX : 0,
                                      .standard_conforming_strings = true,
                                      .encoding_is_safe = true};
    size_t length;
    char *input = read_all(stdin, &length);
    for (size_t start = 0; start < length;) {
        size_t end = start + strlen(input + start);
        struct rewrite *rewrite =
            rewrite_text(&context, (struct slice){input + start, end - start});
        print_rewrite(rewrite);
        rewrite_put(rewrite);
        start = end + 1;
    }
    free(input);
    resolution_put(set, resolution);
    resolution_set_free(set);
    snapshot_put(snapshot);
    for (size_t i = 0; i < count; i++)
        transition_put(transitions[i]);
    free((void *)transitions);
    catalog_put(catalog);
    PQfinish(connection);
    return 0;
}
