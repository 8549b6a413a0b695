/*
 * Contexts: files read, checked and explained. The choices are those of PostgreSQL's own server and
 * of libpq (TLS 1.2 and up, no session tickets, no renegotiation, no compression).
 */
#include "tls.h"

#include "segue/base/memory.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *default_ciphers = "HIGH:MEDIUM:+3DES:!aNULL";

void tls_reason(char *buffer, size_t size)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (reason)
        snprintf(buffer, size, "%s", reason);
    else if (code)
        snprintf(buffer, size, "OpenSSL error %lx", code);
    else
        snprintf(buffer, size, "no reason given");
    ERR_clear_error();
}

static bool cannot(struct error *error, const char *what, const char *file)
{
    char reason[256];
    tls_reason(reason, sizeof reason);
    return error_set(error, "F0000", "could not load the %s \"%s\": %s", what, file, reason);
}

/* As PostgreSQL: it is ours or root's, and nobody but the owner may read it; one of root's may be
 * read by a group. */
static bool key_is_private(const char *file, struct error *error)
{
    struct stat status;
    if (stat(file, &status) != 0)
        return error_set(error, "58P01", "could not read the private key \"%s\": %s", file,
                         strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(error, "F0000", "private key \"%s\" is not a regular file", file);
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        error_set(error, "F0000", "private key \"%s\" belongs to another user", file);
        error_hint(error, "chown it to segue's own user, or to root.");
        return false;
    }
    mode_t others =
        status.st_uid == 0 && geteuid() != 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
    if (!(status.st_mode & others))
        return true;
    error_set(error, "F0000", "private key \"%s\" may be read by others", file);
    error_hint(error, "chmod 600 it; one that belongs to root may be 640.");
    return false;
}

/* Nobody can be asked for one: at RELOAD it would be on a thread of the console's. */
static int on_passphrase(char *buffer, int size, int for_writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)for_writing;
    *(bool *)context = true;
    return -1;
}

