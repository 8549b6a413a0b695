/*
 * Portals of a session: which definition each was bound to, so that what comes of it can be told in
 * the client's terms. They change with the replies; all end with the transaction.
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
    bind->definition = NULL;
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

void session_drop_portals(struct session *session)
{
    portal_drop(session, &session->unnamed_portal);
    struct portal *portal;
    while ((portal = LIST_FIRST(&session->portals)))
        portal_drop(session, portal);
}

const struct definition *definition_behind(struct session *session, const struct request *request)
{
    if (request->kind != REQUEST_EXECUTE && request->kind != REQUEST_DESCRIBE_PORTAL)
        return request->definition;
    const struct portal *portal = portal_find(session, request->portal);
    return portal ? portal->definition : NULL;
}
