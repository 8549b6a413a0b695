/*
 * Transition files: segue/config/document.h reads the syntax, this file says what is expected and
 * where. Each message begins with file and line, since a definition is mended in an editor.
 */
#include "segue/base/clock.h"
#include "segue/base/memory.h"
#include "segue/config/document.h"
#include "segue/transition/transition.h"

#include <ctype.h>
#include <stdlib.h>

enum {
    NAME_MAX_LENGTH = 40, /* it goes into names of database objects, which end at 63 bytes */
    IDENTIFIER_MAX = 63,  /* NAMEDATALEN - 1 */
    COLUMNS_MAX = 64,
    DEFINITION_MAX = 1 << 20
};

/* What one transition_parse is reading: validation callbacks carry no pointer of ours. */
static _Thread_local struct {
    const char *file_name;
    struct {
        const cfg_t *section;
        int line;
    } * lines; /* of each column's `from` */
    size_t line_count;
} reader;

static int remember_line(cfg_t *section, cfg_opt_t *option)
{
    (void)option;
    reader.lines = memory_resize(reader.lines, sizeof *reader.lines * (reader.line_count + 1));
    reader.lines[reader.line_count].section = section;
    reader.lines[reader.line_count].line = section->line;
    reader.line_count++;
    return 0;
}

static int line_of(const cfg_t *section)
{
    for (size_t i = 0; i < reader.line_count; i++) {
        if (reader.lines[i].section == section)
            return reader.lines[i].line;
    }
    return section->line;
}

static int check_guard(cfg_t *section, cfg_opt_t *option)
{
    enum guard guard;
    const char *value = cfg_opt_getnstr(option, 0);
    if (guard_parse(value, &guard))
        return 0;
    return document_fail(section, "guard = \"%s\": expected sync, reject or off", value);
}

static bool is_empty(const char *value)
{
    return !value || value[strspn(value, " \t\r\n")] == '\0';
}

static int check_column(cfg_t *parent, cfg_opt_t *option)
{
    cfg_t *column = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);
    static const char *const required[] = {"type", "from"};
    for (size_t i = 0; i < 2; i++) {
        if (is_empty(cfg_getstr(column, required[i])))
            return document_fail(parent, "column \"%s\" lacks `%s`", cfg_title(column),
                                 required[i]);
    }
    return is_empty(cfg_title(column)) ? document_fail(parent, "a column must have a name") : 0;
}

static bool name_is_fit(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= NAME_MAX_LENGTH &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
               length;
}

static int check_transition(cfg_t *root, cfg_opt_t *option)
{
    cfg_t *section = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);
    const char *name = cfg_title(section);
    if (!name_is_fit(name))
        return document_fail(root,
                             "\"%s\" cannot name a transition: expected up to %d letters, digits "
                             "and underscores",
                             name, NAME_MAX_LENGTH);
    if (is_empty(cfg_getstr(section, "table")))
        return document_fail(root, "transition \"%s\" lacks `table`", name);
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        unsigned count = cfg_size(section, shape_name(shape));
        if (count == 0)
            return document_fail(root, "transition \"%s\" has no `%s` column", name,
                                 shape_name(shape));
        if (count > COLUMNS_MAX)
            return document_fail(root, "transition \"%s\" has more than %d `%s` columns", name,
                                 COLUMNS_MAX, shape_name(shape));
    }
    return 0;
}

/* "public.users" into its parts, folded as PostgreSQL folds; NULL schema where there is one part.
 */
static bool split_name(const char *text, char **schema, char **table)
{
    char *parts[2] = {NULL, NULL};
    size_t count = 0;
    const char *c = text + strspn(text, " \t");
    for (;;) {
        struct text part;
        text_init(&part, TEXT_UNBOUNDED);
        if (*c == '"') {
            for (c++; *c && (*c != '"' || c[1] == '"'); c++) {
                if (*c == '"')
                    c++;
                text_add_char(&part, *c);
            }
            if (*c != '"')
                text_clear(&part);
            else
                c++;
        } else {
            while (isalnum((unsigned char)*c) || *c == '_' || *c == '$' || (*c & 0x80)) {
                text_add_char(&part, (char)((*c & 0x80) ? *c : tolower((unsigned char)*c)));
                c++;
            }
        }
        bool empty = part.length == 0;
        parts[count] = text_take(&part);
        count++;
        if (empty || *c != '.' || count == 2) {
            c += strspn(c, " \t");
            if (empty || *c) {
                free(parts[0]);
                free(parts[1]);
                return false;
            }
            break;
        }
        c++;
    }
    *table = parts[count - 1];
    *schema = count == 2 ? parts[0] : NULL;
    return true;
}

