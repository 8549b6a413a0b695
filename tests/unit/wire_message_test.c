/* Messages: what is written reads back, and what is malformed is refused. */
#include "segue/wire/frame.h"
#include "segue/wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t *bytes(const struct text *text)
{
    return (const uint8_t *)text->data;
}

static void a_header_cut_anywhere_needs_more(void **state)
{
    (void)state;
    const uint8_t sync[] = {'S', 0, 0, 0, 4};
    size_t size = 0;
    for (size_t cut = 0; cut < sizeof sync; cut++)
        assert_int_equal(wire_frame_read(sync, cut, &size), WIRE_NEED_MORE);
    assert_int_equal(wire_frame_read(sync, sizeof sync, &size), WIRE_FRAME);
    assert_int_equal(size, 5);
}

static void refuses_a_length_that_does_not_count_itself(void **state)
{
    (void)state;
    size_t size = 0;
    const uint8_t three[] = {'Q', 0, 0, 0, 3};
    assert_int_equal(wire_frame_read(three, sizeof three, &size), WIRE_BAD_LENGTH);
    const uint8_t negative[] = {'Q', 0xff, 0xff, 0xff, 0xff};
    assert_int_equal(wire_frame_read(negative, sizeof negative, &size), WIRE_BAD_LENGTH);
    const uint8_t gigabyte[] = {'Q', 0x40, 0, 0, 4};
    assert_int_equal(wire_frame_read(gigabyte, sizeof gigabyte, &size), WIRE_BAD_LENGTH);
    const uint8_t largest[] = {'d', 0x3f, 0xff, 0xff, 0xff};
    assert_int_equal(wire_frame_read(largest, sizeof largest, &size), WIRE_FRAME);
}

static void a_query_reads_back(void **state)
{
    (void)state;
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    wire_write_query(&out, SLICE("SELECT 1"));
    size_t size = 0;
    assert_int_equal(wire_frame_read(bytes(&out), out.length, &size), WIRE_FRAME);
    assert_int_equal(size, out.length);
    struct slice sql;
    assert_true(wire_read_query(bytes(&out) + 5, size - 5, &sql));
    assert_true(slice_equal(sql, SLICE("SELECT 1")));
    text_release(&out);
}

static void refuses_a_query_whose_text_does_not_end_with_the_message(void **state)
{
    (void)state;
    struct slice sql;
    assert_false(wire_read_query((const uint8_t *)"SELECT", 6, &sql));
    assert_false(wire_read_query((const uint8_t *)"SELECT\0x", 8, &sql));
    assert_false(wire_read_query((const uint8_t *)"", 0, &sql));
    assert_true(wire_read_query((const uint8_t *)"", 1, &sql));
    assert_int_equal(sql.length, 0);
}

static void a_parse_reads_back_and_every_shorter_one_is_refused(void **state)
{
    (void)state;
    const uint8_t types[] = {0, 2, 0, 0, 0, 23, 0, 0, 0, 25};
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    wire_write_parse(&out, "name", SLICE("SELECT $1, $2"), types, sizeof types);
    struct wire_parse parse;
    assert_true(wire_read_parse(bytes(&out) + 5, out.length - 5, &parse));
    assert_string_equal(parse.name, "name");
    assert_true(slice_equal(parse.sql, SLICE("SELECT $1, $2")));
    assert_int_equal(parse.parameter_types_length, sizeof types);
    assert_memory_equal(parse.parameter_types, types, sizeof types);
    for (size_t cut = 0; cut < out.length - 5; cut++)
        assert_false(wire_read_parse(bytes(&out) + 5, cut, &parse));
    text_release(&out);
}

static void a_bind_needs_both_names(void **state)
{
    (void)state;
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    wire_write_bind(&out, "portal", "statement");
    struct wire_bind bind;
    assert_true(wire_read_bind(bytes(&out) + 5, out.length - 5, &bind));
    assert_string_equal(bind.portal, "portal");
    assert_string_equal(bind.statement, "statement");
    for (size_t cut = 0; cut < sizeof "portal" + sizeof "statement"; cut++)
        assert_int_equal(wire_read_bind(bytes(&out) + 5, cut, &bind),
                         cut >= sizeof "portal" + sizeof "statement");
    text_release(&out);
}

