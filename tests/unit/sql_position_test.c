/* Positions: characters of the client's encoding, as PostgreSQL 15 counted them in these very
 * texts. */
#include "segue/sql/position.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define ROUND_TRIP(bytes, encoding, offset, position)                                              \
    check((struct slice){bytes, sizeof bytes - 1}, encoding, offset, position)

static void check(struct slice text, enum sql_encoding encoding, uint32_t offset, int position)
{
    assert_int_equal(sql_position(text, offset, encoding), position);
    assert_int_equal(sql_position_offset(text, position, encoding), offset);
}

static void counts_characters_of_the_clients_encoding(void **state)
{
    (void)state;
    ROUND_TRIP("'\xC3\xA9' x", SQL_ENCODING_UTF8, 5, 5);
    ROUND_TRIP("'\xE9\x93' x", SQL_ENCODING_BYTES, 5, 6);
    ROUND_TRIP("\x93\x94 x", SQL_ENCODING_BYTES, 1, 2);
    ROUND_TRIP("'\xC6\xFC\xCB\xDC\x8E\xB1\x8F\xB0\xA1' x", SQL_ENCODING_EUC, 12, 8);
    ROUND_TRIP("'\xC4\xE3\x8E\xA2\xA1\xA1' x", SQL_ENCODING_EUC_TW, 9, 6);
    ROUND_TRIP("'\x81\xE9' x", SQL_ENCODING_MULE, 5, 5);
}

static void a_text_that_ends_within_a_character_ends_there(void **state)
{
    (void)state;
    struct slice cut = {"x\x8F\xB0", 3};
    assert_int_equal(sql_position_offset(cut, 3, SQL_ENCODING_EUC), 3);
    assert_int_equal(sql_position(cut, 9, SQL_ENCODING_EUC), 3);
}

static void an_encoding_is_known_by_the_servers_and_the_clients_name(void **state)
{
    (void)state;
    assert_int_equal(sql_encoding_of("UTF8", "UTF8"), SQL_ENCODING_UTF8);
    assert_int_equal(sql_encoding_of("LATIN1", "UTF8"), SQL_ENCODING_UTF8);
    assert_int_equal(sql_encoding_of("UTF8", "LATIN1"), SQL_ENCODING_BYTES);
    assert_int_equal(sql_encoding_of("UTF8", "WIN1252"), SQL_ENCODING_BYTES);
    assert_int_equal(sql_encoding_of("UTF8", "EUC_JP"), SQL_ENCODING_EUC);
    assert_int_equal(sql_encoding_of("UTF8", "EUC_TW"), SQL_ENCODING_EUC_TW);
    assert_int_equal(sql_encoding_of("LATIN1", "MULE_INTERNAL"), SQL_ENCODING_MULE);
    /* bytes go to the server as they are */
    assert_int_equal(sql_encoding_of("EUC_JP", "SQL_ASCII"), SQL_ENCODING_EUC);
    assert_int_equal(sql_encoding_of("SQL_ASCII", "UTF8"), SQL_ENCODING_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_characters_of_the_clients_encoding),
        cmocka_unit_test(a_text_that_ends_within_a_character_ends_there),
        cmocka_unit_test(an_encoding_is_known_by_the_servers_and_the_clients_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
