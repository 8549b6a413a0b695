/* What a stream asks of its pool. */
#ifndef SEGUE_NET_STREAM_POOL_H
#define SEGUE_NET_STREAM_POOL_H

#include "segue/net/stream.h"

void stream_pool_watch(struct stream *stream);
void stream_pool_unwatch(struct stream *stream);

/* ---- stream.c ---- */
void stream_on_readable(struct stream *stream);

#endif
