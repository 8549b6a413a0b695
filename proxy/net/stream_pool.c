/*
 * The loop of a thread that relays. Two sets of descriptors: libuv's own, and one of ours for the
 * sockets that are read, which is waited on. libuv's is one descriptor in it (uv_backend_fd, which
 * is there for this), and gets its turn when it has something to do.
 *
 * Why not libuv alone: a bare relay on it costs six percent more than one on epoll, and what a
 * query costs is what Segue is measured by. See README.md here.
 */
#include "stream_pool.h"

#include "segue/base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    READ_BUFFER = 64 * 1024,
    KEEPALIVE_SECONDS = 60, /* unless the owner says otherwise */
    EVENTS = 64 /* in one turn; each is one read at most, so that no stream starves another */
};

void stream_pool_init(struct stream_pool *pool, uv_loop_t *loop)
{
    pool->loop = loop;
    pool->tcp = (struct stream_tcp){.keepalive = true, .keepidle = KEEPALIVE_SECONDS};
    pool->size = READ_BUFFER;
    pool->buffer = memory_get(pool->size);
    text_init(&pool->sealed, TEXT_UNBOUNDED);
    TAILQ_INIT(&pool->unread);
    pool->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    BUG_ON(pool->epoll < 0 ||
           epoll_ctl(pool->epoll, EPOLL_CTL_ADD, uv_backend_fd(loop), &event) != 0);
}

void stream_pool_release(struct stream_pool *pool)
{
    close(pool->epoll);
    text_release(&pool->sealed);
    free(pool->buffer);
    pool->buffer = NULL;
}

void stream_pool_watch(struct stream *stream)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = stream};
    BUG_ON(epoll_ctl(stream->pool->epoll, EPOLL_CTL_ADD, stream->socket, &event) != 0);
}

void stream_pool_unwatch(struct stream *stream)
{
    BUG_ON(epoll_ctl(stream->pool->epoll, EPOLL_CTL_DEL, stream->socket, NULL) != 0);
}

/* Waits for what is next; true where libuv has something to do. */
static bool take_turn(struct stream_pool *pool)
{
    struct epoll_event events[EVENTS];
    int timeout = TAILQ_EMPTY(&pool->unread) ? uv_backend_timeout(pool->loop) : 0;
    int count = epoll_wait(pool->epoll, events, EVENTS, timeout);
    BUG_ON(count < 0 && errno != EINTR);
    uv_update_time(pool->loop);
    bool is_loops = false;
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            stream_on_readable(events[i].data.ptr);
        else
            is_loops = true;
    }
    if (!TAILQ_EMPTY(&pool->unread))
        stream_tls_read_held(pool);
    /* 0: a timer is due, or a handle was started or closed just now */
    return is_loops || uv_backend_timeout(pool->loop) == 0;
}

void stream_pool_run(struct stream_pool *pool)
{
    while (uv_run(pool->loop, UV_RUN_NOWAIT)) {
        while (!take_turn(pool))
            ;
    }
}
