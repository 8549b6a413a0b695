/*
 * Admission: how many connections the console has at a time. Strangers are many and cost nothing to
 * send, so they never take the place of those who have logged in, nor of root and segue's own user
 * at the Unix socket; and among themselves the one that has waited longest makes room for the next,
 * from where most of them came.
 */
#ifndef SEGUE_PROXY_ADMIN_ADMISSION_H
#define SEGUE_PROXY_ADMIN_ADMISSION_H

#include "client.h"

enum {
    ADMISSION_MAX = 100,     /* that have logged in */
    ADMISSION_RESERVED = 5,  /* and more of them by root and segue's own user */
    ADMISSION_STRANGERS = 50 /* that have not, nor are one of these two */
};

/* Is it root, or segue's own user, at the Unix socket? */
bool admission_is_privileged(const struct client *client);
/* False with `error` (53300) where no more may log in. */
bool admission_may_log_in(const struct client *client, struct error *error) MUST_CHECK;
/* One more stranger has come: where that is one too many, another is ended. */
void admission_make_room(struct console *console, const struct client *newest);

#endif
