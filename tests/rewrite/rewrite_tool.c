/*
 * Rewrites statements against live databases, in process, for tests/rewrite: a server on standard
 * input and output. A request is a verb and its arguments, each ended by a NUL; the answer is one
 * line of JSON, {"error": ..} where the request failed.
 *
 *   describe CONNINFO FILE                          the DDL and conversions of FILE's transitions
 *   open CONNINFO APPLIED FILE PHASES STAGES        a database in a state: {"world": N}. APPLIED is
 *                                                   the database as it was at APPLY
 *   rewrite N SHAPES ESCAPES SCHEMAS TEMPORARIES SQL   ESCAPES: "off" reads backslashes in '..'
 *   position P                                      of the last text sent, in the client's text
 *
 * Lists are separated by commas. PHASES, STAGES and SHAPES go by transition, the last of a list
 * standing for the rest. SCHEMAS empty: the search path that the database gives.
 */
#include "../../proxy/change/work.h"
#include "segue/base/memory.h"
#include "segue/rewrite/rewrite.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORLDS_MAX = 512, LIST_MAX = 64, CACHE_BYTES = 1 << 20 };

struct world {
    struct catalog *catalog;
    struct snapshot *snapshot;
    struct resolution *resolution; /* of a session that has changed nothing */
};

static struct world worlds[WORLDS_MAX];
static size_t world_count;
static struct resolution_set *resolutions;
static struct rewrite *last; /* what `position` is about */
static char *last_sql;

static void answer(struct text *json)
{
    text_add_char(json, '\n');
    fwrite(json->data, 1, json->length, stdout);
    fflush(stdout);
    text_release(json);
}

static void answer_error(const char *what, const char *why)
{
    struct text json, message;
    text_init(&json, TEXT_UNBOUNDED);
    text_init(&message, TEXT_UNBOUNDED);
    text_add_format(&message, "%s: %s", what, why);
    text_add_string(&json, "{\"error\": ");
    text_add_json_string(&json, message.data);
    text_add_char(&json, '}');
    text_release(&message);
    answer(&json);
}

/* Cuts at commas, in place; at most LIST_MAX items. */
static size_t cut_list(char *list, const char **items)
{
    size_t count = 0;
    for (char *item = list; *list && item && count < LIST_MAX;) {
        items[count++] = item;
        item = strchr(item, ',');
        if (item)
            *item++ = '\0';
    }
    return count;
}

static const char *list_item(const char *const *items, size_t count, size_t index)
{
    return count == 0 ? "" : items[index < count ? index : count - 1];
}

/* ---------------------------------------------------------------- transitions */

static PGconn *connect_to(const char *conninfo)
{
    PGconn *connection = PQconnectdb(conninfo);
    if (PQstatus(connection) == CONNECTION_OK)
        return connection;
    answer_error("connect", PQerrorMessage(connection));
    PQfinish(connection);
    return NULL;
}

static bool bind_one(struct transition *transition, PGconn *connection, enum stage stage,
                     struct error *error)
{
    PQclear(PQexec(connection, "BEGIN"));
    bool bound = transition_bind(transition, (struct pg_conn *)connection, stage, error);
    PQclear(PQexec(connection, "ROLLBACK"));
    return bound;
}

/* Finds the pairs of what stands on old columns; a transition that does not fit has none. */
static void fit_one(struct transition *transition, PGconn *connection)
{
    struct error error;
    PQclear(PQexec(connection, "BEGIN"));
    PQclear(PQexec(connection,
                   "SET LOCAL search_path = pg_catalog; SET LOCAL client_min_messages = error"));
    bool fits = transition_fit(transition, (struct pg_conn *)connection, &error);
    BUG_ON(!fits && transition->pair_count > 0);
    PQclear(PQexec(connection, "ROLLBACK"));
}

static void put_all(struct transition **transitions, size_t count)
{
    for (size_t i = 0; transitions && i < count; i++)
        transition_put(transitions[i]);
    free((void *)transitions);
}

static struct transition **parse_file(const char *path, size_t *count, struct error *error)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        error_set(error, "58P01", "%s cannot be opened", path);
        return NULL;
    }
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    char buffer[8192];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        text_add(&text, buffer, got);
    fclose(file);
    struct transition **transitions = transition_parse(text.data, path, count, error);
    text_release(&text);
    return transitions;
}

static struct transition **parse_and_bind(const char *path, PGconn *connection, size_t *count,
                                          struct error *error)
{
    struct transition **transitions = parse_file(path, count, error);
    for (size_t i = 0; transitions && i < *count; i++)
        if (!bind_one(transitions[i], connection, STAGE_APPLIED, error)) {
            put_all(transitions, *count);
            return NULL;
        }
    return transitions;
}