static void close_and_describe_know_two_kinds(void **state)
{
    (void)state;
    struct wire_target target;
    assert_true(wire_read_target((const uint8_t *)"Sx", 3, &target));
    assert_int_equal(target.kind, 'S');
    assert_string_equal(target.name, "x");
    assert_true(wire_read_target((const uint8_t *)"P", 2, &target));
    assert_string_equal(target.name, "");
    assert_false(wire_read_target((const uint8_t *)"Xx", 3, &target));
    assert_false(wire_read_target((const uint8_t *)"Sx", 2, &target));
    assert_false(wire_read_target((const uint8_t *)"Sx\0y", 5, &target));
}

static void error_fields_are_found_and_empty_ones_left_out(void **state)
{
    (void)state;
    struct error error;
    error_set(&error, "0A000", "cannot rewrite %s", "this");
    error_hint(&error, "do that");
    error.position = 12;
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    wire_write_error(&out, "ERROR", &error);
    const uint8_t *body = bytes(&out) + 5;
    size_t length = out.length - 5;
    assert_int_equal(out.data[0], 'E');
    assert_string_equal(wire_error_field(body, length, 'C'), "0A000");
    assert_string_equal(wire_error_field(body, length, 'M'), "cannot rewrite this");
    assert_string_equal(wire_error_field(body, length, 'H'), "do that");
    assert_string_equal(wire_error_field(body, length, 'P'), "12");
    assert_string_equal(wire_error_field(body, length, 'V'), "ERROR");
    assert_null(wire_error_field(body, length, 'D'));
    for (size_t cut = 0; cut < length; cut++)
        wire_error_field(body, cut, 'z'); /* for the sanitizers: never past the end */
    text_release(&out);
}

static void fields_are_changed_taken_away_and_written_in_their_order(void **state)
{
    (void)state;
    struct error error;
    error_set(&error, "42703", "no column");
    error_hint(&error, "try another");
    error.position = 40;
    struct text out, copy;
    text_init(&out, TEXT_UNBOUNDED);
    text_init(&copy, TEXT_UNBOUNDED);
    wire_write_error(&out, "ERROR", &error);
    struct wire_fields fields;
    assert_true(wire_read_fields(bytes(&out) + 5, out.length - 5, &fields));
    wire_write_fields(&copy, 'E', &fields);
    assert_int_equal(copy.length, out.length);
    assert_memory_equal(copy.data, out.data, out.length);
    wire_fields_set(&fields, 'P', "8");
    wire_fields_set(&fields, 'H', NULL);
    wire_fields_set(&fields, 'z', "not there, so not set");
    assert_string_equal(wire_fields_get(&fields, 'P'), "8");
    assert_null(wire_fields_get(&fields, 'z'));
    text_clear(&copy);
    wire_write_fields(&copy, 'N', &fields);
    assert_int_equal(copy.data[0], 'N');
    assert_string_equal(wire_error_field(bytes(&copy) + 5, copy.length - 5, 'P'), "8");
    assert_string_equal(wire_error_field(bytes(&copy) + 5, copy.length - 5, 'M'), "no column");
    assert_null(wire_error_field(bytes(&copy) + 5, copy.length - 5, 'H'));
    text_release(&out);
    text_release(&copy);
}

static void fields_must_end_where_the_message_does(void **state)
{
    (void)state;
    static const uint8_t whole[] = "SERROR\0Mno\0"; /* its last 0 ends the message */
    struct wire_fields fields;
    assert_true(wire_read_fields(whole, sizeof whole, &fields));
    assert_int_equal(fields.count, 2);
    for (size_t cut = 0; cut < sizeof whole; cut++)
        assert_false(wire_read_fields(whole, cut, &fields));
    uint8_t many[(WIRE_FIELDS_MAX + 1) * 2 + 1] = {0};
    for (size_t i = 0; i <= WIRE_FIELDS_MAX; i++)
        many[2 * i] = 'x';
    assert_false(wire_read_fields(many, sizeof many, &fields));
}

