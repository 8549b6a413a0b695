/* What the two sides of SCRAM share. */
#ifndef SEGUE_PROXY_AUTH_SCRAM_PARTS_H
#define SEGUE_PROXY_AUTH_SCRAM_PARTS_H

#include "segue/auth/scram.h"

void scram_hmac(const uint8_t *key, const void *data, size_t length, uint8_t *out);
void scram_stored_key(const uint8_t *client_key, uint8_t *stored_key);
void scram_xor(uint8_t *key, const uint8_t *other);

void scram_add_base64(struct text *out, const uint8_t *data, size_t length);
bool scram_decode_base64(struct slice encoded, uint8_t *out, size_t size,
                         size_t *length) MUST_CHECK;
void scram_add_nonce(struct text *out);

/* `name=value`, up to the next comma; moves behind it. */
bool scram_take_attribute(struct slice *message, char name, struct slice *value) MUST_CHECK;
/* As a nonce must be: printable ASCII, no comma, not empty. */
bool scram_is_printable(struct slice value);

#endif
