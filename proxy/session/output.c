#include "output.h"

#include "segue/wire/frame.h"

void output_init(struct output *output)
{
    output->stream = NULL;
    output->count = 0;
    output->result = STREAM_SENT;
    arena_init(&output->arena);
}

void output_release(struct output *output)
{
    arena_release(&output->arena);
}

void output_begin(struct output *output, struct stream *stream)
{
    BUG_ON(output->count != 0);
    output->stream = stream;
    output->result = STREAM_SENT;
}

static void write_vectors(struct output *output)
{
    if (output->count == 0)
        return;
    unsigned count = output->count;
    output->count = 0;
    enum stream_result result = stream_write(output->stream, output->vectors, count);
    if (result > output->result)
        output->result = result;
    if (output->arena.total)
        arena_reset(&output->arena);
}

enum stream_result output_flush(struct output *output)
{
    write_vectors(output);
    return output->result;
}

void output_add_vector(struct output *output, const void *data, size_t length)
{
    if (length == 0)
        return;
    if (output->count == OUTPUT_VECTORS)
        write_vectors(output);
    /* uv_buf_t has no const; a write does not change what it sends */
    output->vectors[output->count++] = (uv_buf_t){.base = (char *)data, .len = length};
}

void output_add_text(struct output *output, const struct text *text)
{
    BUG_ON(text->overflow);
    /* First the room: a full output is written, and its arena reset, before the copy is made. */
    if (output->count == OUTPUT_VECTORS)
        write_vectors(output);
    output_add_vector(output, arena_string_range(&output->arena, text->data, text->length),
                      text->length);
}

void output_add_header(struct output *output, char type, size_t body_length)
{
    if (output->count == OUTPUT_VECTORS)
        write_vectors(output);
    size_t counted = body_length + 4;
    uint8_t *header = arena_get(&output->arena, WIRE_HEADER);
    header[0] = (uint8_t)type;
    for (int i = 0; i < 4; i++)
        header[1 + i] = (uint8_t)(counted >> (24 - 8 * i));
    output_add_vector(output, header, WIRE_HEADER);
}
