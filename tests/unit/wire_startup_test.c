/* The startup packet: whole, cut at every byte, and hostile. */
#include "segue/wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void begin_session(struct text *packet, int64_t protocol)
{
    text_init(packet, TEXT_UNBOUNDED);
    wire_begin(packet, 0);
    wire_add_int32(packet, protocol);
}

static struct wire_startup read_packet(const struct text *packet, size_t length)
{
    return wire_read_startup((const uint8_t *)packet->data, length);
}

static void parameters_are_found_and_a_cut_packet_needs_more(void **state)
{
    (void)state;
    struct text packet;
    begin_session(&packet, 196608);
    const char *const strings[] = {"user",    "alice",      "database",         "shop",
                                   "options", "-c a=b",     "application_name", "psql",
                                   "other",   "not looked", "replication",      "database"};
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
        wire_add_cstring(&packet, strings[i]);
    text_add_char(&packet, '\0');
    wire_end(&packet, 0);
    for (size_t cut = 0; cut < packet.length; cut++)
        assert_int_equal(read_packet(&packet, cut).kind, WIRE_STARTUP_NEED_MORE);
    struct wire_startup startup = read_packet(&packet, packet.length);
    assert_int_equal(startup.kind, WIRE_STARTUP_SESSION);
    assert_int_equal(startup.length, packet.length);
    assert_int_equal(startup.protocol, 196608);
    assert_string_equal(startup.user, "alice");
    assert_string_equal(startup.database, "shop");
    assert_string_equal(startup.options, "-c a=b");
    assert_string_equal(startup.application_name, "psql");
    assert_string_equal(startup.replication, "database");
    assert_null(startup.client_encoding);
    text_release(&packet);
}

static void a_packet_whose_terminator_is_not_its_last_byte_is_bad(void **state)
{
    (void)state;
    struct text packet;
    begin_session(&packet, 196608);
    wire_add_cstring(&packet, "user");
    wire_add_cstring(&packet, "alice");
    size_t pairs = packet.length;
    wire_end(&packet, 0);
    assert_int_equal(read_packet(&packet, packet.length).kind, WIRE_STARTUP_BAD); /* none */
    text_add(&packet, "\0x", 2);
    wire_end(&packet, 0);
    assert_int_equal(read_packet(&packet, packet.length).kind, WIRE_STARTUP_BAD); /* goes on */
    packet.length = pairs;
    wire_add_cstring(&packet, "nameonly");
    wire_end(&packet, 0);
    assert_int_equal(read_packet(&packet, packet.length).kind, WIRE_STARTUP_BAD);
    text_release(&packet);
}

static void a_length_out_of_bounds_is_bad_before_the_packet_is_there(void **state)
{
    (void)state;
    const uint8_t huge[] = {0x7f, 0xff, 0xff, 0xff};
    assert_int_equal(wire_read_startup(huge, 4).kind, WIRE_STARTUP_BAD);
    const uint8_t negative[] = {0xff, 0xff, 0xff, 0xff};
    assert_int_equal(wire_read_startup(negative, 4).kind, WIRE_STARTUP_BAD);
    const uint8_t tiny[] = {0, 0, 0, 7};
    assert_int_equal(wire_read_startup(tiny, 4).kind, WIRE_STARTUP_BAD);
    const uint8_t http[] = "GET / HTTP/1.1";
    assert_int_equal(wire_read_startup(http, sizeof http).kind, WIRE_STARTUP_BAD);
    assert_int_equal(wire_read_startup(http, 3).kind, WIRE_STARTUP_NEED_MORE);
}

static void requests_for_encryption_have_exactly_eight_bytes(void **state)
{
    (void)state;
    const uint8_t ssl[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f, 'x'};
    struct wire_startup startup = wire_read_startup(ssl, sizeof ssl);
    assert_int_equal(startup.kind, WIRE_STARTUP_SSL);
    assert_int_equal(startup.length, 8);
    const uint8_t gss[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30};
    assert_int_equal(wire_read_startup(gss, sizeof gss).kind, WIRE_STARTUP_GSS);
    const uint8_t longer[] = {0, 0, 0, 9, 0x04, 0xd2, 0x16, 0x2f, 0};
    assert_int_equal(wire_read_startup(longer, sizeof longer).kind, WIRE_STARTUP_BAD);
}

static void a_cancel_request_has_a_key_within_bounds(void **state)
{
    (void)state;
    uint8_t cancel[400] = {0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e};
    assert_int_equal(wire_read_startup(cancel, 16).kind, WIRE_STARTUP_CANCEL);
    cancel[3] = 17; /* a trailing NUL, as node-postgres once sent */
    assert_int_equal(wire_read_startup(cancel, 17).kind, WIRE_STARTUP_CANCEL);
    cancel[3] = 12;
    assert_int_equal(wire_read_startup(cancel, 16).kind, WIRE_STARTUP_BAD);
    cancel[2] = 1, cancel[3] = 0x80;
    assert_int_equal(wire_read_startup(cancel, sizeof cancel).kind, WIRE_STARTUP_BAD);
}

static void another_major_version_is_told_without_parameters(void **state)
{
    (void)state;
    const uint8_t two[] = {0, 0, 0, 10, 0, 2, 0, 0, 'u', 0};
    struct wire_startup startup = wire_read_startup(two, sizeof two);
    assert_int_equal(startup.kind, WIRE_STARTUP_SESSION);
    assert_int_equal(startup.protocol >> 16, 2);
    assert_null(startup.user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_found_and_a_cut_packet_needs_more),
        cmocka_unit_test(a_packet_whose_terminator_is_not_its_last_byte_is_bad),
        cmocka_unit_test(a_length_out_of_bounds_is_bad_before_the_packet_is_there),
        cmocka_unit_test(requests_for_encryption_have_exactly_eight_bytes),
        cmocka_unit_test(a_cancel_request_has_a_key_within_bounds),
        cmocka_unit_test(another_major_version_is_told_without_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
