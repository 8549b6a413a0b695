/*
 * Encryption: which TLS contexts the sessions of a worker use, made from the settings' files.
 */
#ifndef SEGUE_SESSION_ENCRYPTION_H
#define SEGUE_SESSION_ENCRYPTION_H

#include "segue/config/settings.h"
#include "segue/net/tls.h"

struct encryption {
    struct tls_context *clients; /* NULL: none is offered */
    struct tls_context *server;  /* NULL: none is asked for */
};

/* False with `error` when a file is missing or wrong. */
bool encryption_load(struct encryption *encryption, const struct settings *settings,
                     struct error *error) MUST_CHECK;
void encryption_release(struct encryption *encryption);

#endif
