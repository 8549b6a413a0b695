/* What the files that take the client's messages share: one message, and what becomes of it. */
#ifndef SEGUE_SESSION_CLIENT_MESSAGE_H
#define SEGUE_SESSION_CLIENT_MESSAGE_H

#include "session.h"

#include "segue/wire/frame.h"

enum verdict {
    PASS,      /* forward it as it is */
    TAKEN,     /* dealt with; all of it is there */
    REPLACED,  /* something else was sent in its place: throw away what is still to come */
    NEED_MORE, /* it must be whole, or at least longer */
    MUST_WAIT  /* session->waiting says for what */
};

struct message {
    const uint8_t *data;
    size_t size;      /* of the whole message */
    size_t available; /* bytes of it that are there */
    const uint8_t *body;
    size_t body_length; /* of what is there */
};

static inline bool message_is_whole(const struct message *message)
{
    return message->available == message->size;
}

static inline enum verdict wait_for(struct session *session, enum session_wait reason)
{
    session->waiting = reason;
    return MUST_WAIT;
}

static inline struct output *to_server(struct session *session)
{
    return &session->worker->to_server;
}

/* In place of a message that names a statement or portal, or (`name` NULL) of one of a batch. */
static inline enum verdict replaced_extended(struct session *session, const char *name,
                                             const struct error *error)
{
    refuse_extended(session, name, error);
    return REPLACED;
}

static inline void note_naming(struct session *session, struct request *request,
                               bool names_statements)
{
    request->names_statements = names_statements;
    session->naming += names_statements;
}

/* ---- client_texts.c */
enum verdict on_query(struct session *session, const struct message *message);
enum verdict on_parse(struct session *session, const struct message *message);

/* ---- client_portals.c */
enum verdict on_bind(struct session *session, const struct message *message);
enum verdict on_describe_or_close(struct session *session, const struct message *message,
                                  bool is_close);
enum verdict on_execute(struct session *session, const struct message *message);

#endif
