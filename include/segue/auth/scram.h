/*
 * SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it, both sides, without a socket and
 * without a password: the server's side checks a client against a stored verifier, and learns the
 * client's key from its proof; the client's side logs in elsewhere with that key.
 *
 * Each side is a small state machine: its calls are made in the order given here. Messages are
 * SASL's, without the protocol's framing. Cryptography and randomness are OpenSSL's.
 */
#ifndef SEGUE_AUTH_SCRAM_H
#define SEGUE_AUTH_SCRAM_H

#include "segue/base/text.h"

#include <stdint.h>

enum {
    SCRAM_KEY = 32,          /* bytes of SHA-256 */
    SCRAM_SALT_MAX = 256,    /* bytes */
    SCRAM_BINDING_MAX = 64,  /* bytes of a certificate's digest */
    SCRAM_MESSAGE_MAX = 1024 /* bytes that are taken from a peer, as PostgreSQL's limit */
};
#define SCRAM_MECHANISM      "SCRAM-SHA-256"
#define SCRAM_MECHANISM_PLUS "SCRAM-SHA-256-PLUS"

/* What is stored of a password: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`. */
struct scram_verifier {
    int iterations;
    size_t salt_length;
    uint8_t salt[SCRAM_SALT_MAX];
    uint8_t stored_key[SCRAM_KEY], server_key[SCRAM_KEY];
    bool is_mock; /* stands for none: no proof holds, and the peer cannot tell */
};
bool scram_verifier_parse(struct scram_verifier *verifier, const char *stored) MUST_CHECK;
/* For a user that has none. The same for the same name while the process lives. */
void scram_verifier_mock(struct scram_verifier *verifier, const char *user);

/* ---- we are the server ---- */
struct scram_server {
    struct scram_verifier verifier;
    uint8_t binding[SCRAM_BINDING_MAX];
    size_t binding_length; /* 0: none is offered */
    bool is_plus;          /* the client chose SCRAM-SHA-256-PLUS */
    char gs2_flag;         /* n, y or p */
    struct text nonce, client_first_bare, server_first, server_final;
    uint8_t client_key[SCRAM_KEY]; /* once the client's proof holds */
};
void scram_server_init(struct scram_server *server, const struct scram_verifier *verifier);
void scram_server_release(struct scram_server *server); /* wipes the keys */
/* Offers channel binding over TLS too: the digest of our certificate (tls-server-end-point). */
void scram_server_offer_binding(struct scram_server *server, const uint8_t *digest, size_t length);
/* What is offered, as AuthenticationSASL lists it: names, each with its terminator, and an empty
 * one. */
void scram_server_mechanisms(const struct scram_server *server, struct text *list);
/* What the client chose of it. False with `error` (08P01) where it was not offered. */
bool scram_server_choose(struct scram_server *server, const char *mechanism,
                         struct error *error) MUST_CHECK;
/* False with `error` (08P01, 0A000, 28P01) when the login is refused. The answer is in
 * server_first, then in server_final. */
bool scram_server_first(struct scram_server *server, struct slice message,
                        struct error *error) MUST_CHECK;
bool scram_server_final(struct scram_server *server, struct slice message, const char *user,
                        struct error *error) MUST_CHECK;

/* ---- we are the client ---- */
struct scram_client {
    uint8_t client_key[SCRAM_KEY], server_key[SCRAM_KEY];
    struct text nonce, first_bare, authenticated; /* `authenticated`: AuthMessage */
};
void scram_client_init(struct scram_client *client, const uint8_t *client_key,
                       const uint8_t *server_key);
void scram_client_release(struct scram_client *client); /* wipes the keys */
void scram_client_first(struct scram_client *client, struct text *message);
bool scram_client_final(struct scram_client *client, struct slice server_first,
                        struct text *message, struct error *error) MUST_CHECK;
bool scram_client_check(struct scram_client *client, struct slice server_final,
                        struct error *error) MUST_CHECK;

#endif
