/*
 * TLS on a stream. OpenSSL reads the socket through a BIO of ours, as many bytes at a time as there
 * are, and writes into a text that all streams of a loop share; it never has to wait for room,
 * since a stream keeps what its peer does not take.
 *
 * OpenSSL may hold bytes that it has received and not given out, of which the socket tells nothing
 * any more: such a stream stands in the pool's list `unread` until it was read to the end.
 */
#include "segue/base/memory.h"

#include "stream_pool.h"
#include "tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RECORD_MAX = 16 * 1024,   /* plain bytes of a TLS record */
    SEALED_KEPT = 256 * 1024, /* more than this is given back after use */
};

struct stream_tls {
    SSL *ssl;
    struct tls_context *context;
    struct stream *stream;
    struct text received; /* what was read before TLS began */
    size_t received_taken;
    int status; /* 0, or how reading ended: UV_EOF or an error of libuv's */
    bool is_secured;
    bool said_goodbye;
    bool is_unread; /* in the pool's list */
    TAILQ_ENTRY(stream_tls) link;
};

/* ---------------------------------------------------------------- the BIO */

static int bio_read(BIO *bio, char *buffer, int size)
{
    struct stream_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t left = tls->received.length - tls->received_taken;
    if (left) {
        size_t count = left < (size_t)size ? left : (size_t)size;
        memcpy(buffer, tls->received.data + tls->received_taken, count);
        tls->received_taken += count;
        if (count == left) {
            text_release(&tls->received);
            tls->received_taken = 0;
        }
        return (int)count;
    }
    ssize_t count = stream_receive_plain(tls->stream, buffer, (size_t)size);
    if (count == UV_EAGAIN)
        BIO_set_retry_read(bio);
    else if (count <= 0)
        tls->status = count == 0 ? UV_EOF : (int)count;
    return count < 0 ? -1 : (int)count;
}

static int bio_write(BIO *bio, const char *data, int length)
{
    struct stream_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    text_add(&tls->stream->pool->sealed, data, (size_t)length);
    return length;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    const struct stream_tls *tls = BIO_get_data(bio);
    if (command == BIO_CTRL_EOF)
        return tls->status == UV_EOF;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static uv_once_t method_once = UV_ONCE_INIT;

static void make_method(void)
{
    int type = BIO_get_new_index();
    BUG_ON(type == -1);
    method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "segue stream");
    BUG_ON(!method || BIO_meth_set_read(method, bio_read) != 1 ||
           BIO_meth_set_write(method, bio_write) != 1 ||
           BIO_meth_set_ctrl(method, bio_control) != 1);
}

static BIO *bio_new(struct stream_tls *tls)
{
    uv_once(&method_once, make_method);
    BIO *bio = BIO_new(method);
    BUG_ON(!bio); /* out of memory */
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
}

/* What OpenSSL wrote during the last call into it. */
static enum stream_result send_sealed(struct stream *stream)
{
    struct text *sealed = &stream->pool->sealed;
    if (sealed->length == 0)
        return STREAM_SENT;
    enum stream_result result = STREAM_BROKEN;
    if (!stream->is_broken) {
        uv_buf_t buffer = {.base = sealed->data, .len = sealed->length};
        result = stream_send_plain(stream, &buffer, 1);
    }
    if (sealed->capacity > SEALED_KEPT)
        text_release(sealed);
    else
        text_clear(sealed);
    return result;
}

/* ---------------------------------------------------------------- begin and end */

static bool is_ip_address(const char *host)
{
    struct in6_addr parsed; /* room for either family */
    return inet_pton(AF_INET, host, &parsed) == 1 || inet_pton(AF_INET6, host, &parsed) == 1;
}

/* Towards a server: whom we ask for, and whose certificate it must be. */
static void set_server_name(struct stream_tls *tls, const char *host)
{
    bool is_ip = is_ip_address(host);
    if (!is_ip)
        BUG_ON(SSL_set_tlsext_host_name(tls->ssl, host) != 1);
    if (tls->context->verify != TLS_VERIFY_FULL)
        return;
    X509_VERIFY_PARAM *parameters = SSL_get0_param(tls->ssl);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int done = is_ip ? X509_VERIFY_PARAM_set1_ip_asc(parameters, host)
                     : X509_VERIFY_PARAM_set1_host(parameters, host, 0);
    BUG_ON(done != 1);
}

