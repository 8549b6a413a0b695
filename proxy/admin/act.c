/*
 * Commands that change something. The work is done in the room `change`; here is whose it is and
 * how its outcome is told.
 */
#include "command.h"

#include "segue/base/memory.h"

#include <errno.h>
#include <stdlib.h>

/* The name that errors give to a text which came by the console and not from a file. */
static const char definition_name[] = "definition";

/* ------------------------------------------------------------ changes of a transition */

enum { SUMMARY_MAX = 1024 * 1024 };

/* A change of the transition that the command names: fills `change`. */
static bool begin_change(struct call *call, struct change *change, struct error *error)
{
    size_t database, index;
    struct snapshot *snapshot = find_transition(call, &database, &index, error);
    if (!snapshot)
        return false;
    snapshot_put(snapshot);
    *change = (struct change){call->fleet, database, call->who, call->progress};
    return true;
}

typedef bool change_function(struct change *change, const char *transition, struct text *summary,
                             struct error *error);

static bool run_on(struct call *call, struct change *change, struct result *result,
                   struct error *error, change_function *function)
{
    struct text summary;
    text_init(&summary, SUMMARY_MAX);
    bool fine = function(change, call->arguments.transition, &summary, error);
    if (fine)
        RESULT_ADD(result, summary.data);
    text_release(&summary);
    return fine;
}

static bool run_change(struct call *call, struct result *result, struct error *error,
                       change_function *function)
{
    struct change change;
    return begin_change(call, &change, error) && run_on(call, &change, result, error, function);
}

bool act_expand(struct call *call, struct result *result, struct error *error)
{
    return run_change(call, result, error, change_expand);
}

bool act_contract(struct call *call, struct result *result, struct error *error)
{
    return run_change(call, result, error, change_contract);
}

bool act_verify(struct call *call, struct result *result, struct error *error)
{
    return run_change(call, result, error, change_verify);
}

bool act_backfill_pause(struct call *call, struct result *result, struct error *error)
{
    return run_change(call, result, error, backfill_pause);
}

bool act_backfill_cancel(struct call *call, struct result *result, struct error *error)
{
    return run_change(call, result, error, backfill_cancel);
}

static bool retire_by_force(struct change *change, const char *transition, struct text *summary,
                            struct error *error)
{
    return change_retire(change, transition, true, summary, error);
}

static bool retire_unused(struct change *change, const char *transition, struct text *summary,
                          struct error *error)
{
    return change_retire(change, transition, false, summary, error);
}

bool act_retire(struct call *call, struct result *result, struct error *error)
{
    change_function *function = call->arguments.option ? retire_by_force : retire_unused;
    struct change change = {.fleet = call->fleet, .who = call->who, .progress = call->progress};
    struct error unwanted;
    /* One whose table was dropped is in no snapshot: only the store knows it still. */
    if (!begin_change(call, &change, error) && (strcmp(error->sqlstate, "42704") != 0 ||
                                                !find_database(call, &change.database, &unwanted)))
        return false;
    return run_on(call, &change, result, error, function);
}

typedef bool backfill_function(struct change *change, const char *transition, bool wait,
                               struct text *summary, struct error *error);

static bool run_backfill(struct call *call, struct result *result, struct error *error,
                         backfill_function *function)
{
    struct change change;
    if (!begin_change(call, &change, error))
        return false;
    struct text summary;
    text_init(&summary, SUMMARY_MAX);
    bool wait = !call->arguments.option;
    bool fine = function(&change, call->arguments.transition, wait, &summary, error);
    if (fine)
        RESULT_ADD(result, summary.data);
    text_release(&summary);
    return fine;
}

bool act_backfill_start(struct call *call, struct result *result, struct error *error)
{
    return run_backfill(call, result, error, backfill_start);
}

bool act_backfill_resume(struct call *call, struct result *result, struct error *error)
{
    return run_backfill(call, result, error, backfill_resume);
}

typedef bool move_function(struct change *change, const char *transition, const enum phase *to,
                           struct text *summary, struct error *error);

static bool run_move(struct call *call, struct result *result, struct error *error,
                     move_function *function)
{
    struct change change;
    if (!begin_change(call, &change, error))
        return false;
    struct text summary;
    text_init(&summary, SUMMARY_MAX);
    const enum phase *to = call->arguments.has_phase ? &call->arguments.phase : NULL;
    bool fine = function(&change, call->arguments.transition, to, &summary, error);
    if (fine)
        RESULT_ADD(result, summary.data);
    text_release(&summary);
    return fine;
}

bool act_advance(struct call *call, struct result *result, struct error *error)
{
    return run_move(call, result, error, change_advance);
}

bool act_revert(struct call *call, struct result *result, struct error *error)
{
    return run_move(call, result, error, change_revert);
}

/* ------------------------------------------------------------ definitions */

