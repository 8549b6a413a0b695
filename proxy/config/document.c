/*
 * The text is gone over once before libconfuse sees it: comments become blanks, strings, comments
 * and sections that are not closed are found, and environment variables are taken out of play where
 * the text is not the operator's. What libconfuse's lexer would trip over never reaches it.
 */
#include "segue/config/document.h"

#include "segue/base/memory.h"
#include "segue/base/nearest.h"
#include "segue/base/text.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const CONFIG_FILE_ERROR = "F0000";

static pthread_mutex_t parsing = PTHREAD_MUTEX_INITIALIZER; /* libconfuse's lexer */

/* The parse under way on this thread: libconfuse's callbacks carry no pointer of ours. */
static _Thread_local struct {
    const char *name;
    struct error *error;
    bool failed;
    bool hinting; /* the failure just told may get a hint */
} current;

/* ------------------------------------------------------------ going over the text */

enum { DEPTH_MAX = 8 };

struct pass {
    const char *at; /* the next byte */
    int line;
    struct text out;
    const char *name;
    enum document_origin origin;
    int depth;
    int opened[DEPTH_MAX]; /* line of each section's opening brace */
    struct error *error;
};

static bool unclosed(const struct pass *pass, const char *what, int line, const char *expected)
{
    error_set(pass->error, CONFIG_FILE_ERROR, "%s:%d: the %s that begins here is not closed",
              pass->name, line, what);
    error_detail(pass->error, "Expected %s before the end of the file.", expected);
    return false;
}

static void keep(struct pass *pass)
{
    if (*pass->at == '\n')
        pass->line++;
    text_add_char(&pass->out, *pass->at++);
}

static void blank(struct pass *pass)
{
    if (*pass->at == '\n')
        keep(pass);
    else {
        text_add_char(&pass->out, ' ');
        pass->at++;
    }
}

static void pass_line_comment(struct pass *pass)
{
    while (*pass->at && *pass->at != '\n')
        blank(pass);
}

static bool pass_comment(struct pass *pass)
{
    int begun = pass->line;
    const char *end = strstr(pass->at + 2, "*/");
    if (!end)
        return unclosed(pass, "comment", begun, "*/");
    while (pass->at < end + 2)
        blank(pass);
    return true;
}

/* libconfuse gives up on some numbered escapes in the middle of a string, and its lexer stays
 * there.
 */
static bool escape_is_numbered(const struct pass *pass, char quote)
{
    return quote == '"' && pass->at[0] == '\\' && pass->at[1] >= '0' && pass->at[1] <= '9';
}

static bool refuse_numbered_escape(struct pass *pass)
{
    error_set(pass->error, CONFIG_FILE_ERROR, "%s:%d: \\%c in a string", pass->name, pass->line,
              pass->at[1]);
    error_hint(pass->error, "Write \\\\%c for a backslash and the digit.", pass->at[1]);
    return false;
}

static bool pass_string(struct pass *pass)
{
    int begun = pass->line;
    char quote = *pass->at;
    keep(pass);
    while (*pass->at && *pass->at != quote) {
        if (escape_is_numbered(pass, quote))
            return refuse_numbered_escape(pass);
        if (*pass->at == '\\' && pass->at[1])
            keep(pass);
        else if (quote == '"' && pass->at[0] == '$' && pass->at[1] == '{' &&
                 pass->origin == DOCUMENT_FOREIGN)
            text_add_char(&pass->out, '\\');
        keep(pass);
    }
    if (!*pass->at)
        return unclosed(pass, "string", begun, quote == '"' ? "\"" : "'");
    keep(pass);
    return true;
}

static bool pass_brace(struct pass *pass)
{
    if (*pass->at == '{') {
        if (pass->depth == DEPTH_MAX)
            return error_set(pass->error, CONFIG_FILE_ERROR, "%s:%d: sections nested too deeply",
                             pass->name, pass->line);
        pass->opened[pass->depth++] = pass->line;
    } else if (pass->depth-- == 0) {
        error_set(pass->error, CONFIG_FILE_ERROR, "%s:%d: unexpected }", pass->name, pass->line);
        error_detail(pass->error, "No section is open here.");
        return false;
    }
    keep(pass);
    return true;
}