static void read_later(struct stream_tls *tls)
{
    if (tls->is_unread)
        return;
    tls->is_unread = true;
    TAILQ_INSERT_TAIL(&tls->stream->pool->unread, tls, link);
}

static void read_no_more(struct stream_tls *tls)
{
    if (!tls->is_unread)
        return;
    tls->is_unread = false;
    TAILQ_REMOVE(&tls->stream->pool->unread, tls, link);
}

void stream_secure(struct stream *stream, struct tls_context *context, const char *host,
                   struct slice received)
{
    BUG_ON(stream->tls);
    struct stream_tls *tls = NEW(struct stream_tls);
    tls->stream = stream;
    tls->context = tls_context_get(context);
    text_init(&tls->received, TEXT_UNBOUNDED);
    text_add_slice(&tls->received, received);
    tls->ssl = SSL_new(context->ssl);
    BUG_ON(!tls->ssl); /* out of memory */
    BIO *bio = bio_new(tls);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_read_ahead(tls->ssl, 1);
    if (context->is_for_clients) {
        SSL_set_accept_state(tls->ssl);
    } else {
        SSL_set_connect_state(tls->ssl);
        set_server_name(tls, host);
    }
    stream->tls = tls;
    read_later(tls); /* the first step is taken in the loop, not inside this call */
}

void stream_tls_free(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;
    if (!tls)
        return;
    stream->tls = NULL;
    read_no_more(tls);
    SSL_free(tls->ssl);
    tls_context_put(tls->context);
    text_release(&tls->received);
    free(tls);
}

/* ---------------------------------------------------------------- the handshake */

static void explain_failure(const struct stream_tls *tls, struct error *error)
{
    long verified = SSL_get_verify_result(tls->ssl);
    char reason[256];
    tls_reason(reason, sizeof reason);
    if (tls->status == UV_EOF)
        error_set(error, "08006", "the peer ended the TLS handshake");
    else if (tls->status)
        error_set(error, "08006", "the TLS handshake failed: %s", uv_strerror(tls->status));
    else if (verified != X509_V_OK)
        error_set(error, "08006", "the peer's certificate is not accepted: %s",
                  X509_verify_cert_error_string(verified));
    else
        error_set(error, "08006", "the TLS handshake failed: %s", reason);
}

/* False where it goes on later, or has failed. The owner may have closed the stream. */
static bool shake_hands(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;
    ERR_clear_error();
    int done = SSL_do_handshake(tls->ssl);
    int state = SSL_get_error(tls->ssl, done);
    if (done == 1) {
        tls->is_secured = true;
        send_sealed(stream);
        stream->events->on_secured(stream, NULL);
        return stream->tls && stream->is_reading;
    }
    if (state == SSL_ERROR_WANT_READ) {
        send_sealed(stream);
        return false;
    }
    struct error error;
    explain_failure(tls, &error);
    send_sealed(stream); /* the alert */
    stream_read_stop(stream);
    stream->peer_ended = true;
    stream->events->on_secured(stream, &error);
    return false;
}

/* ---------------------------------------------------------------- reading */

/* Plain bytes into the pool's buffer, as many as there are and fit. */
static size_t open_records(struct stream_tls *tls)
{
    struct stream_pool *pool = tls->stream->pool;
    size_t filled = 0;
    ERR_clear_error();
    while (pool->size - filled >= RECORD_MAX) {
        size_t count;
        if (SSL_read_ex(tls->ssl, pool->buffer + filled, pool->size - filled, &count) == 1) {
            filled += count;
            continue;
        }
        switch (SSL_get_error(tls->ssl, 0)) {
        case SSL_ERROR_WANT_READ:
            return filled;
        case SSL_ERROR_ZERO_RETURN:
            tls->status = UV_EOF;
            return filled;
        default: /* bytes that are no TLS, or the connection broke */
            if (tls->status == 0)
                tls->status = UV_EPROTO;
            ERR_clear_error();
            return filled;
        }
    }
    if (SSL_has_pending(tls->ssl))
        read_later(tls);
    return filled;
}

