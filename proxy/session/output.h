/*
 * Output: what one turn of the loop sends to one peer, gathered so that a single write takes it.
 * Neighbouring ranges join by themselves; a changed message is a vector between two of them. Ranges
 * are not copied: they must stay where they are until output_flush.
 */
#ifndef SEGUE_SESSION_OUTPUT_H
#define SEGUE_SESSION_OUTPUT_H

#include "segue/base/arena.h"
#include "segue/net/stream.h"

enum { OUTPUT_VECTORS = 64 };

struct output {
    struct stream *stream; /* set by output_begin */
    unsigned count;
    enum stream_result result; /* the worst since output_begin */
    uv_buf_t vectors[OUTPUT_VECTORS];
    struct arena arena; /* for messages made in this turn */
};

void output_init(struct output *output);
void output_release(struct output *output);

void output_begin(struct output *output, struct stream *stream);
enum stream_result output_flush(struct output *output);
void output_add_vector(struct output *output, const void *data, size_t length);

static inline void output_add(struct output *output, const void *data, size_t length)
{
    if (output->count) {
        uv_buf_t *last = &output->vectors[output->count - 1];
        if (last->base + last->len == (const char *)data) {
            last->len += length;
            return;
        }
    }
    output_add_vector(output, data, length);
}

/* A message built in a text: copied, so the text may be released. */
void output_add_text(struct output *output, const struct text *text);
/* Type and length of a message whose body follows in pieces. */
void output_add_header(struct output *output, char type, size_t body_length);

#endif
