/* What a stream, its pool and its encryption ask of each other. */
#ifndef SEGUE_NET_STREAM_POOL_H
#define SEGUE_NET_STREAM_POOL_H

#include "segue/net/stream.h"

void stream_pool_watch(struct stream *stream);
void stream_pool_unwatch(struct stream *stream);

/* ---- stream.c ---- */
void stream_on_readable(struct stream *stream);
/* Bytes received, 0 when the peer has ended, or a negative error of libuv's. */
ssize_t stream_receive_plain(const struct stream *stream, void *buffer, size_t size);
/* As stream_write, of bytes as they are; the stream is open and not broken. */
enum stream_result stream_send_plain(struct stream *stream, uv_buf_t *buffers, unsigned count);

/* Nothing that is written goes anywhere any more. */
void stream_break(struct stream *stream);

/* ---- stream_tls.c ---- */
void stream_tls_read(struct stream *stream);
void stream_tls_on_read_start(struct stream *stream);
enum stream_result stream_tls_write(struct stream *stream, uv_buf_t *buffers, unsigned count);
/* Tells the peer that our side ends; false where that was done, or cannot be. */
bool stream_tls_say_goodbye(struct stream *stream);
void stream_tls_free(struct stream *stream);
/* Gives one turn to each stream that holds bytes which were received but not yet read. */
void stream_tls_read_held(struct stream_pool *pool);

#endif
