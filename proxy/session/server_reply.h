/* What the files that read the server's messages share: one reply, and what becomes of it. */
#ifndef SEGUE_SESSION_SERVER_REPLY_H
#define SEGUE_SESSION_SERVER_REPLY_H

#include "session.h"

enum verdict {
    PASS,
    DROP, /* the reply to a message of our own, or replaced by another */
    NEED_WHOLE
};

struct reply {
    uint8_t *data;
    size_t size;      /* of the whole message */
    size_t available; /* bytes of it that are there */
    uint8_t *body;
    size_t body_length;
};

static inline bool reply_is_whole(const struct reply *reply)
{
    return reply->available == reply->size;
}

/* Not all of it is there, and it is not too large to be looked into. */
static inline bool reply_can_be_whole(const struct reply *reply)
{
    return !reply_is_whole(reply) && reply->size <= SESSION_LOOK_MAX;
}

static inline struct output *to_client(struct session *session)
{
    return &session->worker->to_client;
}

/* ---- upstream_target.c: while the session has an attempt */
enum verdict upstream_on_reply(struct session *session, const struct reply *reply);
bool upstream_withholds(const struct session *session);
void upstream_withhold(struct session *session, const struct reply *reply);

/* ---- server_results.c: `request` is the one that is answered, NULL where there is none */
enum verdict on_row_description(struct session *session, const struct request *request,
                                struct reply *reply);

/* ---- server_completion.c */
enum verdict on_command_complete(struct session *session, struct request *request,
                                 const struct reply *reply);

/* ---- server_errors.c */
enum verdict on_error(struct session *session, const struct reply *reply);
enum verdict on_notice(struct session *session, const struct reply *reply);

#endif
