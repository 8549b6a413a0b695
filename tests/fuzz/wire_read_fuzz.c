/* Readers of messages and of the startup packet: whatever the bytes, never past their end. */
#include "segue/wire/frame.h"
#include "segue/wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct wire_parse parse;
    struct wire_bind bind;
    struct wire_target target;
    struct slice sql;
    size_t size, offset = 2;
    if (wire_read_parse(data, length, &parse))
        BUG_ON(parse.sql.data[parse.sql.length] != '\0');
    if (wire_read_query(data, length, &sql))
        BUG_ON(sql.data[sql.length] != '\0');
    if (wire_read_bind(data, length, &bind))
        BUG_ON((const uint8_t *)bind.statement + strlen(bind.statement) >= data + length);
    if (wire_read_target(data, length, &target))
        BUG_ON((const uint8_t *)target.name + strlen(target.name) >= data + length);
    if (wire_frame_read(data, length, &size) == WIRE_FRAME)
        BUG_ON(size < WIRE_HEADER);
    while (length > 2 && wire_row_description_column(data, length, &offset))
        BUG_ON(offset > length);
    wire_error_field(data, length, 'C');
    struct text copy;
    text_init(&copy, TEXT_UNBOUNDED);
    struct wire_fields fields;
    if (wire_read_fields(data, length, &fields))
        wire_write_fields(&copy, 'E', &fields);
    text_release(&copy);
    struct wire_startup startup = wire_read_startup(data, length);
    BUG_ON(startup.length > length);
    return 0;
}
