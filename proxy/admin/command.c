/*
 * The table, and the matching of a statement's tokens against it. A pattern is matched word by word
 * without going back, which is all that commands need: an optional part is told by its first word.
 */
#include "command.h"

#include "segue/base/memory.h"
#include "segue/base/nearest.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

enum { OID_BOOL = 16, OID_INT8 = 20, OID_TEXT = 25, OID_FLOAT8 = 701 };

#define COLUMNS(array) .columns = (array), .column_count = sizeof(array) / sizeof(array)[0]

static const struct wire_column transition_columns[] = {
    {"database", OID_TEXT},    {"name", OID_TEXT},        {"table", OID_TEXT},
    {"phase", OID_TEXT},       {"stage", OID_TEXT},       {"held", OID_BOOL},
    {"lossless", OID_BOOL},    {"guard", OID_TEXT},       {"old_columns", OID_TEXT},
    {"new_columns", OID_TEXT}, {"old_clients", OID_INT8}, {"new_clients", OID_INT8}};
static const struct wire_column client_columns[] = {
    {"id", OID_INT8},          {"user", OID_TEXT},         {"database", OID_TEXT},
    {"application", OID_TEXT}, {"address", OID_TEXT},      {"shape", OID_TEXT},
    {"state", OID_TEXT},       {"pinned_epoch", OID_INT8}, {"connected", OID_TEXT},
    {"queries", OID_INT8},     {"server_pid", OID_INT8},   {"worker", OID_INT8}};
static const struct wire_column statement_column_list[] = {
    {"database", OID_TEXT},   {"transition", OID_TEXT}, {"shape", OID_TEXT},
    {"statements", OID_INT8}, {"last_used", OID_TEXT},  {"counted_since", OID_TEXT}};
static const struct wire_column fleet_columns[] = {
    {"database", OID_TEXT},      {"state", OID_TEXT},      {"epoch", OID_INT8},
    {"epoch_adopted", OID_INT8}, {"held_up_by", OID_INT8}, {"first_held_up_by", OID_TEXT},
    {"reason", OID_TEXT}};
static const struct wire_column backfill_columns[] = {
    {"database", OID_TEXT},          {"transition", OID_TEXT},  {"state", OID_TEXT},
    {"direction", OID_TEXT},         {"percent", OID_FLOAT8},   {"blocks_done", OID_INT8},
    {"blocks_total", OID_INT8},      {"rows_seen", OID_INT8},   {"rows_written", OID_INT8},
    {"rows_per_second", OID_FLOAT8}, {"eta_seconds", OID_INT8}, {"reason", OID_TEXT}};
static const struct wire_column stats_columns[] = {
    {"name", OID_TEXT}, {"total", OID_INT8}, {"description", OID_TEXT}};
static const struct wire_column config_columns[] = {{"name", OID_TEXT},
                                                    {"value", OID_TEXT},
                                                    {"default", OID_TEXT},
                                                    {"expected", OID_TEXT},
                                                    {"description", OID_TEXT}};
static const struct wire_column help_columns[] = {{"command", OID_TEXT}, {"does", OID_TEXT}};
static const struct wire_column rewrite_columns[] = {{"shape", OID_TEXT}, {"phase", OID_TEXT},
                                                     {"now", OID_BOOL},   {"outcome", OID_TEXT},
                                                     {"sql", OID_TEXT},   {"hint", OID_TEXT}};
static const struct wire_column result_columns[] = {{"result", OID_TEXT}};
static const struct wire_column plan_columns[] = {{"plan", OID_TEXT}};
static const struct wire_column check_columns[] = {{"check", OID_TEXT}, {"finding", OID_BOOL}};
static const struct wire_column version_columns[] = {{"version", OID_TEXT}};
static const struct wire_column database_columns[] = {{"current_database", OID_TEXT}};
static const struct wire_column schema_columns[] = {{"current_schema", OID_TEXT}};
static const struct wire_column user_columns[] = {{"current_user", OID_TEXT}};
static const struct wire_column recovery_columns[] = {{"pg_is_in_recovery", OID_BOOL}};
static const struct wire_column isolation_columns[] = {{"transaction_isolation", OID_TEXT}};

/* A command that takes its time and ends with one row that says what happened. */
#define ACTION .blocks = true, COLUMNS(result_columns)

