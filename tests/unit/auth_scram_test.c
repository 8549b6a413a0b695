/* SCRAM, both sides: against RFC 7677's example, against each other, and against what is wrong. */
#include "segue/auth/scram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

static const char password[] = "pencil";
static const uint8_t salt[16] = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                                 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81};

static void derive(const char *of, const char *label, uint8_t *key)
{
    uint8_t salted[SCRAM_KEY];
    unsigned length;
    assert_int_equal(
        PKCS5_PBKDF2_HMAC(of, -1, salt, sizeof salt, 4096, EVP_sha256(), SCRAM_KEY, salted), 1);
    HMAC(EVP_sha256(), salted, SCRAM_KEY, (const uint8_t *)label, strlen(label), key, &length);
}

static void base64(const uint8_t *data, size_t length, char *out)
{
    EVP_EncodeBlock((unsigned char *)out, data, (int)length);
}

/* As PostgreSQL stores it. */
static void store(const char *of, char *stored, size_t size)
{
    uint8_t client_key[SCRAM_KEY], server_key[SCRAM_KEY], stored_key[SCRAM_KEY];
    derive(of, "Client Key", client_key);
    derive(of, "Server Key", server_key);
    SHA256(client_key, SCRAM_KEY, stored_key);
    char parts[3][64];
    base64(salt, sizeof salt, parts[0]);
    base64(stored_key, SCRAM_KEY, parts[1]);
    base64(server_key, SCRAM_KEY, parts[2]);
    snprintf(stored, size, "SCRAM-SHA-256$4096:%s$%s:%s", parts[0], parts[1], parts[2]);
}

static struct scram_verifier verifier_of(const char *of)
{
    char stored[256];
    store(of, stored, sizeof stored);
    struct scram_verifier verifier;
    assert_true(scram_verifier_parse(&verifier, stored));
    return verifier;
}

static struct scram_client client_with(const char *of)
{
    uint8_t client_key[SCRAM_KEY], server_key[SCRAM_KEY];
    derive(of, "Client Key", client_key);
    derive(of, "Server Key", server_key);
    struct scram_client client;
    scram_client_init(&client, client_key, server_key);
    return client;
}

static struct slice slice_in(const struct text *text)
{
    return (struct slice){text->data, text->length};
}