/* What the store of a fleet keeps of APPLY, and gives back at every load (fleet/store.c). */
static void keep_of_apply(struct transition *transition, struct transition *applied,
                          enum stage stage)
{
    transition->pairs = applied->pairs;
    transition->pair_count = applied->pair_count;
    applied->pairs = NULL;
    applied->pair_count = 0;
    for (int shape = 0; shape < SHAPE_COUNT; shape++)
        for (size_t i = 0; i < transition->column_count[shape]; i++) {
            struct transition_column *column = &transition->columns[shape][i];
            const struct transition_column *stored = &applied->columns[shape][i];
            column->not_null = stored->not_null;
            column->not_null_is_declared = true;
            column->attnum = stored->attnum;
            column->collation = stored->collation;
            if (stage != STAGE_CONTRACTED || shape != SHAPE_OLD)
                continue;
            free(column->default_expression);
            column->default_expression = memory_string(stored->default_expression);
            column->default_is_volatile = stored->default_is_volatile;
        }
}

/* ---------------------------------------------------------------- describe */

static void add_member(struct text *json, const char *key, const char *value)
{
    text_add_format(json, ", \"%s\": ", key);
    if (value)
        text_add_json_string(json, value);
    else
        text_add_string(json, "null");
}

static void add_script(struct text *json, const char *key, struct text *script)
{
    add_member(json, key, script->data);
    text_clear(script);
}

static void add_columns(struct text *json, const struct transition *transition, enum shape shape)
{
    struct text script;
    text_init(&script, TEXT_UNBOUNDED);
    text_add_format(json, ", \"%s\": [", shape_name(shape));
    for (size_t i = 0; i < transition->column_count[shape]; i++) {
        const struct transition_column *column = &transition->columns[shape][i];
        text_add_string(json, i ? ", {\"name\": " : "{\"name\": ");
        text_add_json_string(json, column->name);
        add_member(json, "physical", column->physical);
        add_member(json, "type", column->type);
        add_member(json, "default", column->default_expression);
        transition_converted(transition, shape, i, "", &script);
        add_script(json, "converted", &script);
        text_add_format(json, ", \"not_null\": %s}", column->not_null ? "true" : "false");
    }
    text_add_char(json, ']');
    text_release(&script);
}

static void add_transition(struct text *json, const struct transition *transition)
{
    struct text script;
    text_init(&script, TEXT_UNBOUNDED);
    text_add_string(json, "{\"name\": ");
    text_add_json_string(json, transition->name);
    add_member(json, "schema", transition->schema);
    add_member(json, "table", transition->table);
    text_add_format(json, ", \"lossless\": %s", transition->lossless ? "true" : "false");
    expand_add_script(transition, &script);
    add_script(json, "expand", &script);
    contract_add_script(transition, &script);
    add_script(json, "contract", &script);
    transition_parity(transition, "", &script);
    add_script(json, "parity", &script);
    text_add_string(json, ", \"guard\": {\"\": null");
    for (enum phase phase = PHASE_OLD; phase <= PHASE_NEW; phase++) {
        if (!phase_is_dual(phase) || transition->guard == GUARD_OFF)
            continue;
        trimmings_add_guard(transition, phase, &script);
        add_script(json, phase_name(phase), &script);
    }
    text_add_char(json, '}');
    for (int shape = 0; shape < SHAPE_COUNT; shape++)
        add_columns(json, transition, shape);
    text_add_char(json, '}');
    text_release(&script);
}

static void describe(char **arguments)
{
    PGconn *connection = connect_to(arguments[0]);
    if (!connection)
        return;
    struct error error;
    size_t count;
    struct transition **transitions = parse_and_bind(arguments[1], connection, &count, &error);
    PQfinish(connection);
    if (!transitions) {
        answer_error(arguments[1], error.message);
        return;
    }
    struct text json;
    text_init(&json, TEXT_UNBOUNDED);
    text_add_char(&json, '[');
    for (size_t i = 0; i < count; i++) {
        text_add_string(&json, i ? ", " : "");
        add_transition(&json, transitions[i]);
    }
    text_add_char(&json, ']');
    put_all(transitions, count);
    answer(&json);
}

/* ---------------------------------------------------------------- open */

static struct resolution *load_resolution(PGconn *connection)
{
    PGresult *result = PQexec(connection, "SELECT unnest(current_schemas(true))");
    size_t count = (size_t)PQntuples(result);
    const char **schemas = NEW_ARRAY(const char *, count);
    for (size_t i = 0; i < count; i++)
        schemas[i] = PQgetvalue(result, (int)i, 0);
    struct resolution *resolution = resolution_intern(resolutions, schemas, count, NULL, 0);
    free((void *)schemas);
    PQclear(result);
    return resolution;
}

