/* Which database and which transition a command is about. */
#include "command.h"

#include "segue/base/nearest.h"

static bool find_named_database(struct call *call, size_t *database, struct error *error)
{
    struct nearest nearest;
    nearest_init(&nearest, call->arguments.database);
    for (size_t i = 0; i < fleet_database_count(call->fleet); i++) {
        if (strcmp(fleet_database_name(call->fleet, i), call->arguments.database) == 0) {
            *database = i;
            return true;
        }
        nearest_offer(&nearest, fleet_database_name(call->fleet, i));
    }
    error_set(error, "3D000", "database \"%s\" is not in the configuration",
              call->arguments.database);
    if (nearest.best)
        error_hint(error, "Did you mean \"%s\"?", nearest.best);
    else
        error_hint(error, "Add: database \"%s\" { control_user = .. } to segue.conf.",
                   call->arguments.database);
    return false;
}

bool find_database(struct call *call, size_t *database, struct error *error)
{
    if (call->arguments.database)
        return find_named_database(call, database, error);
    *database = 0;
    if (fleet_database_count(call->fleet) == 1)
        return true;
    if (fleet_database_count(call->fleet) == 0) {
        error_set(error, "3D000", "no database is configured to have transitions");
        error_hint(error, "Add to segue.conf: database \"name\" { control_user = .. }");
        return false;
    }
    error_set(error, "42P09", "which of the %zu configured databases is meant",
              fleet_database_count(call->fleet));
    error_hint(error, "Say DATABASE name at the end, for example DATABASE %s.",
               fleet_database_name(call->fleet, 0));
    return false;
}

struct search {
    struct snapshot *found;
    size_t database, index, count;
    size_t unloaded; /* databases not looked into */
    struct nearest nearest;
};

static void search_database(struct call *call, size_t database, struct search *search)
{
    struct snapshot *snapshot = fleet_snapshot(call->fleet, database);
    search->unloaded += snapshot == NULL;
    for (size_t i = 0; snapshot && i < snapshot->transition_count; i++) {
        const char *name = snapshot->transitions[i].transition->name;
        if (strcmp(name, call->arguments.transition) != 0) {
            nearest_offer(&search->nearest, arena_string(call->arena, name));
            continue;
        }
        if (search->count++ == 0) {
            search->found = snapshot_get(snapshot);
            search->database = database;
            search->index = i;
        }
    }
    snapshot_put(snapshot);
}

static void tell_not_found(struct call *call, const struct search *search, struct error *error)
{
    struct fleet_status status = {0};
    for (size_t i = 0; search->unloaded > 0 && i < fleet_database_count(call->fleet); i++) {
        fleet_status(call->fleet, i, &status);
        if (status.state == FLEET_READY)
            continue;
        error_set(error, "57P03", "transition \"%s\" cannot be looked up in database \"%s\"",
                  call->arguments.transition, fleet_database_name(call->fleet, i));
        error_detail(error, "%s", status.error.message);
        error_hint(error, "%s", status.error.hint);
        return;
    }
    error_set(error, "42704", "transition \"%s\" does not exist", call->arguments.transition);
    if (search->nearest.best)
        error_hint(error, "Did you mean \"%s\"?", search->nearest.best);
    else
        error_hint(error, "SHOW TRANSITIONS lists those that are applied.");
}

struct snapshot *find_transition(struct call *call, size_t *database, size_t *index,
                                 struct error *error)
{
    struct search search = {0};
    nearest_init(&search.nearest, call->arguments.transition);
    size_t only;
    if (call->arguments.database) {
        if (!find_named_database(call, &only, error))
            return NULL;
        search_database(call, only, &search);
    } else
        for (size_t i = 0; i < fleet_database_count(call->fleet); i++)
            search_database(call, i, &search);
    if (search.count == 1) {
        *database = search.database;
        *index = search.index;
        return search.found;
    }
    if (search.count == 0)
        tell_not_found(call, &search, error);
    else {
        error_set(error, "42P09", "transition \"%s\" exists in %zu databases",
                  call->arguments.transition, search.count);
        error_hint(error, "Write database.%s.", call->arguments.transition);
    }
    snapshot_put(search.found);
    return NULL;
}
