/*
 * RowDescription: columns that are computed say which column they stand for (REWRITE.md, trap 5).
 *
 * Whose rows are described is the question. Those of a statement are of its own text; EXECUTE and
 * FETCH show rows of a text that was sent before, perhaps in another phase: what was told of its
 * columns then is kept with the prepared statement's name, and with the cursor's.
 */
#include "server_reply.h"

#include "segue/wire/frame.h"
#include "segue/wire/message.h"

/* A statement whose rows are shown. */
struct shown {
    const struct rewrite *rewrite; /* NULL: nothing is known of its columns */
    uint32_t statement;
};

static struct shown of_definition(const struct definition *definition, uint32_t statement)
{
    if (!definition)
        return (struct shown){NULL, 0};
    if (definition->told)
        return (struct shown){definition->told, definition->told_statement};
    return (struct shown){definition->rewrite, statement};
}

/* An EXECUTE shows the rows of what was prepared under its name. */
static struct shown of_prepared(struct session *session, const char *name)
{
    const struct prepared *slot = prepared_find(&session->prepared, name);
    return of_definition(slot ? slot->confirmed : NULL, 0);
}

/* A FETCH shows the rows of the cursor of that name, a portal like any other. */
static struct shown of_cursor(struct session *session, const char *name)
{
    const struct portal *portal = portal_find(session, name);
    return portal ? of_definition(portal->definition, portal->statement) : (struct shown){NULL, 0};
}

/* The statement whose text a request runs or describes. */
static struct shown of_request(struct session *session, const struct request *request)
{
    if (request->kind == REQUEST_DESCRIBE_PORTAL)
        return of_cursor(session, request->portal);
    return of_definition(definition_behind(session, request), request->statement);
}

/* Follows EXECUTE and FETCH; an EXECUTE may run a FETCH, and there it ends. */
static struct shown follow(struct session *session, struct shown shown)
{
    for (int step = 0; step < 2; step++) {
        const struct rewrite *rewrite = shown.rewrite;
        for (size_t i = 0; rewrite && i < rewrite->named_count; i++) {
            const struct rewrite_named *named = &rewrite->named[i];
            if (named->statement != shown.statement || named->fact & REWRITE_FACT_IS_HELD)
                continue;
            if (named->fact & REWRITE_FACT_EXECUTE)
                shown = of_prepared(session, named->name);
            else if (named->fact & REWRITE_FACT_FETCH)
                shown = of_cursor(session, named->name);
        }
        if (shown.rewrite == rewrite)
            break;
    }
    return shown;
}

static void put_origin(uint8_t *origin, const struct rewrite_result *result)
{
    for (int i = 0; i < 4; i++)
        origin[i] = (uint8_t)(result->table_oid >> (24 - 8 * i));
    origin[4] = (uint8_t)((uint16_t)result->attnum >> 8);
    origin[5] = (uint8_t)result->attnum;
}

/*
 * In place. What the server knows to be of another table is not touched; of the same table, it is
 * the column that a conversion which changes nothing reads.
 */
static void patch(const struct rewrite *rewrite, size_t first, uint32_t statement,
                  struct reply *reply)
{
    if (reply->body_length < 2)
        return;
    size_t count = wire_get_int16(reply->body), offset = 2, next = first;
    for (size_t column = 0; column < count && next < rewrite->result_count; column++) {
        size_t at = wire_row_description_column(reply->body, reply->body_length, &offset);
        const struct rewrite_result *result = &rewrite->results[next];
        if (at == 0 || result->statement != statement)
            return;
        if (result->column != column)
            continue;
        next++;
        uint32_t known = (uint32_t)wire_get_int32(reply->body + at);
        if (known == 0 || known == result->table_oid)
            put_origin(reply->body + at, result);
    }
}

enum verdict on_row_description(struct session *session, const struct request *request,
                                struct reply *reply)
{
    if (!request)
        return PASS;
    struct shown shown = follow(session, of_request(session, request));
    size_t first = 0;
    while (shown.rewrite && first < shown.rewrite->result_count &&
           shown.rewrite->results[first].statement < shown.statement)
        first++;
    if (!shown.rewrite || first == shown.rewrite->result_count)
        return PASS;
    if (reply_can_be_whole(reply))
        return NEED_WHOLE;
    if (reply_is_whole(reply))
        patch(shown.rewrite, first, shown.statement, reply);
    return PASS;
}
