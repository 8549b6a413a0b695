#include "segue/session/encryption.h"

static enum tls_verify verification(enum settings_sslmode mode)
{
    switch (mode) {
    case SSLMODE_DISABLE:
    case SSLMODE_ALLOW:
    case SSLMODE_PREFER:
    case SSLMODE_REQUIRE:
        return TLS_VERIFY_NONE;
    case SSLMODE_VERIFY_CA:
        return TLS_VERIFY_CA;
    case SSLMODE_VERIFY_FULL:
        return TLS_VERIFY_FULL;
    }
    BUG("sslmode %d", (int)mode);
}

struct tls_options encryption_options(const struct settings_tls *tls)
{
    return (struct tls_options){
        .certificate = tls->certificate,
        .key = tls->key,
        .authorities = tls->authorities,
        .revocations = tls->revocations,
        .ciphers = tls->ciphers,
        .minimum_protocol = tls->minimum_protocol,
        .verify = verification(tls->mode),
    };
}

bool encryption_load(struct encryption *encryption, const struct settings *settings,
                     struct error *error)
{
    *encryption = (struct encryption){0};
    if (settings->client_tls.mode != SSLMODE_DISABLE) {
        struct tls_options options = encryption_options(&settings->client_tls);
        encryption->clients = tls_context_for_clients(&options, error);
        if (!encryption->clients)
            return false;
    }
    if (settings->server_tls.mode != SSLMODE_DISABLE) {
        struct tls_options options = encryption_options(&settings->server_tls);
        encryption->server = tls_context_for_server(&options, error);
        if (!encryption->server) {
            encryption_release(encryption);
            return false;
        }
    }
    return true;
}

struct encryption encryption_get(const struct encryption *encryption)
{
    return (struct encryption){
        .clients = encryption->clients ? tls_context_get(encryption->clients) : NULL,
        .server = encryption->server ? tls_context_get(encryption->server) : NULL,
    };
}

void encryption_release(struct encryption *encryption)
{
    tls_context_put(encryption->clients);
    tls_context_put(encryption->server);
    *encryption = (struct encryption){0};
}
