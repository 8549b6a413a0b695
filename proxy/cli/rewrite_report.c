/* Phases in which the same is sent, for the same reasons, are told together. */
#include "rewrite_report.h"

#include <stdlib.h>

static const char *value(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

static bool is_same(const PGresult *result, int a, int b, int column)
{
    return PQgetisnull(result, a, column) == PQgetisnull(result, b, column) &&
           strcmp(PQgetvalue(result, a, column), PQgetvalue(result, b, column)) == 0;
}

/* All but phase and whether it is the present one. */
static bool are_alike(const PGresult *result, int a, int b)
{
    return is_same(result, a, b, REWRITE_SHAPE) && is_same(result, a, b, REWRITE_OUTCOME) &&
           is_same(result, a, b, REWRITE_SQL) && is_same(result, a, b, REWRITE_SQLSTATE) &&
           is_same(result, a, b, REWRITE_MESSAGE) && is_same(result, a, b, REWRITE_POSITION);
}

/* The first row of the statement's that is like this one: itself where the group begins with it. */
static int group_of(const PGresult *result, int first, int row)
{
    for (int i = first; i < row; i++)
        if (are_alike(result, i, row))
            return i;
    return row;
}

static enum report_outcome outcome_of(const PGresult *result, int row)
{
    const char *name = PQgetvalue(result, row, REWRITE_OUTCOME);
    if (strcmp(name, "refused") == 0)
        return REPORT_REFUSED;
    return strcmp(name, "changed") == 0 ? REPORT_CHANGED : REPORT_UNTOUCHED;
}

static enum report_outcome worst_outcome(const PGresult *result, int first, int end)
{
    enum report_outcome worst = REPORT_UNTOUCHED;
    for (int row = first; row < end; row++)
        if (outcome_of(result, row) > worst)
            worst = outcome_of(result, row);
    return worst;
}

/* ---------------------------------------------------------------- for a person */

static void add_coloured(const struct report *report, enum report_outcome outcome, const char *text,
                         struct text *out)
{
    static const char *const colours[REPORT_OUTCOMES] = {"\033[2m", "\033[33m", "\033[1;31m"};
    if (report->colour)
        text_add_string(out, colours[outcome]);
    text_add_string(out, text);
    if (report->colour)
        text_add_string(out, "\033[0m");
}

/* Every line of it, behind so many blanks. */
static void add_indented(struct text *out, int indent, const char *text, size_t length)
{
    const char *end = text + length;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((newline ? newline : end) - text);
        text_add_format(out, "%*s%.*s\n", indent, "", (int)line, text);
        text += line + 1;
    }
}

static void add_field(struct text *out, const char *name, const char *text)
{
    if (text)
        text_add_format(out, "      %s: %s\n", name, text);
}

/* The line that a position, in characters, lies in, and a caret below it. */
static void add_place(struct text *out, struct slice sql, int position)
{
    size_t at = 0, line_start = 0, characters = 0, column = 0;
    int line = 1, seen = 0;
    for (; at < sql.length; at++) {
        if (((unsigned char)sql.data[at] & 0xC0) != 0x80 && ++seen == position)
            break;
        if (sql.data[at] == '\n') {
            line++;
            line_start = at + 1;
        }
    }
    if (at == sql.length)
        return;
    const char *newline = memchr(sql.data + at, '\n', sql.length - at);
    size_t line_end = newline ? (size_t)(newline - sql.data) : sql.length;
    for (column = line_start; column < at; column++)
        characters += ((unsigned char)sql.data[column] & 0xC0) != 0x80;
    char head[32];
    int width = snprintf(head, sizeof head, "      LINE %d: ", line);
    text_add_format(out, "%s%.*s\n%*s^\n", head, (int)(line_end - line_start),
                    sql.data + line_start, width + (int)characters, "");
}

static void add_refusal(struct text *out, struct slice sql, const PGresult *result, int row)
{
    text_add_format(out, "      ERROR %s: %s\n", PQgetvalue(result, row, REWRITE_SQLSTATE),
                    PQgetvalue(result, row, REWRITE_MESSAGE));
    const char *position = value(result, row, REWRITE_POSITION);
    if (position)
        add_place(out, sql, atoi(position));
    add_field(out, "DETAIL", value(result, row, REWRITE_DETAIL));
    add_field(out, "HINT", value(result, row, REWRITE_HINT));
}

static void add_phases(struct text *out, const PGresult *result, int first, int row, int end)
{
    enum { WIDTH = 44 };
    size_t begun = out->length;
    for (int i = row; i < end; i++) {
        if (group_of(result, first, i) != row)
            continue;
        bool now = strcmp(PQgetvalue(result, i, REWRITE_NOW), "t") == 0;
        text_add_format(out, "%s%s%s", i == row ? "    " : ", ",
                        PQgetvalue(result, i, REWRITE_PHASE), now ? " (now)" : "");
    }
    size_t width = out->length - begun;
    text_add_format(out, "%*s", width < WIDTH ? (int)(WIDTH - width) : 2, "");
}