static bool place_all(struct snapshot_transition *at, struct transition **applied, size_t count,
                      char *phases, char *stages, struct error *error)
{
    const char *phase[LIST_MAX], *stage[LIST_MAX];
    size_t phase_count = cut_list(phases, phase), stage_count = cut_list(stages, stage);
    for (size_t i = 0; i < count; i++)
        if (!phase_parse(list_item(phase, phase_count, i), &at[i].phase) ||
            !stage_parse(list_item(stage, stage_count, i), &at[i].stage))
            return error_set(error, "22023", "transition \"%s\" is in no such phase and stage",
                             applied[i]->name);
    return true;
}

/* A table that is read with its descendants alone is as when all tables are. */
static bool is_same_read_alone(const struct catalog *catalog, PGconn *connection,
                               const struct transition *transition, struct error *error)
{
    struct catalog *tree =
        catalog_load_tree((struct pg_conn *)connection, transition->table_oid, error);
    if (!tree)
        return false;
    struct catalog *with = catalog_with_tree(catalog, tree, transition->table_oid);
    bool is_same = catalog_count(tree) > 0 && catalog_server(tree) == catalog_server(catalog) &&
                   catalog_fingerprint(with) == catalog_fingerprint(catalog);
    catalog_put(with);
    catalog_put(tree);
    return is_same ||
           error_set(error, "XX000", "table \"%s\" read alone differs", transition->table);
}

static bool load_world(struct world *world, PGconn *connection, PGconn *before, char **arguments,
                       struct error *error)
{
    size_t count;
    struct snapshot_transition at[SNAPSHOT_TRANSITIONS_MAX] = {0};
    struct transition **applied = parse_and_bind(arguments[2], before, &count, error);
    struct transition **transitions = applied ? parse_file(arguments[2], &count, error) : NULL;
    bool done = transitions && place_all(at, applied, count, arguments[3], arguments[4], error);
    for (size_t i = 0; done && i < count; i++) {
        fit_one(applied[i], before);
        keep_of_apply(transitions[i], applied[i], at[i].stage);
        at[i].transition = transitions[i];
        done = bind_one(transitions[i], connection, at[i].stage, error);
    }
    if (done) {
        world->catalog = catalog_load((struct pg_conn *)connection, error);
        done = world->catalog != NULL;
    }
    for (size_t i = 0; done && i < count; i++)
        done = is_same_read_alone(world->catalog, connection, transitions[i], error);
    if (done) {
        world->snapshot = snapshot_new(1, world->catalog, at, count);
        world->resolution = load_resolution(connection);
    }
    put_all(applied, count);
    put_all(transitions, count);
    return done;
}

static void open_world(char **arguments)
{
    struct error error;
    if (world_count == WORLDS_MAX) {
        answer_error("open", "too many databases are open");
        return;
    }
    PGconn *connection = connect_to(arguments[0]);
    PGconn *before = connection ? connect_to(arguments[1]) : NULL;
    if (before && !load_world(&worlds[world_count], connection, before, arguments, &error)) {
        answer_error(arguments[2], error.message);
    } else if (before) {
        struct text json;
        text_init(&json, TEXT_UNBOUNDED);
        text_add_format(&json, "{\"world\": %zu}", world_count++);
        answer(&json);
    }
    PQfinish(before);
    PQfinish(connection);
}

/* ---------------------------------------------------------------- rewrite */

/* What the session sends around an Execute of a staged COPY, and which part is the COPY. */
static void add_stagings(struct text *json, const struct rewrite *rewrite)
{
    text_add_format(json, ", \"statements\": %zu, \"stagings\": [", rewrite->statement_count);
    for (size_t i = 0; i < rewrite->staging_count; i++) {
        const struct rewrite_staging *staging = &rewrite->stagings[i];
        text_add_format(json, "%s{\"statement\": %u, \"start\": %u, \"end\": %u", i ? ", " : "",
                        staging->statement, staging->copy_start, staging->copy_end);
        add_member(json, "create", staging->create);
        add_member(json, "defaults", staging->defaults);
        add_member(json, "insert", staging->insert);
        add_member(json, "drop", staging->drop);
        text_add_char(json, '}');
    }
    text_add_char(json, ']');
}