/* Where the transition block that begins at or after `from` ends: after its closing brace. */
static size_t block_end(const char *text, size_t from)
{
    int depth = 0;
    for (size_t i = from; text[i]; i++) {
        char c = text[i];
        if (c == '"' || c == '\'') {
            for (i++; text[i] && text[i] != c; i++) {
                if (text[i] == '\\' && text[i + 1])
                    i++;
            }
            if (!text[i])
                return i;
        } else if (c == '#' || (c == '/' && text[i + 1] == '/')) {
            while (text[i + 1] && text[i + 1] != '\n')
                i++;
        } else if (c == '/' && text[i + 1] == '*') {
            const char *end = strstr(text + i + 2, "*/");
            if (!end)
                return i + strlen(text + i);
            i = (size_t)(end - text) + 1;
        } else if (c == '{') {
            depth++;
        } else if (c == '}' && --depth == 0) {
            return i + 1;
        }
    }
    return from + strlen(text + from);
}

/* The type without its typmod, as written: only until the database has been asked. */
static char *without_typmod(const char *type)
{
    const char *open = strchr(type, '(');
    const char *close = open ? strchr(open, ')') : NULL;
    if (!close)
        return memory_string(type);
    struct text bare;
    text_init(&bare, TEXT_UNBOUNDED);
    text_add(&bare, type, (size_t)(open - type));
    text_add_string(&bare, close + 1);
    return text_take(&bare);
}

static void read_column(struct transition_column *column, cfg_t *section, enum shape shape)
{
    column->name = memory_string(cfg_title(section));
    column->type = memory_string(cfg_getstr(section, "type"));
    column->type_bare = without_typmod(column->type);
    column->typmod = -1;
    column->default_expression = memory_string(cfg_getstr(section, "default"));
    column->default_is_declared = column->default_expression != NULL;
    column->physical = memory_string(shape == SHAPE_NEW && cfg_getstr(section, "column")
                                         ? cfg_getstr(section, "column")
                                         : column->name);
    if (shape == SHAPE_NEW && cfg_size(section, "not_null") > 0) {
        column->not_null = cfg_getbool(section, "not_null");
        column->not_null_is_declared = true;
    }
}

/* A new column that shares its name with an old one lives under another name until CONTRACT. */
static void choose_physical_names(struct transition *transition)
{
    for (size_t i = 0; i < transition->column_count[SHAPE_NEW]; i++) {
        struct transition_column *column = &transition->columns[SHAPE_NEW][i];
        if (!transition_find_physical(transition, SHAPE_OLD, column->physical))
            continue;
        struct text name;
        text_init(&name, TEXT_UNBOUNDED);
        text_add_format(&name, "%s_segue", column->name);
        free(column->physical);
        column->physical = text_take(&name);
    }
}

static bool refuse_at(int line, struct error *error)
{
    if (!error)
        return false;
    char message[sizeof error->message];
    memcpy(message, error->message, sizeof message);
    struct text placed;
    text_init(&placed, sizeof error->message - 1);
    text_add_format(&placed, "%s:%d: ", reader.file_name, line);
    text_add_format(&placed, "%.*s", (int)(sizeof message - 1 - placed.length), message);
    memcpy(error->message, placed.data, placed.length + 1);
    text_release(&placed);
    error->position = 0; /* within the conversion, not within what the client sent */
    return false;
}

/* PostgreSQL cuts longer names off, and then the column would not be called what is written here.
 */
static bool names_are_short(const struct transition *transition, cfg_t *section,
                            struct error *error)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < transition->column_count[shape]; i++) {
            const struct transition_column *column = &transition->columns[shape][i];
            const char *name =
                strlen(column->name) > IDENTIFIER_MAX ? column->name : column->physical;
            if (strlen(name) <= IDENTIFIER_MAX)
                continue;
            error_set(error, "42622", "column name \"%s\" is longer than %d bytes", name,
                      IDENTIFIER_MAX);
            error_hint(error, "`column` gives the new column another name until CONTRACT.");
            return refuse_at(
                line_of(cfg_getnsec(section, shape_name((enum shape)shape), (unsigned)i)), error);
        }
    }
    return true;
}

static bool read_conversions(struct transition *transition, cfg_t *section, enum shape shape,
                             struct error *error)
{
    const enum shape other = shape_other(shape);
    const char *names[COLUMNS_MAX];
    for (size_t i = 0; i < transition->column_count[other]; i++)
        names[i] = transition->columns[other][i].name;
    for (size_t i = 0; i < transition->column_count[shape]; i++) {
        cfg_t *column = cfg_getnsec(section, shape_name(shape), (unsigned)i);
        if (!conversion_init(&transition->columns[shape][i].from, cfg_getstr(column, "from"), names,
                             transition->column_count[other], error))
            return refuse_at(line_of(column), error);
    }
    return true;
}

