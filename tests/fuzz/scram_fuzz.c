/*
 * Both sides of SCRAM against whatever the peer says: never past a message's end, and nobody who
 * does not know the key is let in. The input is two messages, cut at a line's end; in the second
 * one '%' stands for the nonce, which is made anew each time and could not be met otherwise.
 */
#include "segue/auth/scram.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static struct slice nonce_of(const struct text *message)
{
    struct slice nonce = {message->data, message->length};
    const char *begin = message->length ? strstr(message->data, "r=") : NULL;
    if (begin) {
        nonce.data = begin + 2;
        nonce.length = strcspn(nonce.data, ",");
    }
    return nonce;
}

static void fill_in(struct text *out, struct slice message, struct slice nonce)
{
    text_clear(out);
    for (size_t i = 0; i < message.length; i++) {
        if (message.data[i] == '%')
            text_add_slice(out, nonce);
        else
            text_add_char(out, message.data[i]);
    }
}

static void as_server(struct slice first, struct slice second)
{
    static const char stored[] =
        "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    struct scram_verifier verifier;
    struct scram_server server;
    struct error error = {0};
    struct text message;
    text_init(&message, TEXT_UNBOUNDED);
    BUG_ON(!scram_verifier_parse(&verifier, stored));
    scram_server_init(&server, &verifier);
    if (scram_server_first(&server, first, &error)) {
        fill_in(&message, second, nonce_of(&server.server_first));
        BUG_ON(
            scram_server_final(&server, (struct slice){message.data, message.length}, "u", &error));
    }
    BUG_ON(!error.message[0] || strlen(error.sqlstate) != 5);
    scram_server_release(&server);
    text_release(&message);
}

static void as_client(struct slice first, struct slice second)
{
    static const uint8_t key[SCRAM_KEY] = {1, 2, 3}, server_key[SCRAM_KEY] = {4, 5, 6};
    struct scram_client client;
    struct error error = {0};
    struct text said, heard;
    text_init(&said, TEXT_UNBOUNDED);
    text_init(&heard, TEXT_UNBOUNDED);
    scram_client_init(&client, key, server_key);
    scram_client_first(&client, &said);
    fill_in(&heard, first, nonce_of(&said));
    text_clear(&said);
    if (scram_client_final(&client, (struct slice){heard.data, heard.length}, &said, &error))
        BUG_ON(scram_client_check(&client, second, &error));
    BUG_ON(!error.message[0]);
    scram_client_release(&client);
    text_release(&said);
    text_release(&heard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct text input; /* NUL-terminated, as whoever reads a message hands it over */
    text_init(&input, TEXT_UNBOUNDED);
    text_add(&input, data, length);
    const char *end = memchr(input.data, '\n', length);
    size_t cut = end ? (size_t)(end - input.data) : length;
    struct slice first = {input.data, cut};
    struct slice second = {input.data + cut + (end != NULL), length - cut - (end != NULL)};
    as_server(first, second);
    as_client(first, second);
    struct scram_verifier verifier;
    if (scram_verifier_parse(&verifier, input.data))
        BUG_ON(verifier.iterations <= 0 || verifier.salt_length > SCRAM_SALT_MAX);
    text_release(&input);
    return 0;
}
