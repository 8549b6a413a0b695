/*
 * Access: what the console needs to know of who may come in: users and a certificate. Read from
 * files at start and again by RELOAD, as a whole or not at all. Every call is safe on any thread.
 */
#ifndef SEGUE_PROXY_ADMIN_ACCESS_H
#define SEGUE_PROXY_ADMIN_ACCESS_H

#include "users.h"

#include "segue/config/settings.h"
#include "segue/net/tls.h"

struct access;

struct access *access_new(void); /* nobody, no TLS */
void access_free(struct access *access);

/* Reads the files that the settings name. False with `error`, which says which file (and line):
 * then all stays as it was. */
bool access_load(struct access *access, const struct settings *settings,
                 struct error *error) MUST_CHECK;

/* Would it? */
bool access_check(const struct settings *settings, struct error *error) MUST_CHECK;

/* Copies what is said of this user; false where there is no such one. */
bool access_find_user(struct access *access, const char *name, struct user *user) MUST_CHECK;
/* What whoever comes under this name must prove to know; one that no proof satisfies where the name
 * has none. False where nobody has one, so that asking would be idle. */
bool access_find_verifier(struct access *access, const char *name,
                          struct scram_verifier *verifier) MUST_CHECK;
/* With a reference for the caller; NULL: none is offered. */
struct tls_context *access_tls(struct access *access);

#endif
