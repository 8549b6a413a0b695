/*
 * Encryption: which TLS contexts sessions use, made from the settings' files. What is being agreed
 * on, or was, keeps the context that it began with.
 */
#ifndef SEGUE_SESSION_ENCRYPTION_H
#define SEGUE_SESSION_ENCRYPTION_H

#include "segue/config/settings.h"
#include "segue/net/tls.h"

struct encryption {
    struct tls_context *clients; /* NULL: none is offered */
    struct tls_context *server;  /* NULL: none is asked for */
};

/* What settings of TLS ask of a context. */
struct tls_options encryption_options(const struct settings_tls *tls);
/* False with `error` when a file is missing or wrong. */
bool encryption_load(struct encryption *encryption, const struct settings *settings,
                     struct error *error) MUST_CHECK;
/* Takes references on both. */
struct encryption encryption_get(const struct encryption *encryption);
void encryption_release(struct encryption *encryption);

#endif
