/*
 * Dependence on settings, read from the server's own analysis of the expression: a temporary view
 * is made of it, and the tree that the server stores for the view is gone over.
 *
 * Two things make an expression depend: a value of certain types goes to text or comes from it
 * (COERCEVIAIO), or a function that the server calls stable is given one or gives one. Everything
 * else that is merely stable (array_to_string, say) is so for the sake of types like these.
 */
#include "settings.h"

#include "segue/base/text.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <stdlib.h>

enum class {
    CLASS_NONE = 0,
    CLASS_STYLE = 1, /* DateStyle, IntervalStyle */
    CLASS_ZONE = 2,
    CLASS_BYTEA = 4,
    CLASS_MONEY = 8,
    CLASS_CLOCK = 16
};

static unsigned class_of_type(uint32_t type)
{
    switch (type) {
    case 1082: /* date, timestamp, interval, and arrays of them */
    case 1114:
    case 1186:
    case 1182:
    case 1115:
    case 1187:
        return CLASS_STYLE;
    case 1184: /* timestamptz, timetz */
    case 1266:
    case 1185:
    case 1270:
        return CLASS_ZONE;
    case 17:
    case 1001:
        return CLASS_BYTEA;
    case 790:
    case 791:
        return CLASS_MONEY;
    default:
        return CLASS_NONE;
    }
}

static void add_class(struct settings_needed *needed, unsigned class)
{
    needed->styles |= (class & CLASS_STYLE) != 0;
    if (class & CLASS_BYTEA)
        needed->forbidden = "bytea_output";
    if (class & CLASS_MONEY)
        needed->forbidden = "lc_monetary";
    if (class & CLASS_ZONE)
        needed->forbidden = "TimeZone";
    if (class & CLASS_CLOCK)
        needed->forbidden = "who asks, and when";
}

/* ---------------------------------------------------------------- the tree */

struct reader {
    const char *at;
    struct settings_needed *needed;
    struct text *functions, *operators;
};

/* One node: what kind it is, what types its children and itself have. */
struct node {
    char label[32];
    uint32_t type, function, operation;
    unsigned classes; /* of itself and its children */
};

static uint32_t read_value(struct reader *reader, const char *key, struct node *node);

static void read_word(struct reader *reader, char *word, size_t size)
{
    size_t length = 0;
    for (; *reader->at && !isspace((unsigned char)*reader->at) && !strchr("{}()", *reader->at);
         reader->at++) {
        if (*reader->at == '\\' && reader->at[1])
            reader->at++;
        if (length + 1 < size)
            word[length++] = *reader->at;
    }
    word[length] = '\0';
}

static bool is_type_key(const char *key)
{
    static const char *const keys[] = {"vartype",    "consttype", "funcresulttype", "opresulttype",
                                       "resulttype", "casetype",  "coalescetype",   "array_typeid",
                                       "minmaxtype", "paramtype", "typeId",         "type"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(key, keys[i]) == 0)
            return true;
    }
    return false;
}

static void judge(struct reader *reader, const struct node *node)
{
    if (strcmp(node->label, "SQLVALUEFUNCTION") == 0)
        add_class(reader->needed, CLASS_CLOCK);
    else if (strcmp(node->label, "COERCEVIAIO") == 0)
        add_class(reader->needed, node->classes);
    else if (node->classes && node->function)
        text_add_format(reader->functions, "%s(%u,%u)", reader->functions->length ? "," : "",
                        node->function, node->classes);
    else if (node->classes && node->operation)
        text_add_format(reader->operators, "%s(%u,%u)", reader->operators->length ? "," : "",
                        node->operation, node->classes);
}

