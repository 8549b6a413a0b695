/*
 * TLS: contexts made of files, for either side. A stream becomes encrypted by stream_secure; from
 * then on it has the same calls and the same events.
 *
 * OpenSSL does the cryptography. Contexts are counted, immutable and may be used by all threads;
 * new certificates come by a new context.
 */
#ifndef SEGUE_NET_TLS_H
#define SEGUE_NET_TLS_H

#include "segue/base/error.h"

enum tls_verify {
    TLS_VERIFY_NONE,
    TLS_VERIFY_CA,  /* the peer's certificate must lead to one of `authorities` */
    TLS_VERIFY_FULL /* and be made out for the name that it is known by */
};

/* All are names of PEM files; NULL: none. */
struct tls_options {
    const char *certificate;      /* our own, with its chain */
    const char *key;              /* its key; only its owner (or root) may read it */
    const char *authorities;      /* whom we trust; NULL with verification: the system's */
    const char *revocations;      /* certificates that hold no longer */
    const char *ciphers;          /* of TLS 1.2, as OpenSSL lists them; NULL: as PostgreSQL */
    const char *minimum_protocol; /* "TLSv1.2" (as NULL) or "TLSv1.3" */
    enum tls_verify verify;
};

struct tls_context;
/* NULL with `error`: which file, and what is wrong with it. */
struct tls_context *tls_context_for_clients(const struct tls_options *options, struct error *error);
struct tls_context *tls_context_for_server(const struct tls_options *options, struct error *error);
struct tls_context *tls_context_get(struct tls_context *context);
void tls_context_put(struct tls_context *context); /* NULL is allowed */

#endif
