/*
 * Users: who may come to the admin console, and what each may do there. A file of lines
 *
 *     name verifier role [peer=local_user]
 *
 *     "ann"    "SCRAM-SHA-256$4096:..$..:.."  operator
 *     "watch"  ""                             viewer    peer=nagios
 *
 * Words may stand in double quotes, in which "" is a quote. `verifier` is what PostgreSQL stores of
 * a password, or "" for one who comes only by the Unix socket, as the local user of that name or
 * number. Comments begin with #.
 */
#ifndef SEGUE_PROXY_ADMIN_USERS_H
#define SEGUE_PROXY_ADMIN_USERS_H

#include "segue/auth/scram.h"

#include <sys/types.h>

enum role {
    ROLE_UNSAID, /* nobody's; a command that says it is a bug */
    ROLE_VIEWER, /* sees everything, changes nothing */
    ROLE_OPERATOR
};
const char *role_name(enum role role);

enum { USER_NAME_MAX = 63 }; /* bytes, as of a role of PostgreSQL */

struct user {
    char name[USER_NAME_MAX + 1];
    enum role role;
    bool has_verifier, has_peer;
    struct scram_verifier verifier;
    uid_t peer;
};

struct users {
    struct user *list;
    size_t count;
};

/* NULL with `error` (F0000) that begins with `file` and the line's number. */
struct users *users_parse(const char *text, const char *file, struct error *error);
/* Also refuses a file that others may read, or somebody else may change. */
struct users *users_load(const char *path, struct error *error);
void users_free(struct users *users); /* wipes the verifiers; NULL is allowed */

const struct user *users_find(const struct users *users, const char *name); /* NULL: not there */
/* What a stranger is asked with who names a user that is not there, or has no verifier: like the
 * others to look at. */
void users_mock(const struct users *users, const char *name, struct scram_verifier *verifier);
/* Has anybody a verifier? */
bool users_have_verifiers(const struct users *users);

#endif
