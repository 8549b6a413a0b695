/*
 * Portals of a session: which definition each was bound to, so that what comes of it can be told in
 * the client's terms. They change with the replies, and end with the transaction but for cursors
 * WITH HOLD. Such a one that a rollback takes away stays here until its name is used again: nobody
 * can ask for it meanwhile.
 */
#include "session.h"

#include "segue/base/memory.h"

#include <stdlib.h>

struct portal *portal_find(struct session *session, const char *name)
{
    if (!name)
        return &session->unnamed_portal;
    struct portal *portal;
    LIST_FOREACH(portal, &session->portals, link)
    {
        if (strcmp(portal->name, name) == 0)
            return portal;
    }
    return NULL;
}

void portal_set(struct session *session, struct request *bind)
{
    struct portal *portal = portal_find(session, bind->portal);
    if (!portal) {
        portal = NEW(struct portal);
        portal->name = bind->portal;
        bind->portal = NULL;
        LIST_INSERT_HEAD(&session->portals, portal, link);
    }
    if (portal->definition)
        definition_put(&session->worker->sources, portal->definition);
    portal->definition = bind->definition; /* the request's reference */
    portal->statement = 0;
    portal->is_held = false;
    bind->definition = NULL;
}

/* A copy of the name is made where it is new. */
static struct portal *find_or_make(struct session *session, const char *name)
{
    struct portal *portal = portal_find(session, name);
    if (portal)
        return portal;
    portal = NEW(struct portal);
    portal->name = memory_string(name);
    LIST_INSERT_HEAD(&session->portals, portal, link);
    return portal;
}

void portal_declare(struct session *session, struct definition *definition,
                    const struct rewrite_named *named)
{
    struct portal *portal = find_or_make(session, named->name);
    definition_put(&session->worker->sources, portal->definition);
    portal->definition = definition_get(definition);
    portal->statement = named->statement;
    portal->is_held = named->fact & REWRITE_FACT_WITH_HOLD;
}

void portal_close(struct session *session, const char *name)
{
    struct portal *portal = portal_find(session, name);
    if (portal)
        portal_drop(session, portal);
}

void portal_drop(struct session *session, struct portal *portal)
{
    definition_put(&session->worker->sources, portal->definition);
    portal->definition = NULL;
    if (portal == &session->unnamed_portal)
        return;
    LIST_REMOVE(portal, link);
    free(portal->name);
    free(portal);
}

void session_close_portals(struct session *session)
{
    portal_drop(session, &session->unnamed_portal);
    struct portal *portal;
    while ((portal = LIST_FIRST(&session->portals)))
        portal_drop(session, portal);
}

void session_drop_portals(struct session *session)
{
    portal_drop(session, &session->unnamed_portal);
    struct portal *next;
    for (struct portal *portal = LIST_FIRST(&session->portals); portal; portal = next) {
        next = LIST_NEXT(portal, link);
        if (!portal->is_held)
            portal_drop(session, portal);
    }
}

struct definition *definition_behind(struct session *session, const struct request *request)
{
    if (request->kind != REQUEST_EXECUTE && request->kind != REQUEST_DESCRIBE_PORTAL)
        return request->definition;
    const struct portal *portal = portal_find(session, request->portal);
    return portal ? portal->definition : NULL;
}

struct definition *definition_to_execute(struct session *session, const char *name)
{
    for (uint32_t i = session->queue.count; i > 0; i--) {
        const struct request *request = request_queue_at(&session->queue, i - 1);
        if (request->kind == REQUEST_BIND && request->injected == REQUEST_OF_CLIENT &&
            strcmp(request->portal ? request->portal : "", name) == 0)
            return request->definition;
    }
    struct portal *portal = portal_find(session, name[0] ? name : NULL);
    return portal ? portal->definition : NULL;
}