static struct transition *read_transition(cfg_t *section, struct slice source, struct error *error)
{
    struct transition *transition = NEW(struct transition);
    atomic_init(&transition->references, 1);
    atomic_init(&transition->counted_since_ms, clock_real_ms());
    transition->name = memory_string(cfg_title(section));
    transition->source = memory_string_range(source.data, source.length);
    transition->lossless = cfg_getbool(section, "lossless");
    if (!guard_parse(cfg_getstr(section, "guard"), &transition->guard))
        BUG("guard was checked");
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        size_t count = cfg_size(section, shape_name(shape));
        transition->columns[shape] = NEW_ARRAY(struct transition_column, count);
        transition->column_count[shape] = count;
        for (size_t i = 0; i < count; i++)
            read_column(&transition->columns[shape][i],
                        cfg_getnsec(section, shape_name(shape), (unsigned)i), shape);
    }
    choose_physical_names(transition);
    if (!names_are_short(transition, section, error))
        goto failed;
    if (!split_name(cfg_getstr(section, "table"), &transition->schema, &transition->table)) {
        error_set(error, "42602", "\"%s\" is not the name of a table",
                  cfg_getstr(section, "table"));
        error_hint(error, "Expected: table = \"schema.table\".");
        refuse_at(section->line, error);
        goto failed;
    }
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        if (!read_conversions(transition, section, shape, error))
            goto failed;
    }
    return transition;
failed:
    transition_put(transition);
    return NULL;
}

static struct transition **read_all(cfg_t *root, const char *text, size_t *count,
                                    struct error *error)
{
    *count = cfg_size(root, "transition");
    if (*count == 0) {
        error_set(error, "F0000", "%s:1: no transition is defined here", reader.file_name);
        error_hint(error, "Expected: transition \"name\" { .. }.");
        return NULL;
    }
    struct transition **transitions = NEW_ARRAY(struct transition *, *count);
    size_t from = 0;
    for (size_t i = 0; i < *count; i++) {
        from += strspn(text + from, " \t\r\n");
        size_t end = block_end(text, from);
        transitions[i] = read_transition(cfg_getnsec(root, "transition", (unsigned)i),
                                         (struct slice){text + from, end - from}, error);
        if (!transitions[i]) {
            while (i-- > 0)
                transition_put(transitions[i]);
            free(transitions);
            return NULL;
        }
        from = end;
    }
    return transitions;
}

static void validate(cfg_opt_t *options, const char *name, cfg_validate_callback_t callback)
{
    while (strcmp(options->name, name) != 0)
        options++;
    options->validcb = callback;
}

struct transition **transition_parse(const char *text, const char *file_name, size_t *count,
                                     struct error *error)
{
    enum { MANY = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES };
    cfg_opt_t old_options[] = {CFG_STR("type", NULL, CFGF_NODEFAULT),
                               CFG_STR("from", NULL, CFGF_NODEFAULT),
                               CFG_STR("default", NULL, CFGF_NODEFAULT), CFG_END()};
    cfg_opt_t new_options[] = {
        CFG_STR("type", NULL, CFGF_NODEFAULT),           CFG_STR("from", NULL, CFGF_NODEFAULT),
        CFG_STR("column", NULL, CFGF_NODEFAULT),         CFG_STR("default", NULL, CFGF_NODEFAULT),
        CFG_BOOL("not_null", cfg_false, CFGF_NODEFAULT), CFG_END()};
    validate(old_options, "from", remember_line);
    validate(new_options, "from", remember_line);
    cfg_opt_t transition_options[] = {
        CFG_STR("table", NULL, CFGF_NODEFAULT), CFG_SEC("old", old_options, MANY),
        CFG_SEC("new", new_options, MANY),      CFG_BOOL("lossless", cfg_false, CFGF_NONE),
        CFG_STR("guard", "sync", CFGF_NONE),    CFG_END()};
    validate(transition_options, "old", check_column);
    validate(transition_options, "new", check_column);
    validate(transition_options, "guard", check_guard);
    cfg_opt_t options[] = {CFG_SEC("transition", transition_options, MANY), CFG_END()};
    validate(options, "transition", check_transition);

    *count = 0;
    if (strlen(text) > DEFINITION_MAX) {
        error_set(error, "54000", "%s: a transition file may have at most %d bytes", file_name,
                  DEFINITION_MAX);
        return NULL;
    }
    memset(&reader, 0, sizeof reader);
    reader.file_name = file_name;
    struct transition **transitions = NULL;
    cfg_t *root = document_parse(options, text, file_name, DOCUMENT_FOREIGN, error);
    if (root) {
        transitions = read_all(root, text, count, error);
        document_free(root);
    }
    free(reader.lines);
    if (!transitions)
        *count = 0;
    return transitions;
}