const struct command commands[] = {
    {.pattern = "SHOW TRANSITIONS",
     .tag = "SHOW",
     .run = show_transitions,
     .blocks = true,
     COLUMNS(transition_columns),
     .help = "each transition, its phase and stage, and the clients of each shape"},
    {.pattern = "SHOW CLIENTS",
     .tag = "SHOW",
     .run = show_clients,
     .blocks = true,
     COLUMNS(client_columns),
     .help = "each client connection, its shape and state"},
    {.pattern = "SHOW STATEMENTS",
     .tag = "SHOW",
     .run = show_statements,
     COLUMNS(statement_column_list),
     .help = "how many statements touched each transition, by shape, and when last"},
    {.pattern = "SHOW FLEET",
     .tag = "SHOW",
     .run = show_fleet,
     .blocks = true,
     COLUMNS(fleet_columns),
     .help = "each database: its epoch, who has adopted it, and who holds it up"},
    {.pattern = "SHOW BACKFILLS",
     .tag = "SHOW",
     .run = show_backfills,
     .blocks = true,
     COLUMNS(backfill_columns),
     .help = "each backfill, its progress and what is left"},
    {.pattern = "SHOW STATS",
     .tag = "SHOW",
     .run = show_stats,
     COLUMNS(stats_columns),
     .help = "counters of this process since its start"},
    {.pattern = "SHOW CONFIG",
     .tag = "SHOW",
     .run = show_config,
     COLUMNS(config_columns),
     .help = "every setting, its value, default and meaning"},
    {.pattern = "SHOW VERSION",
     .tag = "SHOW",
     .run = show_version,
     COLUMNS(version_columns),
     .help = "the version of Segue"},
    {.pattern = "SHOW HELP",
     .tag = "SHOW",
     .run = show_help,
     COLUMNS(help_columns),
     .help = "this list"},
    {.pattern = "APPLY 'definition' [FROM 'file'] [DATABASE database]",
     .tag = "APPLY",
     .run = act_apply,
     ACTION,
     .help = "store a transition file's transitions; phase old, nothing is altered yet"},
    {.pattern = "CHECK 'definition' [FROM 'file'] [DATABASE database]",
     .tag = "CHECK",
     .run = act_check,
     .blocks = true,
     COLUMNS(check_columns),
     .help = "what a transition file will meet: dependents, values that do not convert"},
    {.pattern = "CHECK transition",
     .tag = "CHECK",
     .run = act_check,
     .blocks = true,
     COLUMNS(check_columns),
     .help = "the same for a transition that is applied"},
    {.pattern = "PLAN 'definition' [FROM 'file'] [DATABASE database]",
     .tag = "PLAN",
     .run = act_plan,
     .blocks = true,
     COLUMNS(plan_columns),
     .help = "the DDL and the steps of a transition file, executed by nobody"},
    {.pattern = "PLAN transition",
     .tag = "PLAN",
     .run = act_plan,
     .blocks = true,
     COLUMNS(plan_columns),
     .help = "the same for a transition that is applied"},
    {.pattern = "EXPAND transition",
     .tag = "EXPAND",
     .run = act_expand,
     ACTION,
     .help = "add the new columns and the guard to the table"},
    {.pattern = "ADVANCE transition [TO phase]",
     .tag = "ADVANCE",
     .run = act_advance,
     ACTION,
     .help = "one phase on, or on to this one: old, dual_old, dual_own, dual_new, new"},
    {.pattern = "REVERT transition [TO phase]",
     .tag = "REVERT",
     .run = act_revert,
     ACTION,
     .help = "one phase back, or back to this one"},
    {.pattern = "BACKFILL transition [NOWAIT]",
     .tag = "BACKFILL",
     .run = act_backfill_start,
     ACTION,
     .help = "as BACKFILL transition START"},
    {.pattern = "BACKFILL transition START [NOWAIT]",
     .tag = "BACKFILL",
     .run = act_backfill_start,
     ACTION,
     .help = "fill the columns that are not complete; waits for the end unless NOWAIT"},
    {.pattern = "BACKFILL transition PAUSE",
     .tag = "BACKFILL",
     .run = act_backfill_pause,
     ACTION,
     .help = "stop filling after the rows at hand; RESUME goes on from there"},
    {.pattern = "BACKFILL transition RESUME [NOWAIT]",
     .tag = "BACKFILL",
     .run = act_backfill_resume,
     ACTION,
     .help = "go on where PAUSE, a failure or a restart left it"},
    {.pattern = "BACKFILL transition CANCEL",
     .tag = "BACKFILL",
     .run = act_backfill_cancel,
     ACTION,
     .help = "give the backfill up; START begins anew"},
    {.pattern = "VERIFY transition",
     .tag = "VERIFY",
     .run = act_verify,
     ACTION,
     .help = "read every row; say how many are not in parity, and which first"},
    {.pattern = "CONTRACT transition",
     .tag = "CONTRACT",
     .run = act_contract,
     ACTION,
     .help = "in phase new: keep the old values aside, drop the old columns"},
    {.pattern = "RETIRE transition [FORCE]",
     .tag = "RETIRE",
     .run = act_retire,
     ACTION,
     .help = "forget the transition once no old-shape client uses the table"},
    {.pattern = "REWRITE FOR shape [IN phase] 'sql' [DATABASE database]",
     .tag = "REWRITE",
     .run = preview_rewrite,
     .blocks = true,
     COLUMNS(rewrite_columns),
     .help = "what would be sent for this text, in this phase or in each"},
    {.pattern = "PAUSE",
     .tag = "PAUSE",
     .run = act_pause,
     ACTION,
     .help = "hold new transactions on every table in transition"},
    {.pattern = "RESUME", .tag = "RESUME", .run = act_resume, ACTION, .help = "let them go on"},
    {.pattern = "RELOAD",
     .tag = "RELOAD",
     .run = act_reload,
     ACTION,
     .help = "read transitions and catalog of each database again"},
    {.pattern = "SHUTDOWN",
     .tag = "SHUTDOWN",
     .run = act_shutdown,
     COLUMNS(result_columns),
     .effect = COMMAND_SHUTS_DOWN,
     .help = "end the process: sessions end at their next transaction boundary"},

    /* What drivers and tools say of their own accord. */
    {.pattern = "SHOW TRANSACTION ISOLATION LEVEL",
     .tag = "SHOW",
     .run = polite_isolation,
     COLUMNS(isolation_columns)},
    {.pattern = "SHOW word", .tag = "SHOW", .run = polite_show, .column_count = 1},
    {.pattern = "SET rest", .tag = "SET", .run = polite_set},
    {.pattern = "RESET rest", .tag = "RESET", .run = polite_nothing},
    {.pattern = "BEGIN rest", .tag = "BEGIN", .run = polite_nothing, .effect = COMMAND_BEGINS},
    {.pattern = "START TRANSACTION rest",
     .tag = "START TRANSACTION",
     .run = polite_nothing,
     .effect = COMMAND_BEGINS},
    {.pattern = "COMMIT rest", .tag = "COMMIT", .run = polite_nothing, .effect = COMMAND_ENDS},
    {.pattern = "END rest", .tag = "COMMIT", .run = polite_nothing, .effect = COMMAND_ENDS},
    {.pattern = "ROLLBACK rest", .tag = "ROLLBACK", .run = polite_nothing, .effect = COMMAND_ENDS},
    {.pattern = "ABORT rest", .tag = "ROLLBACK", .run = polite_nothing, .effect = COMMAND_ENDS},
    {.pattern = "DISCARD rest", .tag = "DISCARD ALL", .run = polite_nothing},
    {.pattern = "DEALLOCATE rest", .tag = "DEALLOCATE ALL", .run = polite_nothing},
    {.pattern = "SELECT VERSION ( )",
     .tag = "SELECT 1",
     .run = polite_version,
     COLUMNS(version_columns)},
    {.pattern = "SELECT PG_CATALOG . VERSION ( )",
     .tag = "SELECT 1",
     .run = polite_version,
     COLUMNS(version_columns)},
    {.pattern = "SELECT CURRENT_DATABASE ( )",
     .tag = "SELECT 1",
     .run = polite_database,
     COLUMNS(database_columns)},
    {.pattern = "SELECT CURRENT_SCHEMA ( )",
     .tag = "SELECT 1",
     .run = polite_schema,
     COLUMNS(schema_columns)},
    {.pattern = "SELECT CURRENT_USER",
     .tag = "SELECT 1",
     .run = polite_user,
     COLUMNS(user_columns)},
    {.pattern = "SELECT PG_IS_IN_RECOVERY ( )",
     .tag = "SELECT 1",
     .run = polite_recovery,
     COLUMNS(recovery_columns)},
    {.pattern = "SELECT value [AS word]",
     .tag = "SELECT 1",
     .run = polite_value,
     .column_count = 1},
};
const size_t command_count = sizeof commands / sizeof commands[0];

