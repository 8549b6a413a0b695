/* The request queue: order, growth, and what ends a request. */
#include "../../proxy/session/request_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct request *front(struct request_queue *queue)
{
    struct request *first = request_queue_front(queue);
    BUG_ON(!first);
    return first;
}

static void entries_come_out_in_the_order_they_went_in_through_growth(void **state)
{
    (void)state;
    struct request_queue queue;
    request_queue_init(&queue);
    uint32_t in = 0, out = 0;
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 7; i++)
            request_queue_push(&queue, REQUEST_QUERY)->statement = in++;
        for (int i = 0; i < 4; i++) {
            assert_int_equal(front(&queue)->statement, out++);
            request_queue_pop(&queue);
        }
    }
    for (; queue.count; request_queue_pop(&queue))
        assert_int_equal(front(&queue)->statement, out++);
    assert_int_equal(in, out);
    assert_null(request_queue_front(&queue));
    request_queue_release(&queue);
}

static void an_emptied_pipeline_gives_its_memory_back(void **state)
{
    (void)state;
    struct request_queue queue;
    request_queue_init(&queue);
    for (int i = 0; i < 1000; i++)
        request_queue_push(&queue, REQUEST_SYNC);
    while (queue.count)
        request_queue_pop(&queue);
    assert_int_equal(queue.capacity, 0);
    request_queue_release(&queue);
}

static void push_sync(struct request_queue *queue, bool may_be_swallowed)
{
    request_queue_push(queue, REQUEST_SYNC)->may_be_swallowed = may_be_swallowed;
}

static void a_copy_that_ends_well_has_swallowed_every_sync_among_its_data(void **state)
{
    (void)state;
    struct request_queue queue;
    request_queue_init(&queue);
    request_queue_push(&queue, REQUEST_QUERY);
    push_sync(&queue, false); /* ahead of the data */
    push_sync(&queue, true);  /* behind some */
    request_queue_enter_copy(&queue);
    assert_int_equal(queue.count, 2);
    push_sync(&queue, true);
    request_queue_push(&queue, REQUEST_COPY_END);
    push_sync(&queue, false);
    request_queue_leave_copy(&queue);
    assert_int_equal(queue.count, 2);
    assert_false(request_queue_at(&queue, 1)->may_be_swallowed);
    request_queue_release(&queue);
}

static void a_reply_to_something_else_tells_that_a_doubtful_sync_was_swallowed(void **state)
{
    (void)state;
    struct request_queue queue;
    request_queue_init(&queue);
    push_sync(&queue, true);
    push_sync(&queue, true);
    request_queue_push(&queue, REQUEST_QUERY);
    request_queue_settle(&queue);
    assert_int_equal(queue.count, 1);
    assert_int_equal(front(&queue)->kind, REQUEST_QUERY);
    request_queue_settle(&queue);
    assert_int_equal(queue.count, 1);
    request_queue_release(&queue);
}

static void doubt_goes_on_to_the_next_sync_and_is_dropped_where_nothing_else_waits(void **state)
{
    (void)state;
    struct request_queue queue;
    request_queue_init(&queue);
    push_sync(&queue, false);
    request_queue_push(&queue, REQUEST_PARSE);
    request_queue_doubt(&queue);
    assert_true(front(&queue)->may_be_swallowed);
    assert_int_equal(queue.count, 2);
    request_queue_release(&queue);
    request_queue_init(&queue);
    push_sync(&queue, true);
    push_sync(&queue, false);
    request_queue_doubt(&queue);
    assert_int_equal(queue.count, 0);
    request_queue_release(&queue);
}

static void each_kind_ends_with_its_own_reply(void **state)
{
    (void)state;
    assert_true(request_ends_with(REQUEST_QUERY, 'Z'));
    assert_false(request_ends_with(REQUEST_QUERY, 'C'));
    assert_true(request_ends_with(REQUEST_PARSE, '1'));
    assert_true(request_ends_with(REQUEST_BIND, '2'));
    assert_true(request_ends_with(REQUEST_CLOSE_STATEMENT, '3'));
    assert_true(request_ends_with(REQUEST_DESCRIBE_STATEMENT, 'n'));
    assert_false(request_ends_with(REQUEST_DESCRIBE_STATEMENT, 't'));
    assert_true(request_ends_with(REQUEST_EXECUTE, 's'));
    assert_true(request_ends_with(REQUEST_EXECUTE, 'I'));
    assert_false(request_ends_with(REQUEST_EXECUTE, 'D'));
    assert_true(request_ends_with(REQUEST_FUNCTION, 'Z'));
    assert_false(request_ends_with(REQUEST_FUNCTION, 'V'));
}

static void only_extended_messages_make_the_server_skip(void **state)
{
    (void)state;
    assert_true(request_is_extended(REQUEST_PARSE));
    assert_true(request_is_extended(REQUEST_EXECUTE));
    assert_false(request_is_extended(REQUEST_QUERY));
    assert_false(request_is_extended(REQUEST_FUNCTION));
    assert_false(request_is_extended(REQUEST_SYNC));
}

static void a_sync_before_the_end_of_a_copy_is_swallowed_and_one_after_it_is_not(void **state)
{
    (void)state;
    struct request_queue queue;
    request_queue_init(&queue);
    request_queue_push(&queue, REQUEST_EXECUTE);
    request_queue_push(&queue, REQUEST_SYNC);
    request_queue_push(&queue, REQUEST_SYNC);
    request_queue_push(&queue, REQUEST_COPY_END);
    request_queue_push(&queue, REQUEST_SYNC);
    request_queue_enter_copy(&queue);
    assert_int_equal(queue.count, 3);
    assert_int_equal(request_queue_at(&queue, 0)->kind, REQUEST_EXECUTE);
    assert_int_equal(request_queue_at(&queue, 1)->kind, REQUEST_COPY_END);
    assert_int_equal(request_queue_at(&queue, 2)->kind, REQUEST_SYNC);
    request_queue_release(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_out_in_the_order_they_went_in_through_growth),
        cmocka_unit_test(an_emptied_pipeline_gives_its_memory_back),
        cmocka_unit_test(a_copy_that_ends_well_has_swallowed_every_sync_among_its_data),
        cmocka_unit_test(a_reply_to_something_else_tells_that_a_doubtful_sync_was_swallowed),
        cmocka_unit_test(doubt_goes_on_to_the_next_sync_and_is_dropped_where_nothing_else_waits),
        cmocka_unit_test(each_kind_ends_with_its_own_reply),
        cmocka_unit_test(only_extended_messages_make_the_server_skip),
        cmocka_unit_test(a_sync_before_the_end_of_a_copy_is_swallowed_and_one_after_it_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