typedef bool definition_function(struct change *change, const char *definition,
                                 const char *file_name, struct text *out, struct error *error);

static bool run_definition(struct call *call, struct text *out, struct error *error,
                           definition_function *function)
{
    struct change change = {.fleet = call->fleet, .who = call->who, .progress = call->progress};
    return find_database(call, &change.database, error) &&
           function(&change, call->arguments.text,
                    call->arguments.file ? call->arguments.file : definition_name, out, error);
}

bool act_apply(struct call *call, struct result *result, struct error *error)
{
    struct text summary;
    text_init(&summary, SUMMARY_MAX);
    bool fine = run_definition(call, &summary, error, change_apply);
    if (fine)
        RESULT_ADD(result, summary.data);
    text_release(&summary);
    return fine;
}

/* CHECK and PLAN: of a definition where one is given, else of an applied transition. */
static bool report(struct call *call, struct text *lines, struct error *error,
                   definition_function *of_definition, change_function *of_transition)
{
    struct change change;
    if (call->arguments.text)
        return run_definition(call, lines, error, of_definition);
    return begin_change(call, &change, error) &&
           of_transition(&change, call->arguments.transition, lines, error);
}

bool act_plan(struct call *call, struct result *result, struct error *error)
{
    struct text lines;
    text_init(&lines, SUMMARY_MAX);
    bool fine = report(call, &lines, error, change_plan_definition, change_plan);
    char *rest = lines.data, *line;
    while (fine && (line = strsep(&rest, "\n")))
        if (*line || rest)
            RESULT_ADD(result, line);
    text_release(&lines);
    return fine;
}

bool act_check(struct call *call, struct result *result, struct error *error)
{
    struct text lines;
    text_init(&lines, SUMMARY_MAX);
    bool fine = report(call, &lines, error, change_check_definition, change_check);
    char *rest = lines.data, *line;
    while (fine && (line = strsep(&rest, "\n")))
        if (*line || rest)
            RESULT_ADD(result, line, strncmp(line, "- ", 2) == 0 ? "t" : "f");
    text_release(&lines);
    return fine;
}

/* ------------------------------------------------------------ the process */

bool act_pause(struct call *call, struct result *result, struct error *error)
{
    size_t held = 0;
    for (size_t i = 0; i < fleet_database_count(call->fleet); i++) {
        if (fleet_is_paused(call->fleet, i)) {
            progress_notice(&call->progress, "database \"%s\" is paused already",
                            fleet_database_name(call->fleet, i));
            continue;
        }
        if (!fleet_pause(call->fleet, i, error)) {
            if (held > 0)
                error_detail(error, "%zu databases before \"%s\" stay paused; RESUME lets them go.",
                             held, fleet_database_name(call->fleet, i));
            return false;
        }
        held++;
    }
    RESULT_ADD(result, arena_format(call->arena,
                                    "new transactions on tables in transition are held in %zu "
                                    "database%s until RESUME",
                                    held, held == 1 ? "" : "s"));
    return true;
}

bool act_resume(struct call *call, struct result *result, struct error *error)
{
    (void)error;
    size_t resumed = 0;
    for (size_t i = 0; i < fleet_database_count(call->fleet); i++)
        resumed += fleet_resume(call->fleet, i);
    RESULT_ADD(result, resumed > 0 ? arena_format(call->arena, "%zu database%s resumed", resumed,
                                                  resumed == 1 ? "" : "s")
                                   : "nothing was paused");
    return true;
}

bool act_kill_client(struct call *call, struct result *result, struct error *error)
{
    const char *written = call->arguments.text;
    char *end;
    errno = 0;
    unsigned long long id = strtoull(written, &end, 10);
    bool is_id = *written >= '0' && *written <= '9' && !*end && errno == 0;
    for (size_t i = 0; is_id && id && i < fleet_worker_count(call->fleet); i++) {
        if (worker_kill(fleet_worker(call->fleet, i), id)) {
            RESULT_ADD(result, arena_format(call->arena, "client %llu was ended", id));
            return true;
        }
    }
    error_set(error, is_id ? "42704" : "22P02", is_id ? "there is no client %s" : "\"%s\" is no id",
              written);
    error_hint(error, "SHOW CLIENTS lists them with their ids.");
    return false;
}

bool act_restart(struct call *call, struct result *result, struct error *error)
{
    int pid;
    if (!call->restart->run(call->restart->context, &pid, error))
        return false;
    RESULT_ADD(result, arena_format(call->arena,
                                    "process %d takes over: sessions of this one end at their next "
                                    "transaction boundary",
                                    pid));
    return true;
}

bool act_shutdown(struct call *call, struct result *result, struct error *error)
{
    (void)call;
    (void)error;
    RESULT_ADD(result, "ending: sessions end at their next transaction boundary");
    return true;
}