const struct wire_column *statement_columns(const struct statement *statement)
{
    return statement->command->columns ? statement->command->columns : &statement->named;
}

/* ------------------------------------------------------------ matching */

struct match {
    struct arena *arena;
    const struct token *tokens; /* of one statement */
    size_t count;
    size_t at; /* how far it went */
    struct arguments arguments;
    enum token_kind value_kind;
};

/* The next word of a pattern; its length, 0 at the end. */
static size_t next_word(const char **pattern)
{
    *pattern += strspn(*pattern, " ");
    return strcspn(*pattern, " ");
}

static bool token_is(const struct token *token, const char *word, size_t length)
{
    return (token->kind == TOKEN_WORD || token->kind == TOKEN_SYMBOL) &&
           strlen(token->text) == length && strncasecmp(token->text, word, length) == 0;
}

static bool is_name(const struct token *token)
{
    return token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED;
}

static const struct token *current(const struct match *match)
{
    static const struct token end = {TOKEN_END, "", 0};
    return match->at < match->count ? &match->tokens[match->at] : &end;
}

static bool match_name(struct match *match, const char **name)
{
    if (!is_name(current(match)))
        return false;
    *name = match->tokens[match->at++].text;
    return true;
}

/* name, or database.name */
static bool match_transition(struct match *match)
{
    if (!match_name(match, &match->arguments.transition))
        return false;
    if (!token_is(current(match), ".", 1))
        return true;
    match->at++;
    match->arguments.database = match->arguments.transition;
    return match_name(match, &match->arguments.transition);
}

