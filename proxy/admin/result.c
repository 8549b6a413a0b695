#include "result.h"

#include "segue/wire/frame.h"

void result_init(struct result *result)
{
    *result = (struct result){0};
    text_init(&result->rows, RESULT_ROWS_MAX);
}

void result_release(struct result *result)
{
    text_release(&result->rows);
}

void result_add(struct result *result, const char *const *values, size_t count)
{
    wire_write_data_row(&result->rows, values, count);
    result->row_count++;
}

bool result_send(const struct result *result, size_t *sent, size_t limit, struct text *out)
{
    const uint8_t *rows = (const uint8_t *)result->rows.data;
    size_t end = *sent, size = 0;
    for (size_t taken = 0; end < result->rows.length && (limit == 0 || taken < limit); taken++) {
        if (wire_frame_read(rows + end, result->rows.length - end, &size) != WIRE_FRAME)
            BUG("a row that is no message");
        end += size;
    }
    text_add(out, rows + *sent, end - *sent);
    *sent = end;
    return end == result->rows.length;
}
