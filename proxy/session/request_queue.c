#include "request_queue.h"

#include "segue/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 16 };

void request_queue_init(struct request_queue *queue)
{
    *queue = (struct request_queue){0};
}

void request_queue_release(struct request_queue *queue)
{
    free(queue->ring);
    request_queue_init(queue);
}

static void grow(struct request_queue *queue)
{
    uint32_t capacity = queue->capacity ? queue->capacity * 2 : FIRST_CAPACITY;
    struct request *ring = NEW_ARRAY(struct request, capacity);
    for (uint32_t i = 0; i < queue->count; i++)
        ring[i] = *request_queue_at(queue, i);
    free(queue->ring);
    queue->ring = ring;
    queue->capacity = capacity;
    queue->first = 0;
}

struct request *request_queue_push(struct request_queue *queue, enum request_kind kind)
{
    if (queue->count == queue->capacity)
        grow(queue);
    struct request *request = request_queue_at(queue, queue->count++);
    *request = (struct request){.kind = kind};
    return request;
}

void request_queue_pop(struct request_queue *queue)
{
    BUG_ON(queue->count == 0);
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->count--;
    /* A pipeline's ring is not kept by an idle session. */
    if (queue->count == 0 && queue->capacity > FIRST_CAPACITY)
        request_queue_release(queue);
}

void request_queue_remove(struct request_queue *queue, uint32_t i)
{
    BUG_ON(i >= queue->count);
    for (; i + 1 < queue->count; i++)
        *request_queue_at(queue, i) = *request_queue_at(queue, i + 1);
    queue->count--;
}

void request_queue_enter_copy(struct request_queue *queue)
{
    uint32_t i = 1; /* 0 is the Query or Execute that copies */
    while (i < queue->count && request_queue_at(queue, i)->kind == REQUEST_SYNC) {
        if (request_queue_at(queue, i)->may_be_swallowed)
            i++;
        else
            request_queue_remove(queue, i);
    }
}

void request_queue_leave_copy(struct request_queue *queue)
{
    while (queue->count > 1 && request_queue_at(queue, 1)->may_be_swallowed)
        request_queue_remove(queue, 1);
    if (queue->count > 1 && request_queue_at(queue, 1)->kind == REQUEST_COPY_END)
        request_queue_remove(queue, 1);
}

void request_queue_settle(struct request_queue *queue)
{
    const struct request *front = request_queue_front(queue);
    if (!front || !front->may_be_swallowed)
        return;
    while (queue->count && request_queue_front(queue)->kind == REQUEST_SYNC)
        request_queue_pop(queue);
}

void request_queue_doubt(struct request_queue *queue)
{
    uint32_t i = 0;
    for (; i < queue->count && request_queue_at(queue, i)->kind == REQUEST_SYNC; i++)
        request_queue_at(queue, i)->may_be_swallowed = true;
    if (i == queue->count)
        request_queue_settle(queue);
}
