/*
 * Orders: what other threads have a worker do. They lie in a list under its mutex until it wakes,
 * and are carried out in the order in which they were given.
 */
#include "worker_state.h"

struct worker_order *worker_take_orders(struct worker *worker)
{
    struct worker_order *orders = worker->orders;
    worker->orders = NULL;
    return orders;
}

void worker_carry_out(struct worker *worker, struct worker_order *orders)
{
    while (orders) {
        struct worker_order *order = orders;
        orders = order->next;
        bool is_waited_for = order->is_waited_for;
        order->carry_out(worker, order);
        if (is_waited_for)
            uv_sem_post(&order->done); /* it may be gone from here on */
    }
}

/* False where the worker has ended. */
static bool give(struct worker *worker, struct worker_order *order)
{
    order->next = NULL;
    uv_mutex_lock(&worker->mutex);
    bool given = !worker->ended;
    if (given) {
        struct worker_order **last = &worker->orders;
        while (*last)
            last = &(*last)->next;
        *last = order;
        uv_async_send(&worker->wake);
    }
    uv_mutex_unlock(&worker->mutex);
    return given;
}

bool worker_give_order(struct worker *worker, struct worker_order *order)
{
    BUG_ON(uv_sem_init(&order->done, 0) != 0);
    order->is_waited_for = true;
    bool given = give(worker, order);
    if (given)
        uv_sem_wait(&order->done);
    uv_sem_destroy(&order->done);
    return given;
}

void worker_post_order(struct worker *worker, struct worker_order *order)
{
    order->is_waited_for = false;
    BUG_ON(!give(worker, order));
}
