/* The server's side. What a client is told of a failure does not say which part of it was wrong. */
#include "scram_parts.h"

#include <openssl/crypto.h>

void scram_server_init(struct scram_server *server, const struct scram_verifier *verifier)
{
    *server = (struct scram_server){0};
    server->verifier = *verifier;
    text_init(&server->nonce, TEXT_UNBOUNDED);
    text_init(&server->client_first_bare, TEXT_UNBOUNDED);
    text_init(&server->server_first, TEXT_UNBOUNDED);
    text_init(&server->server_final, TEXT_UNBOUNDED);
}

void scram_server_release(struct scram_server *server)
{
    text_release(&server->nonce);
    text_release(&server->client_first_bare);
    text_release(&server->server_first);
    text_release(&server->server_final);
    OPENSSL_cleanse(server, sizeof *server);
}

static bool malformed(struct error *error, const char *what)
{
    error_set(error, "08P01", "malformed SCRAM message");
    error_detail(error, "%s", what);
    return false;
}

/* ---------------------------------------------------------------- channel binding */

void scram_server_offer_binding(struct scram_server *server, const uint8_t *digest, size_t length)
{
    BUG_ON(length > sizeof server->binding);
    memcpy(server->binding, digest, length);
    server->binding_length = length;
}

void scram_server_mechanisms(const struct scram_server *server, struct text *list)
{
    if (server->binding_length)
        text_add(list, SCRAM_MECHANISM_PLUS, sizeof SCRAM_MECHANISM_PLUS);
    text_add(list, SCRAM_MECHANISM, sizeof SCRAM_MECHANISM);
    text_add_char(list, '\0');
}

bool scram_server_choose(struct scram_server *server, const char *mechanism, struct error *error)
{
    server->is_plus = server->binding_length && strcmp(mechanism, SCRAM_MECHANISM_PLUS) == 0;
    if (server->is_plus || strcmp(mechanism, SCRAM_MECHANISM) == 0)
        return true;
    return error_set(error, "08P01", "client selected an invalid SASL authentication mechanism");
}

#define BINDING_HEADER "p=tls-server-end-point,,"

/* Who says `y` can bind and believes that we cannot: somebody in between took it off the list. */
static bool flag_fits(const struct scram_server *server, char flag, struct error *error)
{
    if (flag != 'n' && flag != 'y' && flag != 'p')
        return malformed(error, "The channel binding flag is none of n, y and p.");
    if ((flag == 'p') != server->is_plus)
        return malformed(error, server->is_plus
                                    ? "The client chose channel binding, and does not use it."
                                    : "The client uses channel binding, and did not choose it.");
    if (flag != 'y' || !server->binding_length)
        return true;
    error_set(error, "08P01", "SCRAM channel binding negotiation error");
    error_detail(error, "The client supports channel binding but thinks the server does not; this "
                        "server does.");
    return false;
}

/* "n,,", "y,," or "p=tls-server-end-point,,": and no other identity than the startup packet's. */
static bool take_gs2_header(struct scram_server *server, struct slice *message, struct error *error)
{
    size_t length = server->is_plus ? sizeof BINDING_HEADER - 1 : 3;
    if (message->length < length)
        return malformed(error, "The message ends within its header.");
    server->gs2_flag = message->data[0];
    if (!flag_fits(server, server->gs2_flag, error))
        return false;
    if (server->is_plus && memcmp(message->data, BINDING_HEADER, length - 1) != 0)
        return malformed(error, "The channel binding is not of type tls-server-end-point.");
    if (message->data[length - 2] != ',')
        return malformed(error, "No comma follows the channel binding flag.");
    if (message->data[length - 1] == 'a')
        return error_set(error, "0A000",
                         "client uses an authorization identity, but that is not "
                         "supported");
    if (message->data[length - 1] != ',')
        return malformed(error, "The header does not end where it should.");
    message->data += length;
    message->length -= length;
    return true;
}

/* The final message repeats the header, and what the channel is bound to behind it. */
static bool repeats_header(const struct scram_server *server, struct slice binding)
{
    uint8_t expected[sizeof BINDING_HEADER + SCRAM_BINDING_MAX];
    size_t length = 3;
    memcpy(expected, server->gs2_flag == 'y' ? "y,," : "n,,", length);
    if (server->is_plus) {
        length = sizeof BINDING_HEADER - 1;
        memcpy(expected, BINDING_HEADER, length);
        memcpy(expected + length, server->binding, server->binding_length);
        length += server->binding_length;
    }
    struct text encoded;
    text_init(&encoded, TEXT_UNBOUNDED);
    scram_add_base64(&encoded, expected, length);
    bool same = slice_equal(binding, (struct slice){encoded.data, encoded.length});
    text_release(&encoded);
    return same;
}

