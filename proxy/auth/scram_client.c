/* The client's side, with the keys instead of the password. */
#include "scram_parts.h"

#include <openssl/crypto.h>

void scram_client_init(struct scram_client *client, const uint8_t *client_key,
                       const uint8_t *server_key)
{
    *client = (struct scram_client){0};
    memcpy(client->client_key, client_key, SCRAM_KEY);
    memcpy(client->server_key, server_key, SCRAM_KEY);
    text_init(&client->nonce, TEXT_UNBOUNDED);
    text_init(&client->first_bare, TEXT_UNBOUNDED);
    text_init(&client->authenticated, TEXT_UNBOUNDED);
}

void scram_client_release(struct scram_client *client)
{
    text_release(&client->nonce);
    text_release(&client->first_bare);
    text_release(&client->authenticated);
    OPENSSL_cleanse(client, sizeof *client);
}

void scram_client_first(struct scram_client *client, struct text *message)
{
    scram_add_nonce(&client->nonce);
    text_add_format(&client->first_bare, "n=,r=%s", client->nonce.data);
    text_add_format(message, "n,,%s", client->first_bare.data);
}

static bool malformed(struct error *error)
{
    return error_set(error, "08P01", "the server sent a malformed SCRAM message");
}

bool scram_client_final(struct scram_client *client, struct slice server_first,
                        struct text *message, struct error *error)
{
    struct slice rest = server_first, nonce, salt, iterations;
    if (server_first.length > SCRAM_MESSAGE_MAX ||
        memchr(server_first.data, 0, server_first.length) ||
        !scram_take_attribute(&rest, 'r', &nonce) || !scram_is_printable(nonce) ||
        !scram_take_attribute(&rest, 's', &salt) || !scram_take_attribute(&rest, 'i', &iterations))
        return malformed(error);
    /* Ours first, and more of its own: otherwise it is the answer to somebody else. */
    if (nonce.length <= client->nonce.length ||
        memcmp(nonce.data, client->nonce.data, client->nonce.length) != 0)
        return error_set(error, "08P01", "the server answered another login's SCRAM nonce");
    struct text final;
    text_init(&final, TEXT_UNBOUNDED);
    text_add_string(&final, "c=biws,r=");
    text_add_slice(&final, nonce);
    text_add_format(&client->authenticated, "%s,", client->first_bare.data);
    text_add_slice(&client->authenticated, server_first);
    text_add_format(&client->authenticated, ",%s", final.data);
    uint8_t stored[SCRAM_KEY], proof[SCRAM_KEY];
    scram_stored_key(client->client_key, stored);
    scram_hmac(stored, client->authenticated.data, client->authenticated.length, proof);
    scram_xor(proof, client->client_key);
    text_add_format(message, "%s,p=", final.data);
    scram_add_base64(message, proof, SCRAM_KEY);
    OPENSSL_cleanse(stored, sizeof stored); /* with the proof it tells the key */
    text_release(&final);
    return true;
}

bool scram_client_check(struct scram_client *client, struct slice server_final, struct error *error)
{
    struct slice encoded;
    uint8_t given[SCRAM_KEY], signature[SCRAM_KEY];
    size_t length;
    if (!scram_take_attribute(&server_final, 'v', &encoded) ||
        !scram_decode_base64(encoded, given, SCRAM_KEY, &length) || length != SCRAM_KEY)
        return malformed(error);
    scram_hmac(client->server_key, client->authenticated.data, client->authenticated.length,
               signature);
    if (CRYPTO_memcmp(signature, given, SCRAM_KEY) == 0)
        return true;
    return error_set(
        error, "08P01",
        "the server does not know the password's verifier: it is not who it should be");
}