static void the_example_of_the_rfc_gives_its_proof(void **state)
{
    (void)state;
    struct scram_client client = client_with(password);
    text_add_string(&client.nonce, "rOprNGfwEbeRWgbNEkqO");
    text_add_string(&client.first_bare, "n=user,r=rOprNGfwEbeRWgbNEkqO");
    struct text final;
    struct error error;
    text_init(&final, TEXT_UNBOUNDED);
    assert_true(scram_client_final(&client,
                                   SLICE("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                         "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
                                   &final, &error));
    assert_string_equal(final.data, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    assert_true(scram_client_check(&client, SLICE("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
                                   &error));
    assert_false(scram_client_check(
        &client, SLICE("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), &error));
    text_release(&final);
    scram_client_release(&client);
}

struct login {
    struct scram_server server;
    struct scram_client client;
    struct text first, final;
    struct error error;
};

static void begin(struct login *login, const struct scram_verifier *verifier, const char *typed)
{
    *login = (struct login){.client = client_with(typed)};
    scram_server_init(&login->server, verifier);
    text_init(&login->first, TEXT_UNBOUNDED);
    text_init(&login->final, TEXT_UNBOUNDED);
    scram_client_first(&login->client, &login->first);
    assert_true(scram_server_first(&login->server, slice_in(&login->first), &login->error));
    assert_true(scram_client_final(&login->client, slice_in(&login->server.server_first),
                                   &login->final, &login->error));
}

static void end(struct login *login)
{
    scram_server_release(&login->server);
    scram_client_release(&login->client);
    text_release(&login->first);
    text_release(&login->final);
}

static void a_proof_that_holds_tells_the_clients_key(void **state)
{
    (void)state;
    struct scram_verifier verifier = verifier_of(password);
    struct login login;
    begin(&login, &verifier, password);
    assert_true(scram_server_final(&login.server, slice_in(&login.final), "user", &login.error));
    assert_memory_equal(login.server.client_key, login.client.client_key, SCRAM_KEY);
    assert_true(
        scram_client_check(&login.client, slice_in(&login.server.server_final), &login.error));
    end(&login);
}

static void a_wrong_password_is_refused(void **state)
{
    (void)state;
    struct scram_verifier verifier = verifier_of(password);
    struct login login;
    begin(&login, &verifier, "pencil ");
    assert_false(scram_server_final(&login.server, slice_in(&login.final), "user", &login.error));
    assert_string_equal(login.error.sqlstate, "28P01");
    assert_string_equal(login.error.message, "password authentication failed for user \"user\"");
    end(&login);
}

static void nobody_gets_in_by_a_mock_and_its_salt_stays(void **state)
{
    (void)state;
    struct scram_verifier mock, again, other;
    scram_verifier_mock(&mock, "nobody");
    scram_verifier_mock(&again, "nobody");
    scram_verifier_mock(&other, "somebody");
    assert_int_equal(mock.salt_length, again.salt_length);
    assert_memory_equal(mock.salt, again.salt, mock.salt_length);
    assert_memory_not_equal(mock.salt, other.salt, mock.salt_length);
    struct login login;
    begin(&login, &mock, password);
    assert_false(scram_server_final(&login.server, slice_in(&login.final), "nobody", &login.error));
    assert_string_equal(login.error.sqlstate, "28P01");
    end(&login);
}

static void a_replayed_proof_is_refused(void **state)
{
    (void)state;
    struct scram_verifier verifier = verifier_of(password);
    struct login first, second;
    begin(&first, &verifier, password);
    begin(&second, &verifier, password);
    assert_false(scram_server_final(&second.server, slice_in(&first.final), "user", &second.error));
    assert_string_equal(second.error.sqlstate, "08P01");
    end(&first);
    end(&second);
}

static void malformed_first_messages_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *message, *sqlstate;
    } cases[] = {
        {"", "08P01"},
        {"n", "08P01"},
        {"n,", "08P01"},
        {"n,,", "08P01"},
        {"x,,n=,r=abc", "08P01"},
        {"n,a=bob,n=,r=abc", "0A000"},
        {"p=tls-server-end-point,,n=,r=abc", "08P01"},
        {"n,,r=abc", "08P01"},
        {"n,,n=", "08P01"},
        {"n,,n=,r=", "08P01"},
        {"n,,n=,r=a b", "08P01"},
        {"n,,m=x,n=,r=abc", "0A000"},
        {"n,,n=,r=\x80", "08P01"},
    };
    struct scram_verifier verifier = verifier_of(password);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scram_server server;
        struct error error = {0};
        scram_server_init(&server, &verifier);
        if (scram_server_first(&server, slice_of(cases[i].message), &error))
            fail_msg("taken: %s", cases[i].message);
        assert_string_equal(error.sqlstate, cases[i].sqlstate);
        scram_server_release(&server);
    }
}

static void a_message_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char message[SCRAM_MESSAGE_MAX + 2];
    memset(message, 'a', sizeof message);
    memcpy(message, "n,,n=,r=", 8);
    struct scram_verifier verifier = verifier_of(password);
    struct scram_server server;
    struct error error;
    scram_server_init(&server, &verifier);
    assert_false(
        scram_server_first(&server, (struct slice){message, SCRAM_MESSAGE_MAX + 1}, &error));
    scram_server_release(&server);
    scram_server_init(&server, &verifier);
    assert_true(scram_server_first(&server, (struct slice){message, SCRAM_MESSAGE_MAX}, &error));
    scram_server_release(&server);
}

/* The final message with one part of it changed; the rest is right. */
static void expect_refused(const char *from, const char *to)
{
    struct scram_verifier verifier = verifier_of(password);
    struct login login;
    begin(&login, &verifier, password);
    struct text changed;
    text_init(&changed, TEXT_UNBOUNDED);
    const char *found = strstr(login.final.data, from);
    assert_non_null(found);
    text_add(&changed, login.final.data, (size_t)(found - login.final.data));
    text_add_string(&changed, to);
    text_add_string(&changed, found + strlen(from));
    if (scram_server_final(&login.server, slice_in(&changed), "user", &login.error))
        fail_msg("taken: %s", changed.data);
    text_release(&changed);
    end(&login);
}

static void a_final_message_that_was_tampered_with_is_refused(void **state)
{
    (void)state;
    expect_refused("c=biws", "c=eSws"); /* as if the client had said "y" */
    expect_refused("c=biws", "c=");
    expect_refused("c=biws,", "");
    expect_refused(",r=", ",r=x");
    expect_refused(",p=", ",p=A");
    expect_refused(",p=", ",q=");
    expect_refused(",r=", ",x=1,r="); /* nothing may stand before the nonce */
    expect_refused(",p=", ",x=1,p="); /* an extension is not what the proof is for */
}

static void verifiers_that_are_malformed_are_not_taken(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "md5"
        "0123456789abcdef0123456789abcdef",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==",
        "SCRAM-SHA-256$0:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "SCRAM-SHA-256$4096:W22Z*J0SNY7soEsUEjb6gQ==$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    };
    struct scram_verifier verifier;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_false(scram_verifier_parse(&verifier, cases[i]));
}

static void a_server_that_answers_another_login_is_not_answered(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=mine,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", /* nothing of its own */
        "r=mineandmore,i=4096",
        "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scram_client client = client_with(password);
        struct text message;
        struct error error;
        text_init(&message, TEXT_UNBOUNDED);
        text_add_string(&client.nonce, "mine");
        text_add_string(&client.first_bare, "n=,r=mine");
        assert_false(scram_client_final(&client, slice_of(cases[i]), &message, &error));
        assert_int_equal(message.length, 0);
        text_release(&message);
        scram_client_release(&client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc_gives_its_proof),
        cmocka_unit_test(a_proof_that_holds_tells_the_clients_key),
        cmocka_unit_test(a_wrong_password_is_refused),
        cmocka_unit_test(nobody_gets_in_by_a_mock_and_its_salt_stays),
        cmocka_unit_test(a_replayed_proof_is_refused),
        cmocka_unit_test(malformed_first_messages_are_refused),
        cmocka_unit_test(a_message_that_is_too_long_is_refused),
        cmocka_unit_test(a_final_message_that_was_tampered_with_is_refused),
        cmocka_unit_test(verifiers_that_are_malformed_are_not_taken),
        cmocka_unit_test(a_server_that_answers_another_login_is_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