/* ---------------------------------------------------------------- messages */

bool scram_server_first(struct scram_server *server, struct slice message, struct error *error)
{
    if (message.length > SCRAM_MESSAGE_MAX || memchr(message.data, 0, message.length))
        return malformed(error, "It is too long, or holds a zero byte.");
    if (!take_gs2_header(server, &message, error))
        return false;
    text_add_slice(&server->client_first_bare, message);
    if (message.length >= 2 && message.data[0] == 'm' && message.data[1] == '=')
        return error_set(error, "0A000", "client requires an unsupported SCRAM extension");
    struct slice user, nonce;
    if (!scram_take_attribute(&message, 'n', &user)) /* the startup packet's counts */
        return malformed(error, "A user name was expected.");
    if (!scram_take_attribute(&message, 'r', &nonce) || !scram_is_printable(nonce))
        return malformed(error, "A nonce of printable characters was expected.");
    text_add_slice(&server->nonce, nonce);
    scram_add_nonce(&server->nonce);
    text_add_format(&server->server_first, "r=%s,s=", server->nonce.data);
    scram_add_base64(&server->server_first, server->verifier.salt, server->verifier.salt_length);
    text_add_format(&server->server_first, ",i=%d", server->verifier.iterations);
    return true;
}

/* The proof is the last attribute; what stands before it is what was authenticated. */
static bool split_proof(struct slice message, struct slice *before, uint8_t *proof)
{
    static const char mark[] = ",p=";
    const char *found = NULL;
    for (size_t i = 0; i + 3 <= message.length; i++) {
        if (memcmp(message.data + i, mark, 3) == 0)
            found = message.data + i;
    }
    if (!found)
        return false;
    *before = (struct slice){message.data, (size_t)(found - message.data)};
    struct slice encoded = {found + 3, message.length - before->length - 3};
    size_t length;
    return scram_decode_base64(encoded, proof, SCRAM_KEY, &length) && length == SCRAM_KEY;
}

static void make_server_final(struct scram_server *server, const struct text *authenticated)
{
    uint8_t signature[SCRAM_KEY];
    scram_hmac(server->verifier.server_key, authenticated->data, authenticated->length, signature);
    text_add_string(&server->server_final, "v=");
    scram_add_base64(&server->server_final, signature, SCRAM_KEY);
    OPENSSL_cleanse(signature, sizeof signature);
}

/* Takes the client's key from its proof; does it belong to the verifier? In constant time. */
static bool proof_holds(struct scram_server *server, const struct text *authenticated,
                        const uint8_t *proof)
{
    uint8_t signature[SCRAM_KEY], stored[SCRAM_KEY];
    scram_hmac(server->verifier.stored_key, authenticated->data, authenticated->length, signature);
    memcpy(server->client_key, proof, SCRAM_KEY);
    scram_xor(server->client_key, signature);
    scram_stored_key(server->client_key, stored);
    int differs = CRYPTO_memcmp(stored, server->verifier.stored_key, SCRAM_KEY);
    OPENSSL_cleanse(signature, sizeof signature); /* with the proof it tells the key */
    OPENSSL_cleanse(stored, sizeof stored);
    return !(differs | server->verifier.is_mock);
}

bool scram_server_final(struct scram_server *server, struct slice message, const char *user,
                        struct error *error)
{
    if (message.length > SCRAM_MESSAGE_MAX || memchr(message.data, 0, message.length))
        return malformed(error, "It is too long, or holds a zero byte.");
    struct slice before, binding, nonce;
    uint8_t proof[SCRAM_KEY];
    if (!split_proof(message, &before, proof))
        return malformed(error, "It does not end in a proof.");
    struct slice rest = before;
    if (!scram_take_attribute(&rest, 'c', &binding))
        return malformed(error, "Channel binding data were expected.");
    if (!repeats_header(server, binding))
        return error_set(error, "08P01",
                         "unexpected SCRAM channel-binding attribute in "
                         "client-final-message");
    if (!scram_take_attribute(&rest, 'r', &nonce) ||
        !slice_equal(nonce, (struct slice){server->nonce.data, server->nonce.length}))
        return error_set(error, "08P01", "invalid SCRAM response");
    struct text authenticated;
    text_init(&authenticated, TEXT_UNBOUNDED);
    text_add_format(&authenticated, "%s,%s,", server->client_first_bare.data,
                    server->server_first.data);
    text_add_slice(&authenticated, before);
    bool holds = proof_holds(server, &authenticated, proof);
    make_server_final(server, &authenticated);
    text_release(&authenticated);
    if (holds)
        return true;
    OPENSSL_cleanse(server->client_key, SCRAM_KEY);
    return error_set(error, "28P01", "password authentication failed for user \"%s\"", user);
}