static bool match_string(struct match *match, const char **string)
{
    if (current(match)->kind != TOKEN_STRING)
        return false;
    *string = match->tokens[match->at++].text;
    return true;
}

static bool match_value(struct match *match)
{
    match->value_kind = current(match)->kind;
    if (match->value_kind != TOKEN_NUMBER && match->value_kind != TOKEN_STRING)
        return false;
    match->arguments.text = match->tokens[match->at++].text;
    return true;
}

static bool match_phase(struct match *match)
{
    char name[32];
    snprintf(name, sizeof name, "%s", current(match)->text);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    match->arguments.has_phase = phase_parse(name, &match->arguments.phase);
    match->at += match->arguments.has_phase;
    return match->arguments.has_phase;
}

static bool match_shape(struct match *match)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        if (strcasecmp(current(match)->text, shape_name((enum shape)shape)) == 0) {
            match->arguments.shape = (enum shape)shape;
            match->at++;
            return true;
        }
    }
    return false;
}

/* Everything that is left, as one text with single blanks; nothing is fine. */
static bool match_rest(struct match *match)
{
    struct text rest;
    text_init(&rest, TEXT_UNBOUNDED);
    for (; match->at < match->count; match->at++)
        text_add_format(&rest, "%s%s", rest.length ? " " : "", match->tokens[match->at].text);
    match->arguments.text = arena_string(match->arena, rest.data);
    text_release(&rest);
    return true;
}

static bool match_word(struct match *match, const char *word, size_t length)
{
    static const struct {
        const char *placeholder;
        bool (*match)(struct match *match);
    } placeholders[] = {{"transition", match_transition},
                        {"phase", match_phase},
                        {"shape", match_shape},
                        {"rest", match_rest},
                        {"value", match_value}};
    if (word[0] == '\'')
        return match_string(match, strncmp(word, "'file'", length) == 0 ? &match->arguments.file
                                                                        : &match->arguments.text);
    if (!islower((unsigned char)word[0])) {
        bool same = token_is(current(match), word, length);
        match->at += same;
        return same;
    }
    for (size_t i = 0; i < sizeof placeholders / sizeof placeholders[0]; i++)
        if (strncmp(placeholders[i].placeholder, word, length) == 0 &&
            !placeholders[i].placeholder[length])
            return placeholders[i].match(match);
    return match_name(match, strncmp(word, "database", length) == 0 ? &match->arguments.database
                                                                    : &match->arguments.word);
}

/* "[TO phase]", from behind the bracket: skipped where its first word is not there. Moves past it.
 */
static bool match_optional(struct match *match, const char **pattern)
{
    const char *end = strchr(*pattern, ']');
    size_t length = strcspn(*pattern, " ]");
    bool there = match_word(match, *pattern, length);
    *pattern += length;
    bool only_word = *pattern == end;
    if (there && only_word)
        match->arguments.option = true;
    while (there && *pattern < end) {
        *pattern += strspn(*pattern, " ");
        length = strcspn(*pattern, " ]");
        if (!match_word(match, *pattern, length))
            return false;
        *pattern += length;
    }
    *pattern = end + 1;
    return true;
}

