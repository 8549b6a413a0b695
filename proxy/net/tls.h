/* What a stream asks of a TLS context. */
#ifndef SEGUE_PROXY_NET_TLS_H
#define SEGUE_PROXY_NET_TLS_H

#include "segue/net/tls.h"

#include <openssl/ssl.h>

struct tls_context {
    _Atomic unsigned references;
    SSL_CTX *ssl;
    enum tls_verify verify;
    bool is_for_clients; /* we are the server of the handshake */
};

/*
 * The common name of a certificate's subject. False where it has none, one that is too long, or one
 * with a zero byte inside, which would mean one thing here and another to who signed it.
 */
bool tls_common_name(X509 *certificate, char *buffer, size_t size);

/* What OpenSSL has to say, newest reason last; its queue is empty afterwards. */
void tls_reason(char *buffer, size_t size);

#endif