static void a_row_description_is_walked_to_each_table_oid(void **state)
{
    (void)state;
    const struct wire_column columns[] = {{"id", 23}, {"role", 25}};
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    wire_write_row_description(&out, columns, 2);
    const uint8_t *body = bytes(&out) + 5;
    size_t length = out.length - 5, offset = 2;
    assert_int_equal(wire_get_int16(body), 2);
    assert_int_equal(wire_row_description_column(body, length, &offset), 2 + sizeof "id");
    size_t second = wire_row_description_column(body, length, &offset);
    assert_int_equal(wire_get_int32(body + second + 6), 25);
    assert_int_equal(offset, length);
    assert_int_equal(wire_row_description_column(body, length, &offset), 0);
    text_release(&out);
}

static void a_data_row_tells_null_from_empty(void **state)
{
    (void)state;
    const char *const values[] = {"", NULL, "ab"};
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    wire_write_data_row(&out, values, 3);
    const uint8_t expected[] = {'D',  0,    0,    0,    20, 0, 3, 0, 0,   0,  0,
                                0xff, 0xff, 0xff, 0xff, 0,  0, 0, 2, 'a', 'b'};
    assert_int_equal(out.length, sizeof expected);
    assert_memory_equal(out.data, expected, sizeof expected);
    text_release(&out);
}

static void small_messages_are_byte_exact(void **state)
{
    (void)state;
    struct text out;
    text_init(&out, TEXT_UNBOUNDED);
    wire_write_ready_for_query(&out, 'T');
    wire_write_command_complete(&out, "BEGIN");
    wire_write_empty_query(&out);
    wire_write_authentication_ok(&out);
    wire_write_sync(&out);
    wire_write_flush(&out);
    wire_write_close(&out, 'S', "x");
    wire_write_execute(&out, "");
    const char expected[] = "Z\0\0\0\5T"
                            "C\0\0\0\012BEGIN\0"
                            "I\0\0\0\4"
                            "R\0\0\0\010\0\0\0\0"
                            "S\0\0\0\4"
                            "H\0\0\0\4"
                            "C\0\0\0\7Sx\0"
                            "E\0\0\0\011\0\0\0\0";
    assert_int_equal(out.length, sizeof expected);
    assert_memory_equal(out.data, expected, sizeof expected);
    text_release(&out);
}

static void a_message_above_the_ceiling_marks_the_text(void **state)
{
    (void)state;
    struct text out;
    text_init(&out, 10);
    wire_write_query(&out, SLICE("SELECT 1 + 1"));
    assert_true(out.overflow);
    text_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_cut_anywhere_needs_more),
        cmocka_unit_test(refuses_a_length_that_does_not_count_itself),
        cmocka_unit_test(a_query_reads_back),
        cmocka_unit_test(refuses_a_query_whose_text_does_not_end_with_the_message),
        cmocka_unit_test(a_parse_reads_back_and_every_shorter_one_is_refused),
        cmocka_unit_test(a_bind_needs_both_names),
        cmocka_unit_test(close_and_describe_know_two_kinds),
        cmocka_unit_test(error_fields_are_found_and_empty_ones_left_out),
        cmocka_unit_test(fields_are_changed_taken_away_and_written_in_their_order),
        cmocka_unit_test(fields_must_end_where_the_message_does),
        cmocka_unit_test(a_row_description_is_walked_to_each_table_oid),
        cmocka_unit_test(a_data_row_tells_null_from_empty),
        cmocka_unit_test(small_messages_are_byte_exact),
        cmocka_unit_test(a_message_above_the_ceiling_marks_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