static void add_group(const struct report *report, const struct report_statement *statement,
                      const PGresult *result, int first, int row, int end, struct text *out)
{
    enum report_outcome outcome = outcome_of(result, row);
    add_phases(out, result, first, row, end);
    add_coloured(report, outcome, PQgetvalue(result, row, REWRITE_OUTCOME), out);
    text_add_char(out, '\n');
    const char *changes = value(result, row, REWRITE_CHANGES),
               *sent = value(result, row, REWRITE_SQL);
    switch (outcome) {
    case REPORT_UNTOUCHED:
        break;
    case REPORT_CHANGED:
        if (changes)
            add_indented(out, 6, changes, strlen(changes));
        text_add_string(out, "      is sent as\n");
        add_indented(out, 8, sent, strlen(sent));
        break;
    case REPORT_REFUSED:
        add_refusal(out, statement->sql, result, row);
        break;
    }
}

static void add_for_person(const struct report *report, const struct report_statement *statement,
                           const PGresult *result, int first, int end, struct text *out)
{
    if (statement->line)
        text_add_format(out, "line %zu", statement->line);
    if (statement->times > 1)
        text_add_format(out, ", %zu times", statement->times);
    if (statement->line)
        text_add_char(out, '\n');
    add_indented(out, 2, statement->sql.data, statement->sql.length);
    for (int row = first; row < end; row++) {
        const char *parameters = value(result, row, REWRITE_PARAMETERS);
        if (row == first || !is_same(result, row - 1, row, REWRITE_SHAPE))
            text_add_format(out, "  %s shape%s%s\n", PQgetvalue(result, row, REWRITE_SHAPE),
                            parameters ? ", parameters: " : "", parameters ? parameters : "");
        if (group_of(result, first, row) == row)
            add_group(report, statement, result, first, row, end, out);
    }
    text_add_char(out, '\n');
}

/* ---------------------------------------------------------------- for a program */

static void add_json_field(struct text *out, const char *name, const char *text)
{
    if (!text)
        return;
    text_add_format(out, ", \"%s\": ", name);
    text_add_json_string(out, text);
}

static void add_json_group(const PGresult *result, int first, int row, int end, struct text *out)
{
    text_add_format(out, "%s{\"shape\": \"%s\", \"phases\": [", row == first ? "" : ", ",
                    PQgetvalue(result, row, REWRITE_SHAPE));
    for (int i = row; i < end; i++)
        if (group_of(result, first, i) == row)
            text_add_format(out, "%s\"%s\"", i == row ? "" : ", ",
                            PQgetvalue(result, i, REWRITE_PHASE));
    text_add_string(out, "]");
    add_json_field(out, "outcome", PQgetvalue(result, row, REWRITE_OUTCOME));
    add_json_field(out, "sql", value(result, row, REWRITE_SQL));
    add_json_field(out, "changes", value(result, row, REWRITE_CHANGES));
    add_json_field(out, "parameters", value(result, row, REWRITE_PARAMETERS));
    add_json_field(out, "sqlstate", value(result, row, REWRITE_SQLSTATE));
    add_json_field(out, "message", value(result, row, REWRITE_MESSAGE));
    add_json_field(out, "detail", value(result, row, REWRITE_DETAIL));
    add_json_field(out, "hint", value(result, row, REWRITE_HINT));
    if (value(result, row, REWRITE_POSITION))
        text_add_format(out, ", \"position\": %s", value(result, row, REWRITE_POSITION));
    text_add_char(out, '}');
}

static void add_json(const struct report_statement *statement, const PGresult *result, int first,
                     int end, struct text *out)
{
    struct text sql;
    text_init(&sql, TEXT_UNBOUNDED);
    text_add_slice(&sql, statement->sql);
    text_add_string(out, "{\"statement\": ");
    text_add_json_string(out, sql.data);
    text_release(&sql);
    if (statement->line)
        text_add_format(out, ", \"line\": %zu, \"times\": %zu", statement->line, statement->times);
    text_add_string(out, ", \"rewrites\": [");
    for (int row = first; row < end; row++)
        if (group_of(result, first, row) == row)
            add_json_group(result, first, row, end, out);
    text_add_string(out, "]}\n");
}

/* ---------------------------------------------------------------- */

void report_add(struct report *report, const struct report_statement *statement,
                const PGresult *result, int first, int end, struct text *out)
{
    enum report_outcome worst = worst_outcome(result, first, end);
    report->statements += statement->times;
    report->different++;
    report->outcomes[worst]++;
    if (report->json)
        add_json(statement, result, first, end, out);
    else if (worst != REPORT_UNTOUCHED || report->shows_untouched)
        add_for_person(report, statement, result, first, end, out);
}

void report_summary(const struct report *report, struct text *out)
{
    const size_t *outcomes = report->outcomes;
    if (report->json)
        text_add_format(out,
                        "{\"statements\": %zu, \"different\": %zu, \"untouched\": %zu, "
                        "\"changed\": %zu, \"refused\": %zu}\n",
                        report->statements, report->different, outcomes[REPORT_UNTOUCHED],
                        outcomes[REPORT_CHANGED], outcomes[REPORT_REFUSED]);
    else
        text_add_format(out,
                        "%zu statements, %zu of them different: %zu untouched, %zu changed, "
                        "%zu refused\n",
                        report->statements, report->different, outcomes[REPORT_UNTOUCHED],
                        outcomes[REPORT_CHANGED], outcomes[REPORT_REFUSED]);
}
