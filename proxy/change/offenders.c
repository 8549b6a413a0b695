#include "offenders.h"

#include <libpq-fe.h>

struct search {
    PGconn *connection;
    const struct scan *scan;
    const struct scan_leaf *leaf;
    const char *expression;
    const PGresult *rows; /* their ctids */
    size_t found, most;
    offender_callback callback;
    void *context;
    struct error *error;
};

/* Is it about a value, not about the connection, the server or a cancel? */
static bool blames_a_row(const struct error *error)
{
    return strncmp(error->sqlstate, "08", 2) != 0 && strncmp(error->sqlstate, "5", 1) != 0;
}

static bool evaluate(const struct search *search, int from, int to, struct error *why)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query, "SELECT pg_catalog.count((%s)) FROM ONLY %s WHERE ctid = ANY ('{",
                    search->expression, search->leaf->name);
    for (int i = from; i < to; i++)
        text_add_format(&query, "%s\"%s\"", i > from ? "," : "", query_value(search->rows, i, 0));
    text_add_string(&query, "}'::tid[])");
    bool done = query_do(search->connection, query.data, why);
    text_release(&query);
    return done;
}

static bool tell(struct search *search, int row, const char *why)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query, "SELECT %s FROM ONLY %s WHERE ctid = '%s'::tid", search->scan->row_name,
                    search->leaf->name, query_value(search->rows, row, 0));
    PGresult *result = query_run(search->connection, query.data, search->error);
    text_release(&query);
    if (result && PQntuples(result) == 1) {
        search->found++;
        search->callback(search->context, query_value(result, 0, 0),
                         query_value(search->rows, row, 0), why);
    }
    PQclear(result);
    return result != NULL;
}

static bool halve(struct search *search, int from, int to)
{
    if (from == to || search->found == search->most)
        return true;
    struct error why = {0};
    if (evaluate(search, from, to, &why))
        return true;
    if (!blames_a_row(&why)) {
        if (search->error)
            *search->error = why;
        return false;
    }
    if (to - from == 1)
        return tell(search, from, why.message);
    int middle = from + (to - from) / 2;
    return halve(search, from, middle) && halve(search, middle, to);
}

bool offenders_find(struct pg_conn *connection, const struct scan *scan,
                    const struct scan_leaf *leaf, const char *condition, const char *expression,
                    size_t most, offender_callback callback, void *context, size_t *found,
                    struct error *error)
{
    struct text query;
    text_init(&query, TEXT_UNBOUNDED);
    text_add_format(&query, "SELECT ctid FROM ONLY %s WHERE %s", leaf->name, condition);
    PGresult *rows = query_run(connection, query.data, error);
    text_release(&query);
    if (!rows)
        return false;
    struct search search = {.connection = connection,
                            .scan = scan,
                            .leaf = leaf,
                            .expression = expression,
                            .rows = rows,
                            .most = most,
                            .callback = callback,
                            .context = context,
                            .error = error};
    bool done = halve(&search, 0, PQntuples(rows));
    *found = search.found;
    PQclear(rows);
    return done;
}
