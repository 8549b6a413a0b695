/*
 * What drivers and tools say of their own accord: SET on connecting, SHOW of usual parameters,
 * BEGIN and COMMIT around everything, SELECT 1 to see whether the connection lives.
 */
#include "command.h"

#include "segue/base/nearest.h"

#include <strings.h>

/* PostgreSQL's version that the console resembles; libpq and drivers choose their ways by it. */
#define LIKE_VERSION "15.0"

static const struct parameter {
    const char *name, *value;
    bool reported; /* at start, as PostgreSQL does */
} parameters[] = {
    {"server_version", LIKE_VERSION " (segue " SEGUE_VERSION ")", true},
    {"server_encoding", "UTF8", true},
    {"client_encoding", "UTF8", true},
    {"DateStyle", "ISO, MDY", true},
    {"IntervalStyle", "postgres", true},
    {"TimeZone", "UTC", true},
    {"integer_datetimes", "on", true},
    {"standard_conforming_strings", "on", true},
    {"is_superuser", "off", true},
    {"default_transaction_read_only", "off", true},
    {"in_hot_standby", "off", true},
    {"server_version_num", "150000", false},
    {"transaction_isolation", "read committed", false},
    {"default_transaction_isolation", "read committed", false},
    {"transaction_read_only", "off", false},
    {"search_path", "", false},
    {"extra_float_digits", "1", false},
    {"statement_timeout", "0", false},
    {"max_identifier_length", "63", false},
    {"bytea_output", "hex", false},
    {"lc_collate", "C", false},
    {"lc_ctype", "C", false},
};
enum { PARAMETER_COUNT = sizeof parameters / sizeof parameters[0] };

void polite_each_reported(void (*visit)(void *context, const char *name, const char *value),
                          void *context)
{
    for (const struct parameter *p = parameters; p < parameters + PARAMETER_COUNT; p++)
        if (p->reported)
            visit(context, p->name, p->value);
}

bool polite_show(struct call *call, struct result *result, struct error *error)
{
    struct nearest nearest;
    nearest_init(&nearest, call->arguments.word);
    for (const struct parameter *p = parameters; p < parameters + PARAMETER_COUNT; p++) {
        if (strcasecmp(p->name, call->arguments.word) == 0) {
            RESULT_ADD(result, p->value);
            return true;
        }
        nearest_offer(&nearest, p->name);
    }
    for (size_t i = 0; i < command_count; i++)
        if (commands[i].help && strncmp(commands[i].pattern, "SHOW ", 5) == 0)
            nearest_offer(&nearest, commands[i].pattern + 5);
    error_set(error, "42704", "unrecognized configuration parameter \"%s\"", call->arguments.word);
    if (nearest.best)
        error_hint(error, "Did you mean SHOW %s? SHOW HELP lists the commands.", nearest.best);
    else
        error_hint(error, "SHOW HELP lists the commands.");
    return false;
}

bool polite_nothing(struct call *call, struct result *result, struct error *error)
{
    (void)call;
    (void)result;
    (void)error;
    return true;
}

/* "client_encoding = LATIN1" or "client_encoding TO .." or "NAMES ..": everything here is UTF8, and
 * saying yes to anything else would be a lie that shows as broken letters. */
bool polite_set(struct call *call, struct result *result, struct error *error)
{
    (void)result;
    const char *rest = call->arguments.text;
    bool encoding =
        strncasecmp(rest, "client_encoding ", 16) == 0 || strncasecmp(rest, "names ", 6) == 0;
    const char *value = strrchr(rest, ' ');
    if (!encoding || !value || strncasecmp(value + 1, "utf", 3) == 0 ||
        strncasecmp(value + 1, "unicode", 7) == 0 || strcasecmp(value + 1, "default") == 0)
        return true;
    error_set(error, "22023", "the admin console speaks UTF8 only, not %s", value + 1);
    return false;
}

bool polite_value(struct call *call, struct result *result, struct error *error)
{
    (void)error;
    RESULT_ADD(result, call->arguments.text);
    return true;
}

bool polite_version(struct call *call, struct result *result, struct error *error)
{
    (void)call;
    (void)error;
    RESULT_ADD(result,
               "PostgreSQL " LIKE_VERSION " (the admin console of segue " SEGUE_VERSION ")");
    return true;
}

bool polite_database(struct call *call, struct result *result, struct error *error)
{
    (void)call;
    (void)error;
    RESULT_ADD(result, "segue");
    return true;
}

bool polite_schema(struct call *call, struct result *result, struct error *error)
{
    (void)call;
    (void)error;
    RESULT_ADD(result, NULL);
    return true;
}

bool polite_user(struct call *call, struct result *result, struct error *error)
{
    (void)error;
    RESULT_ADD(result, call->user);
    return true;
}

bool polite_recovery(struct call *call, struct result *result, struct error *error)
{
    (void)call;
    (void)error;
    RESULT_ADD(result, "f");
    return true;
}

bool polite_isolation(struct call *call, struct result *result, struct error *error)
{
    (void)call;
    (void)error;
    RESULT_ADD(result, "read committed");
    return true;
}
