/*
 * RELOAD: segue.conf is read again, then each database's transitions and catalog. Nothing changes
 * before the whole file, and every certificate that it names, was found to be right. A certificate
 * may be another one in the same file, so they are read even where no setting changed.
 */
#include "command.h"

#include "segue/base/log.h"
#include "segue/base/memory.h"
#include "segue/session/encryption.h"

#include <pthread.h>

/* One at a time: each compares what it read with what is in force. */
static pthread_mutex_t reloading = PTHREAD_MUTEX_INITIALIZER;

struct report {
    struct call *call;
    struct result *result;
    struct text lines; /* of the log, once they are true */
    size_t changed;
};

static const char *or_nothing(const char *value)
{
    return *value ? value : "nothing";
}

static void report_change(void *context, const struct settings_change *change)
{
    struct report *report = context;
    const char *when = "";
    switch (change->applies) {
    case APPLIES_AT_ONCE:
        break;
    case APPLIES_TO_NEW_CONNECTIONS:
        when = ", for new connections";
        break;
    case APPLIES_AT_RESTART:
        when = ", waits for a restart";
        break;
    }
    const char *line = arena_format(report->call->arena, "%s: %s -> %s%s", change->name,
                                    or_nothing(change->before), or_nothing(change->after), when);
    RESULT_ADD(report->result, line);
    text_add_format(&report->lines, "%s\n", line);
    report->changed++;
}

static void log_changes(struct report *report)
{
    char *rest = report->lines.data, *line;
    while ((line = strsep(&rest, "\n")))
        if (*line)
            log_info("reload", "%s", line);
}

/* What is new beside what waits for a restart. */
static bool fits_what_stays(const struct settings *next, const char *path, struct error *error)
{
    if (settings_fit(next, path, error))
        return true;
    error_detail(error, "So it would be until a restart, for which another change waits.");
    return false;
}

/* `running` is given back. */
static bool replace(struct report *report, struct settings *running, struct error *error)
{
    struct call *call = report->call;
    if (!running->path)
        return error_set(error, "55000", "this process was not started with a configuration file");
    struct settings *next = settings_load(running->path, error);
    if (!next)
        return false;
    struct encryption encryption;
    bool loaded = encryption_load(&encryption, next, error);
    bool done = loaded && access_check(next, error);
    if (done) {
        settings_replace(next, running, report_change, report);
        done =
            fits_what_stays(next, running->path, error) && access_load(call->access, next, error);
    }
    if (done) {
        log_changes(report);
        settings_apply_to_log(next);
        fleet_configure(call->fleet, next, &encryption);
    }
    if (loaded)
        encryption_release(&encryption);
    settings_put(next);
    return done;
}

static bool reload_settings(struct call *call, struct result *result, struct error *error)
{
    struct report report = {.call = call, .result = result};
    text_init(&report.lines, TEXT_UNBOUNDED);
    pthread_mutex_lock(&reloading);
    struct settings *running = fleet_settings(call->fleet);
    bool done = replace(&report, running, error);
    if (!done) {
        log_error("reload", "%s: nothing was changed: %s %s %s", call->who, error->message,
                  error->detail, error->hint);
    } else if (report.changed == 0) {
        RESULT_ADD(result, arena_format(call->arena, "%s says what it said before", running->path));
        log_info("reload", "%s: %s says what it said before", call->who, running->path);
    } else {
        log_info("reload", "%s: %zu settings of %s changed", call->who, report.changed,
                 running->path);
    }
    settings_put(running);
    text_release(&report.lines);
    pthread_mutex_unlock(&reloading);
    return done;
}

static bool reload_database(struct call *call, size_t database, struct error *error)
{
    if (!fleet_try_lock(call->fleet, database, "RELOAD", error))
        return false;
    bool loaded = fleet_reload(call->fleet, database, error);
    fleet_unlock(call->fleet, database);
    return loaded;
}

bool reload_everything(struct call *call, struct result *result, struct error *error)
{
    if (!reload_settings(call, result, error))
        return false;
    size_t count = fleet_database_count(call->fleet);
    for (size_t i = 0; i < count; i++) {
        if (reload_database(call, i, error))
            continue;
        log_error("reload", "database \"%s\": %s", fleet_database_name(call->fleet, i),
                  error->message);
        if (!error->detail[0])
            error_detail(error, "segue.conf was read, and is in force; the log says what changed.");
        return false;
    }
    RESULT_ADD(result, arena_format(call->arena, "%zu database%s loaded again", count,
                                    count == 1 ? "" : "s"));
    return true;
}
