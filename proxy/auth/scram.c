/*
 * The parts that both sides share: keys, proofs, verifiers, attributes of messages.
 *
 * ClientSignature = HMAC(StoredKey, AuthMessage), ClientProof = ClientKey XOR ClientSignature,
 * StoredKey = H(ClientKey), ServerSignature = HMAC(ServerKey, AuthMessage): who knows StoredKey and
 * sees a proof that holds, knows ClientKey.
 */
#include "scram_parts.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>

enum { MOCK_ITERATIONS = 4096, MOCK_SALT = 16, NONCE_BYTES = 18 };

void scram_hmac(const uint8_t *key, const void *data, size_t length, uint8_t *out)
{
    unsigned written = 0;
    BUG_ON(!HMAC(EVP_sha256(), key, SCRAM_KEY, data, length, out, &written) ||
           written != SCRAM_KEY);
}

void scram_stored_key(const uint8_t *client_key, uint8_t *stored_key)
{
    BUG_ON(!SHA256(client_key, SCRAM_KEY, stored_key));
}

void scram_xor(uint8_t *key, const uint8_t *other)
{
    for (size_t i = 0; i < SCRAM_KEY; i++)
        key[i] ^= other[i];
}

void scram_add_base64(struct text *out, const uint8_t *data, size_t length)
{
    unsigned char encoded[((SCRAM_SALT_MAX + 2) / 3) * 4 + 1];
    BUG_ON(length > SCRAM_SALT_MAX);
    int count = EVP_EncodeBlock(encoded, data, (int)length);
    text_add(out, encoded, (size_t)count);
}

bool scram_decode_base64(struct slice encoded, uint8_t *out, size_t size, size_t *length)
{
    /* OpenSSL's decoder takes white space, and counts padding as bytes. */
    uint8_t decoded[SCRAM_MESSAGE_MAX];
    if (encoded.length == 0 || encoded.length % 4 != 0 || encoded.length > sizeof decoded)
        return false;
    size_t padding = 0;
    while (padding < 2 && encoded.data[encoded.length - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < encoded.length - padding; i++) {
        char c = encoded.data[i];
        bool is_digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_digit && c != '+' && c != '/')
            return false;
    }
    int count = EVP_DecodeBlock(decoded, (const unsigned char *)encoded.data, (int)encoded.length);
    bool fits = count >= 0 && (size_t)count >= padding && (size_t)count - padding <= size;
    if (fits) {
        *length = (size_t)count - padding;
        memcpy(out, decoded, *length);
    }
    OPENSSL_cleanse(decoded, sizeof decoded);
    return fits;
}

void scram_add_nonce(struct text *out)
{
    uint8_t random[NONCE_BYTES];
    BUG_ON(RAND_bytes(random, sizeof random) != 1); /* no randomness, no login */
    scram_add_base64(out, random, sizeof random);
}

bool scram_take_attribute(struct slice *message, char name, struct slice *value)
{
    if (message->length < 2 || message->data[0] != name || message->data[1] != '=')
        return false;
    const char *comma = memchr(message->data, ',', message->length);
    size_t length = comma ? (size_t)(comma - message->data) : message->length;
    *value = (struct slice){message->data + 2, length - 2};
    size_t taken = comma ? length + 1 : length;
    message->data += taken;
    message->length -= taken;
    return true;
}

bool scram_is_printable(struct slice value)
{
    for (size_t i = 0; i < value.length; i++) {
        if (value.data[i] < 0x21 || value.data[i] > 0x7e || value.data[i] == ',')
            return false;
    }
    return value.length > 0;
}

/* ---------------------------------------------------------------- verifiers */

/* What stands before `end`, moving behind it. */
static bool take_until(const char **at, char end, struct slice *part)
{
    const char *found = end ? strchr(*at, end) : *at + strlen(*at);
    if (!found)
        return false;
    *part = (struct slice){*at, (size_t)(found - *at)};
    *at = end ? found + 1 : found;
    return true;
}

static bool decode_key(struct slice encoded, uint8_t *key)
{
    size_t length;
    return scram_decode_base64(encoded, key, SCRAM_KEY, &length) && length == SCRAM_KEY;
}

bool scram_verifier_parse(struct scram_verifier *verifier, const char *stored)
{
    *verifier = (struct scram_verifier){0};
    struct slice mechanism, iterations, salt, stored_key, server_key;
    if (!take_until(&stored, '$', &mechanism) || !slice_equal(mechanism, SLICE(SCRAM_MECHANISM)) ||
        !take_until(&stored, ':', &iterations) || !take_until(&stored, '$', &salt) ||
        !take_until(&stored, ':', &stored_key) || !take_until(&stored, '\0', &server_key))
        return false;
    char *end;
    long count = strtol(iterations.data, &end, 10);
    if (end != iterations.data + iterations.length || count < 1 || count > INT_MAX)
        return false;
    verifier->iterations = (int)count;
    return scram_decode_base64(salt, verifier->salt, sizeof verifier->salt,
                               &verifier->salt_length) &&
           decode_key(stored_key, verifier->stored_key) &&
           decode_key(server_key, verifier->server_key);
}

static uint8_t mock_secret[SCRAM_KEY];
static pthread_once_t mock_once = PTHREAD_ONCE_INIT;

static void make_mock_secret(void)
{
    BUG_ON(RAND_bytes(mock_secret, sizeof mock_secret) != 1);
}

void scram_verifier_mock(struct scram_verifier *verifier, const char *user)
{
    pthread_once(&mock_once, make_mock_secret);
    uint8_t derived[SCRAM_KEY];
    scram_hmac(mock_secret, user, strlen(user), derived);
    *verifier = (struct scram_verifier){
        .iterations = MOCK_ITERATIONS, .salt_length = MOCK_SALT, .is_mock = true};
    memcpy(verifier->salt, derived, MOCK_SALT);
}