static bool pass_over(struct pass *pass)
{
    while (*pass->at) {
        char c = *pass->at, next = pass->at[1];
        bool going = true;
        if (c == '#' || (c == '/' && next == '/'))
            pass_line_comment(pass);
        else if (c == '/' && next == '*')
            going = pass_comment(pass);
        else if (c == '"' || c == '\'')
            going = pass_string(pass);
        else if (c == '$' && next == '{')
            going = error_set(pass->error, CONFIG_FILE_ERROR,
                              "%s:%d: ${ outside a string: put the value in double quotes",
                              pass->name, pass->line);
        else if (c == '{' || c == '}')
            going = pass_brace(pass);
        else
            keep(pass);
        if (!going)
            return false;
    }
    if (pass->depth > 0)
        return unclosed(pass, "section", pass->opened[pass->depth - 1], "}");
    return true;
}

/* ------------------------------------------------------------ failing */

static void tell_unknown(cfg_t *cfg, const char *name)
{
    bool top = strcmp(cfg->name, "root") == 0;
    document_fail(cfg, top ? "unknown setting \"%s\"" : "unknown setting \"%s\" in section %s",
                  name, cfg->name);
    struct text known;
    text_init(&known, sizeof current.error->detail / 2);
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (const cfg_opt_t *option = cfg->opts; option->name; option++) {
        text_add_format(&known, "%s%s", known.length ? ", " : "", option->name);
        nearest_offer(&nearest, option->name);
    }
    error_detail(current.error, "Expected one of: %s.", known.data);
    if (nearest.best)
        document_hint("Did you mean \"%s\"?", nearest.best);
    text_release(&known);
}

static void on_confuse_error(cfg_t *cfg, const char *format, va_list arguments)
{
    if (strstr(format, "no such option") && !current.failed) {
        tell_unknown(cfg, va_arg(arguments, const char *));
        return;
    }
    char message[512];
    vsnprintf(message, sizeof message, format, arguments);
    document_fail(cfg, "%s", message);
}

int document_fail(cfg_t *cfg, const char *format, ...)
{
    current.hinting = !current.failed;
    if (current.failed)
        return -1;
    current.failed = true;
    char message[sizeof current.error->message / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    error_set(current.error, CONFIG_FILE_ERROR, "%s:%d: %s", current.name, cfg->line, message);
    return -1;
}

void document_hint(const char *format, ...)
{
    if (!current.hinting)
        return;
    char hint[sizeof current.error->hint];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(hint, sizeof hint, format, arguments);
    va_end(arguments);
    error_hint(current.error, "%s", hint);
}

/* ------------------------------------------------------------ parsing */

static cfg_t *parse_prepared(cfg_opt_t *options, const char *prepared, const char *name,
                             struct error *error)
{
    cfg_t *cfg = cfg_init(options, CFGF_NONE);
    BUG_ON(!cfg);
    cfg_set_error_function(cfg, on_confuse_error);
    current.name = name;
    current.error = error;
    current.failed = current.hinting = false;
    if (cfg_parse_buf(cfg, prepared) == CFG_SUCCESS)
        return cfg;
    if (!current.failed)
        error_set(error, CONFIG_FILE_ERROR, "%s:%d: cannot be read", name, cfg->line);
    cfg_free(cfg);
    return NULL;
}

cfg_t *document_parse(cfg_opt_t *options, const char *text, const char *name,
                      enum document_origin origin, struct error *error)
{
    struct error unheard;
    if (!error)
        error = &unheard;
    struct pass pass = {.at = text, .line = 1, .name = name, .origin = origin, .error = error};
    text_init(&pass.out, TEXT_UNBOUNDED);
    cfg_t *cfg = NULL;
    if (pass_over(&pass)) {
        pthread_mutex_lock(&parsing);
        cfg = parse_prepared(options, pass.out.data, name, error);
        pthread_mutex_unlock(&parsing);
    }
    text_release(&pass.out);
    return cfg;
}

void document_free(cfg_t *cfg)
{
    pthread_mutex_lock(&parsing);
    cfg_free(cfg);
    pthread_mutex_unlock(&parsing);
}