void stream_tls_read(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;
    read_no_more(tls);
    if (!tls->is_secured && !shake_hands(stream))
        return;
    size_t count = tls->status ? 0 : open_records(tls);
    send_sealed(stream); /* OpenSSL answers some records by itself */
    if (count) {
        if (tls->status)
            read_later(tls); /* the end is told after the bytes */
        stream->events->on_read(stream, stream->pool->buffer, count);
    } else if (tls->status) {
        int status = tls->status;
        stream_read_stop(stream);
        stream->peer_ended = true;
        stream->events->on_end(stream, status);
    }
}

void stream_tls_on_read_start(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;
    if (!tls->is_secured || tls->status || SSL_has_pending(tls->ssl))
        read_later(tls);
}

void stream_tls_read_held(struct stream_pool *pool)
{
    /* Those that come meanwhile have their turn after the sockets have had theirs. */
    size_t turns = 0;
    struct stream_tls *tls;
    TAILQ_FOREACH(tls, &pool->unread, link)
    turns++;
    for (; turns > 0 && (tls = TAILQ_FIRST(&pool->unread)); turns--) {
        read_no_more(tls);
        stream_on_readable(tls->stream);
    }
}

/* ---------------------------------------------------------------- writing */

enum stream_result stream_tls_write(struct stream *stream, uv_buf_t *buffers, unsigned count)
{
    struct stream_tls *tls = stream->tls;
    if (!tls->is_secured || tls->said_goodbye)
        return STREAM_BROKEN;
    ERR_clear_error();
    for (unsigned i = 0; i < count; i++) {
        size_t written;
        if (buffers[i].len == 0 ||
            SSL_write_ex(tls->ssl, buffers[i].base, buffers[i].len, &written) == 1)
            continue;
        ERR_clear_error();
        stream_break(stream);
        text_clear(&stream->pool->sealed);
        return STREAM_BROKEN;
    }
    return send_sealed(stream);
}

bool stream_tls_say_goodbye(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;
    if (!tls->is_secured || tls->said_goodbye || stream->is_broken)
        return false;
    tls->said_goodbye = true;
    ERR_clear_error();
    SSL_shutdown(tls->ssl); /* whatever it says: the peer is told, or it is gone */
    ERR_clear_error();
    send_sealed(stream);
    return true;
}

/* ---------------------------------------------------------------- the peer */

const char *stream_tls_version(const struct stream *stream)
{
    return stream->tls ? SSL_get_version(stream->tls->ssl) : "";
}

bool stream_tls_same_certificate(const struct stream *ours, const struct stream *peers)
{
    const X509 *own = SSL_get_certificate(ours->tls->ssl);
    const X509 *peer = SSL_get0_peer_certificate(peers->tls->ssl);
    return own && peer && X509_cmp(own, peer) == 0;
}

/* By the hash of the certificate's own signature; SHA-256 in place of those that are broken. */
size_t stream_tls_end_point(const struct stream *stream, uint8_t digest[STREAM_DIGEST_MAX])
{
    const X509 *own = SSL_get_certificate(stream->tls->ssl);
    int hash = NID_undef;
    unsigned length = 0;
    if (!own || !OBJ_find_sigid_algs(X509_get_signature_nid(own), &hash, NULL))
        return 0;
    if (hash == NID_md5 || hash == NID_sha1)
        hash = NID_sha256;
    const EVP_MD *method_of_hash = EVP_get_digestbynid(hash);
    if (!method_of_hash || EVP_MD_get_size(method_of_hash) > STREAM_DIGEST_MAX ||
        X509_digest(own, method_of_hash, digest, &length) != 1)
        return 0;
    return length;
}

bool stream_tls_names_protocol(const struct stream *stream)
{
    const unsigned char *name;
    unsigned length = 0;
    if (stream->tls)
        SSL_get0_alpn_selected(stream->tls->ssl, &name, &length);
    return length > 0; /* no other than ours is ever agreed on */
}

bool stream_peer_name(const struct stream *stream, char *buffer, size_t size)
{
    buffer[0] = '\0';
    if (!stream->tls || SSL_get_verify_result(stream->tls->ssl) != X509_V_OK)
        return false;
    X509 *certificate = SSL_get0_peer_certificate(stream->tls->ssl);
    return certificate && tls_common_name(certificate, buffer, size);
}