static bool match_pattern(struct match *match, const char *pattern)
{
    size_t length;
    while ((length = next_word(&pattern)) > 0) {
        if (*pattern == '[') {
            pattern++;
            if (!match_optional(match, &pattern))
                return false;
        } else {
            if (!match_word(match, pattern, length))
                return false;
            pattern += length;
        }
    }
    return match->at == match->count;
}

/* ------------------------------------------------------------ what does not match */

static bool first_word_is(const struct command *command, const struct token *token)
{
    return token_is(token, command->pattern, strcspn(command->pattern, " "));
}

static void tell_usage(const struct token *first, struct error *error)
{
    struct text usage;
    bool phase = false;
    text_init(&usage, sizeof error->hint - 16);
    for (const struct command *c = commands; c < commands + command_count; c++) {
        if (!c->help || !first_word_is(c, first))
            continue;
        text_add_format(&usage, "%s%s", usage.length ? "; " : "", c->pattern);
        phase |= strstr(c->pattern, " phase") != NULL;
    }
    if (phase)
        text_add_string(&usage, "; phase is old, dual_old, dual_own, dual_new or new");
    if (usage.length > 0)
        error_hint(error, "Usage: %s", usage.data);
    else
        error_hint(error, "SHOW HELP lists the commands.");
    text_release(&usage);
}

static void tell_unknown(struct arena *arena, const char *word, struct error *error)
{
    struct nearest nearest;
    nearest_init(&nearest, word);
    for (const struct command *c = commands; c < commands + command_count; c++)
        if (c->help)
            nearest_offer(&nearest,
                          arena_string_range(arena, c->pattern, strcspn(c->pattern, " ")));
    error_set(error, "42601", "unknown command \"%s\"", word);
    if (nearest.best)
        error_hint(error, "Did you mean %s? SHOW HELP lists the commands.", nearest.best);
    else
        error_hint(error, "SHOW HELP lists the commands.");
}

static bool tell_no_match(struct arena *arena, struct slice text, const struct token *tokens,
                          size_t count, size_t furthest, struct error *error)
{
    if (furthest == 0)
        tell_unknown(arena, tokens[0].text, error);
    else {
        if (furthest < count)
            error_set(error, "42601", "syntax error at or near \"%s\"", tokens[furthest].text);
        else
            error_set(error, "42601", "syntax error at the end of the command");
        tell_usage(&tokens[0], error);
    }
    if (error)
        error->position = token_position(text, tokens[furthest].start);
    return false;
}

static void name_column(struct statement *statement, const struct match *match)
{
    const char *name = match->arguments.word ? match->arguments.word : "?column?";
    uint32_t type = match->value_kind == TOKEN_NUMBER ? OID_INT8 : OID_TEXT;
    statement->named = (struct wire_column){name, type};
}

/* `tokens[count]` is the one that ends it. */
static bool statement_read(struct arena *arena, struct slice text, const struct token *tokens,
                           size_t count, struct statement *statement, struct error *error)
{
    *statement = (struct statement){0};
    size_t furthest = 0;
    for (const struct command *c = commands; count > 0 && c < commands + command_count; c++) {
        struct match match = {
            .arena = arena, .tokens = tokens, .count = count, .value_kind = TOKEN_END};
        if (match_pattern(&match, c->pattern)) {
            statement->command = c;
            statement->arguments = match.arguments;
            name_column(statement, &match);
            return true;
        }
        if (match.at > furthest)
            furthest = match.at;
    }
    return count == 0 || tell_no_match(arena, text, tokens, count, furthest, error);
}

bool statements_read(struct arena *arena, struct slice text, struct statement **statements,
                     size_t *count, struct error *error)
{
    struct tokens tokens;
    *count = 0;
    if (!tokens_read(arena, text, &tokens, error))
        return false;
    *statements = ARENA_NEW_ARRAY(arena, struct statement, tokens.count);
    size_t start = 0;
    for (size_t i = 0; i < tokens.count; i++) {
        enum token_kind kind = tokens.at[i].kind;
        if (kind != TOKEN_SEMICOLON && kind != TOKEN_END)
            continue;
        struct statement *next = &(*statements)[*count];
        if (!statement_read(arena, text, tokens.at + start, i - start, next, error))
            return false;
        size_t from = tokens.at[start].start;
        next->source = (struct slice){text.data + from, tokens.at[i].start - from};
        *count += next->command != NULL;
        start = i + 1;
    }
    return true;
}
