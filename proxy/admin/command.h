/* Commands of the console: a table of pattern, function and help; and statements that match it. */
#ifndef SEGUE_PROXY_ADMIN_COMMAND_H
#define SEGUE_PROXY_ADMIN_COMMAND_H

#include "access.h"
#include "result.h"
#include "token.h"

#include "segue/change/change.h"

/* What the placeholders of a pattern stood for. Strings live as long as the statement's arena. */
struct arguments {
    const char *database; /* NULL: not said */
    const char *transition;
    const char *text; /* of a definition */
    const char *sql;
    const char *file; /* what errors call the text; NULL: not said */
    const char *word;
    enum shape shape;
    enum phase phase;
    bool has_shape, has_phase;
    bool option; /* an optional word was there: [FORCE], [NOWAIT] */
};

/* What RESTART calls: console_on_restart. */
struct restart {
    bool (*run)(void *context, int *pid, struct error *error);
    void *context;
};

/* One run of a command. Functions may be on a thread of their own, and may block there. */
struct call {
    struct fleet *fleet;
    struct arena *arena; /* for the length of the call */
    const char *user;
    const char *who; /* for the audit log: user@address */
    struct arguments arguments;
    struct progress progress;
    struct access *access; /* what RELOAD reads again */
    const struct restart *restart;
};

/* Types of the columns that commands answer with. */
enum { OID_BOOL = 16, OID_INT8 = 20, OID_TEXT = 25, OID_FLOAT8 = 701 };

enum command_effect {
    COMMAND_NO_EFFECT,
    COMMAND_BEGINS,    /* a transaction block, in name only: see README.md */
    COMMAND_ENDS,      /* it */
    COMMAND_RESTARTS,  /* the process, once the answer is on its way */
    COMMAND_SHUTS_DOWN /* likewise */
};

struct command {
    /*
     * Words in capitals stand for themselves in any case; [..] may be left out; small letters are
     * placeholders: transition, database, phase, shape, client, word, value, rest (anything up to
     * the end); a word in single quotes is a string constant: 'file' the name of a text, others the
     * text.
     */
    const char *pattern;
    const char *tag; /* of CommandComplete */
    enum role needs; /* ROLE_VIEWER only where it changes nothing at all */
    bool (*run)(struct call *call, struct result *result, struct error *error);
    const struct wire_column *columns; /* NULL with a count of 1: named by the statement */
    size_t column_count;               /* 0: answers no rows */
    bool blocks;                       /* runs on a thread of its own */
    enum command_effect effect;
    const char *help; /* NULL: only there to be polite to drivers */
};

extern const struct command commands[];
extern const size_t command_count;

struct statement {
    const struct command *command; /* NULL: empty, nothing but blanks */
    struct arguments arguments;
    struct wire_column named; /* the column of a command whose columns are NULL */
    struct slice source;      /* its own part of the text */
};
const struct wire_column *statement_columns(const struct statement *statement);

/*
 * Reads every command of a text. False with `error` where one is not known: then none of them is to
 * be run. Memory comes from the arena.
 */
bool statements_read(struct arena *arena, struct slice text, struct statement **statements,
                     size_t *count, struct error *error) MUST_CHECK;

/* ---- the functions in the table, by file ---- */
/* show.c */
bool show_transitions(struct call *call, struct result *result, struct error *error);
bool show_clients(struct call *call, struct result *result, struct error *error);
bool show_statements(struct call *call, struct result *result, struct error *error);
bool show_fleet(struct call *call, struct result *result, struct error *error);
bool show_backfills(struct call *call, struct result *result, struct error *error);
bool show_stats(struct call *call, struct result *result, struct error *error);
bool show_config(struct call *call, struct result *result, struct error *error);
bool show_version(struct call *call, struct result *result, struct error *error);
bool show_help(struct call *call, struct result *result, struct error *error);
/* act.c */
bool act_apply(struct call *call, struct result *result, struct error *error);
bool act_expand(struct call *call, struct result *result, struct error *error);
bool act_advance(struct call *call, struct result *result, struct error *error);
bool act_revert(struct call *call, struct result *result, struct error *error);
bool act_contract(struct call *call, struct result *result, struct error *error);
bool act_retire(struct call *call, struct result *result, struct error *error);
bool act_verify(struct call *call, struct result *result, struct error *error);
bool act_backfill_start(struct call *call, struct result *result, struct error *error);
bool act_backfill_pause(struct call *call, struct result *result, struct error *error);
bool act_backfill_resume(struct call *call, struct result *result, struct error *error);
bool act_backfill_cancel(struct call *call, struct result *result, struct error *error);
bool act_plan(struct call *call, struct result *result, struct error *error);
bool act_check(struct call *call, struct result *result, struct error *error);
bool act_pause(struct call *call, struct result *result, struct error *error);
bool act_resume(struct call *call, struct result *result, struct error *error);
bool act_kill_client(struct call *call, struct result *result, struct error *error);
bool act_restart(struct call *call, struct result *result, struct error *error);
bool act_shutdown(struct call *call, struct result *result, struct error *error);
/* reload.c */
bool reload_everything(struct call *call, struct result *result, struct error *error);
/* preview.c */
bool preview_rewrite(struct call *call, struct result *result, struct error *error);
/* polite.c */
bool polite_nothing(struct call *call, struct result *result, struct error *error);
bool polite_set(struct call *call, struct result *result, struct error *error);
bool polite_show(struct call *call, struct result *result, struct error *error);
bool polite_value(struct call *call, struct result *result, struct error *error);
bool polite_version(struct call *call, struct result *result, struct error *error);
bool polite_database(struct call *call, struct result *result, struct error *error);
bool polite_schema(struct call *call, struct result *result, struct error *error);
bool polite_user(struct call *call, struct result *result, struct error *error);
bool polite_recovery(struct call *call, struct result *result, struct error *error);
bool polite_isolation(struct call *call, struct result *result, struct error *error);
/* Parameters that a server reports at start, and SHOW knows. Visits those that are reported. */
void polite_each_reported(void (*visit)(void *context, const char *name, const char *value),
                          void *context);

/* ---- finding what a command is about (find.c) ---- */
/* The transition named, over all databases; `*database` is its index. A reference on the snapshot
 * is the caller's. NULL with `error` where it is not there, or more than once. */
struct snapshot *find_transition(struct call *call, size_t *database, size_t *index,
                                 struct error *error);
/* The database named by DATABASE, or the only one. */
bool find_database(struct call *call, size_t *database, struct error *error) MUST_CHECK;

#endif