static void add_rewrite(struct text *json, const struct rewrite *rewrite)
{
    static const char *const outcomes[] = {"untouched", "changed", "refused", "needs_resolution"};
    static const struct error no_error;
    const struct error *error = rewrite->error ? rewrite->error : &no_error;
    text_add_format(json, "{\"outcome\": \"%s\", \"text\": ", outcomes[rewrite->outcome]);
    text_add_json_string(json, rewrite->text.data);
    text_add_format(json, ", \"sqlstate\": \"%s\", \"position\": %d", error->sqlstate,
                    error->position);
    add_member(json, "message", error->message);
    add_member(json, "hint", error->hint);
    add_stagings(json, rewrite);
    text_add_string(json, ", \"results\": [");
    for (size_t i = 0; i < rewrite->result_count; i++)
        text_add_format(json, "%s[%u, %u, %d]", i ? ", " : "", rewrite->results[i].column,
                        rewrite->results[i].table_oid, rewrite->results[i].attnum);
    text_add_format(json, "], \"touched\": %llu}", (unsigned long long)rewrite->touched);
}

static struct resolution *resolve(const struct world *world, char *schemas, char *temporaries)
{
    const char *schema[LIST_MAX], *temporary[LIST_MAX];
    if (!*schemas)
        return resolution_get(world->resolution);
    size_t schema_count = cut_list(schemas, schema);
    size_t temporary_count = cut_list(temporaries, temporary);
    return resolution_intern(resolutions, schema, schema_count, temporary, temporary_count);
}

static void rewrite(char **arguments)
{
    size_t number = strtoul(arguments[0], NULL, 10);
    const char *shapes[LIST_MAX];
    size_t shape_count = cut_list(arguments[1], shapes);
    if (number >= world_count) {
        answer_error("rewrite", "no such world");
        return;
    }
    const struct world *world = &worlds[number];
    struct rewrite_context context = {
        .snapshot = world->snapshot,
        .resolution = resolve(world, arguments[3], arguments[4]),
        .standard_conforming_strings = strcmp(arguments[2], "off") != 0,
        .encoding_is_safe = true,
    };
    for (size_t i = 0; i < world->snapshot->transition_count; i++)
        if (strcmp(list_item(shapes, shape_count, i), "new") == 0)
            context.new_shapes |= UINT64_C(1) << i;
    rewrite_put(last);
    free(last_sql);
    last_sql = memory_string(arguments[5]);
    last = rewrite_text(&context, slice_of(last_sql));
    resolution_put(resolutions, (struct resolution *)context.resolution);
    struct text json;
    text_init(&json, TEXT_UNBOUNDED);
    add_rewrite(&json, last);
    answer(&json);
}

static void position(char **arguments)
{
    if (!last) {
        answer_error("position", "nothing was rewritten yet");
        return;
    }
    int sent = (int)strtol(arguments[0], NULL, 10);
    bool changed = last->outcome == REWRITE_CHANGED;
    struct text json;
    text_init(&json, TEXT_UNBOUNDED);
    text_add_format(&json, "{\"position\": %d}",
                    changed ? rewrite_map_position(last, slice_of(last_sql), sent) : sent);
    answer(&json);
}

/* ---------------------------------------------------------------- requests */

enum { ARGUMENTS_MAX = 6 };

static const struct verb {
    const char *name;
    size_t argument_count;
    void (*run)(char **arguments);
} verbs[] = {
    {"describe", 2, describe},
    {"open", 5, open_world},
    {"rewrite", 6, rewrite},
    {"position", 1, position},
};

static char *read_field(void)
{
    char *field = NULL;
    size_t size = 0;
    if (getdelim(&field, &size, '\0', stdin) >= 0)
        return field;
    free(field);
    return NULL;
}

static bool serve(const char *name)
{
    const struct verb *verb = NULL;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0)
            verb = &verbs[i];
    if (!verb)
        return false;
    char *arguments[ARGUMENTS_MAX] = {0};
    bool complete = true;
    for (size_t i = 0; complete && i < verb->argument_count; i++)
        complete = (arguments[i] = read_field()) != NULL;
    if (complete)
        verb->run(arguments);
    for (size_t i = 0; i < verb->argument_count; i++)
        free(arguments[i]);
    return complete;
}

static void release_all(void)
{
    rewrite_put(last);
    free(last_sql);
    for (size_t i = 0; i < world_count; i++) {
        resolution_put(resolutions, worlds[i].resolution);
        snapshot_put(worlds[i].snapshot);
        catalog_put(worlds[i].catalog);
    }
    resolution_set_free(resolutions);
}

int main(void)
{
    resolutions = resolution_set_new();
    bool understood = true;
    char *name;
    while (understood && (name = read_field())) {
        understood = serve(name);
        if (!understood)
            fprintf(stderr, "rewrite_tool: a request that is none: %s\n", name);
        free(name);
    }
    release_all();
    return understood ? 0 : 2;
}