static bool load_key(SSL_CTX *ssl, const char *file, bool *is_encrypted)
{
    *is_encrypted = false;
    SSL_CTX_set_default_passwd_cb(ssl, on_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, is_encrypted);
    bool loaded = SSL_CTX_use_PrivateKey_file(ssl, file, SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    return loaded;
}

static bool use_certificate(SSL_CTX *ssl, const struct tls_options *options, struct error *error)
{
    if (!options->certificate && !options->key)
        return true;
    if (!options->certificate || !options->key)
        return error_set(error, "F0000", "a certificate needs its key, and a key its certificate");
    if (SSL_CTX_use_certificate_chain_file(ssl, options->certificate) != 1)
        return cannot(error, "certificate", options->certificate);
    if (!key_is_private(options->key, error))
        return false;
    bool is_encrypted;
    if (load_key(ssl, options->key, &is_encrypted) && SSL_CTX_check_private_key(ssl) == 1)
        return true;
    if (is_encrypted) {
        ERR_clear_error();
        error_set(error, "F0000", "private key \"%s\" is encrypted", options->key);
        error_hint(error, "`openssl pkey` decrypts it.");
        return false;
    }
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (reason != X509_R_KEY_VALUES_MISMATCH && reason != X509_R_KEY_TYPE_MISMATCH)
        return cannot(error, "private key", options->key);
    ERR_clear_error();
    return error_set(error, "F0000", "private key \"%s\" is not that of certificate \"%s\"",
                     options->key, options->certificate);
}

static bool use_authorities(SSL_CTX *ssl, const struct tls_options *options, struct error *error)
{
    if (options->authorities) {
        if (SSL_CTX_load_verify_locations(ssl, options->authorities, NULL) != 1)
            return cannot(error, "certificate authorities", options->authorities);
    } else if (options->verify != TLS_VERIFY_NONE && SSL_CTX_set_default_verify_paths(ssl) != 1) {
        return cannot(error, "certificate authorities", "of the system");
    }
    if (!options->revocations)
        return true;
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    if (X509_STORE_load_locations(store, options->revocations, NULL) != 1)
        return cannot(error, "certificate revocation list", options->revocations);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return true;
}

static bool limit_protocol(SSL_CTX *ssl, const struct tls_options *options, struct error *error)
{
    int minimum = TLS1_2_VERSION;
    if (options->minimum_protocol && strcmp(options->minimum_protocol, "TLSv1.3") == 0)
        minimum = TLS1_3_VERSION;
    else if (options->minimum_protocol && strcmp(options->minimum_protocol, "TLSv1.2") != 0)
        return error_set(error, "22023", "unknown TLS version \"%s\": expected TLSv1.2 or TLSv1.3",
                         options->minimum_protocol);
    const char *ciphers = options->ciphers ? options->ciphers : default_ciphers;
    if (SSL_CTX_set_min_proto_version(ssl, minimum) != 1)
        return error_set(error, "58000", "OpenSSL's configuration leaves no TLS version to use");
    if (SSL_CTX_set_cipher_list(ssl, ciphers) == 1)
        return true;
    ERR_clear_error();
    return error_set(error, "22023", "no cipher of \"%s\" is known to OpenSSL", ciphers);
}

static struct tls_context *context_new(const SSL_METHOD *method, const struct tls_options *options,
                                       struct error *error)
{
    ERR_clear_error();
    SSL_CTX *ssl = SSL_CTX_new(method);
    BUG_ON(!ssl); /* out of memory */
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (!limit_protocol(ssl, options, error) || !use_certificate(ssl, options, error) ||
        !use_authorities(ssl, options, error)) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    struct tls_context *context = NEW(struct tls_context);
    atomic_init(&context->references, 1);
    context->ssl = ssl;
    context->verify = options->verify;
    return context;
}

/* What libpq and the server call the protocol in ALPN. */
static const unsigned char protocol_name[] = "\012postgresql";
enum { PROTOCOL_NAME_LENGTH = sizeof protocol_name - 1 };

/* A client that names protocols must name ours: nobody shall make it speak another one here. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                   const unsigned char *in, unsigned in_length, void *context)
{
    (void)ssl;
    (void)context;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_length, protocol_name, PROTOCOL_NAME_LENGTH, in,
                              in_length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

struct tls_context *tls_context_for_clients(const struct tls_options *options, struct error *error)
{
    if (!options->certificate) {
        error_set(error, "F0000", "TLS for clients needs a certificate and its key");
        error_hint(error, "Set client_tls_cert_file and client_tls_key_file.");
        return NULL;
    }
    struct tls_context *context = context_new(TLS_server_method(), options, error);
    if (!context)
        return NULL;
    context->is_for_clients = true;
    SSL_CTX_set_alpn_select_cb(context->ssl, on_alpn, NULL);
    if (!options->authorities)
        return context;
    /* As PostgreSQL: one is asked for where it could be verified, and must hold where it is given;
     * whether it must be given, `verify` says. */
    SSL_CTX_set_client_CA_list(context->ssl, SSL_load_client_CA_file(options->authorities));
    int mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
    if (options->verify != TLS_VERIFY_NONE)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context->ssl, mode, NULL);
    return context;
}

struct tls_context *tls_context_for_server(const struct tls_options *options, struct error *error)
{
    struct tls_context *context = context_new(TLS_client_method(), options, error);
    if (!context)
        return NULL;
    SSL_CTX_set_verify(
        context->ssl, options->verify == TLS_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    return context;
}

struct tls_context *tls_context_get(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void tls_context_put(struct tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(context->ssl);
    free(context);
}

bool tls_common_name(X509 *certificate, char *buffer, size_t size)
{
    enum { LONGEST = 64 }; /* ub-common-name of RFC 5280 */
    char name[LONGEST + 2];
    X509_NAME *subject = X509_get_subject_name(certificate);
    int length = X509_NAME_get_text_by_NID(subject, NID_commonName, name, sizeof name);
    if (length <= 0 || (size_t)length >= sizeof name || strlen(name) != (size_t)length ||
        (size_t)length >= size)
        return false;
    memcpy(buffer, name, (size_t)length + 1);
    return true;
}