/* At the opening brace. */
static uint32_t read_node(struct reader *reader)
{
    struct node node = {0};
    char key[32] = "";
    reader->at++;
    read_word(reader, node.label, sizeof node.label);
    while (*reader->at && *reader->at != '}') {
        if (isspace((unsigned char)*reader->at)) {
            reader->at++;
        } else if (*reader->at == ':') {
            reader->at++;
            read_word(reader, key, sizeof key);
        } else {
            node.classes |= class_of_type(read_value(reader, key, &node));
        }
    }
    if (*reader->at)
        reader->at++;
    node.classes |= class_of_type(node.type);
    judge(reader, &node);
    return node.type;
}

/* A node, a list or a word. Gives the type of a node. */
static uint32_t read_value(struct reader *reader, const char *key, struct node *node)
{
    if (*reader->at == '{')
        return read_node(reader);
    if (strchr("()}", *reader->at)) {
        reader->at++;
        return 0;
    }
    char word[32];
    read_word(reader, word, sizeof word);
    uint32_t number = (uint32_t)strtoul(word, NULL, 10);
    if (is_type_key(key))
        node->type = number;
    else if (strcmp(key, "funcid") == 0)
        node->function = number;
    else if (strcmp(key, "opno") == 0)
        node->operation = number;
    return 0;
}

void settings_read_tree(const char *tree, struct settings_needed *needed, struct text *functions,
                        struct text *operators)
{
    struct reader reader = {tree, needed, functions, operators};
    while (*reader.at) {
        if (*reader.at == '{')
            read_node(&reader);
        else
            reader.at++;
    }
}

/* ---------------------------------------------------------------- functions */

/*
 * Of the stable ones: a zone always counts. A style only where any type is taken, so the value is
 * put out as text; to_char and to_date have a format of their own.
 */
static bool ask_functions(PGconn *connection, const char *list, const char *resolve,
                          struct settings_needed *needed, struct error *error)
{
    if (!list[0])
        return true;
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query,
                    "SELECT u.class, EXISTS (SELECT FROM unnest(p.proargtypes) t(oid) "
                    "         JOIN pg_type y ON y.oid = t.oid AND y.typtype = 'p') "
                    "  FROM (VALUES %s) u(oid, class) JOIN pg_proc p ON p.oid = %s "
                    " WHERE p.provolatile = 's'",
                    list, resolve);
    PGresult *result = query_run(connection, query.data, error);
    text_release(&query);
    for (int row = 0; result && row < PQntuples(result); row++) {
        unsigned class = (unsigned)query_integer(result, row, 0);
        add_class(needed, query_boolean(result, row, 1) ? class : class & CLASS_ZONE);
    }
    PQclear(result);
    return result != NULL;
}

static bool read_view(PGconn *connection, struct settings_needed *needed, struct error *error)
{
    struct text functions, operators;
    text_init(&functions, TEXT_UNBOUNDED);
    text_init(&operators, TEXT_UNBOUNDED);
    PGresult *result = query_run(connection,
                                 "SELECT ev_action FROM pg_rewrite "
                                 " WHERE ev_class = 'pg_temp.segue_settings'::regclass",
                                 error);
    if (result && PQntuples(result) == 1)
        settings_read_tree(query_value(result, 0, 0), needed, &functions, &operators);
    bool done =
        result && ask_functions(connection, functions.data, "u.oid", needed, error) &&
        ask_functions(connection, operators.data,
                      "(SELECT o.oprcode FROM pg_operator o WHERE o.oid = u.oid)", needed, error);
    PQclear(result);
    text_release(&functions);
    text_release(&operators);
    return done;
}

bool settings_needed_by(const char *expression, const char *table, struct pg_conn *connection,
                        struct settings_needed *needed, struct error *error)
{
    struct text view;
    *needed = (struct settings_needed){0};
    text_init(&view, TEXT_UNBOUNDED);
    text_add_format(&view,
                    "SAVEPOINT segue_settings; "
                    "CREATE TEMPORARY VIEW segue_settings AS SELECT %s AS value FROM %s",
                    expression, table);
    bool done = query_do(connection, view.data, error) && read_view(connection, needed, error) &&
                query_do(connection, "ROLLBACK TO SAVEPOINT segue_settings", error);
    text_release(&view);
    return done;
}
