/*
 * The admin console's language, and the definitions that come through it: any text is read or
 * refused with a message, and a refused one leaves the next one alone.
 */
#include "../../proxy/admin/command.h"

#include "segue/base/memory.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_commands(struct slice text)
{
    struct arena arena;
    struct statement *statements;
    size_t count;
    struct error error = {0};
    arena_init(&arena);
    if (statements_read(&arena, text, &statements, &count, &error)) {
        for (size_t i = 0; i < count; i++) {
            struct statement *again;
            size_t one;
            BUG_ON(!statements_read(&arena, statements[i].source, &again, &one, NULL));
            BUG_ON(one != 1 || again->command != statements[i].command);
        }
    } else
        BUG_ON(!error.sqlstate[0] || !error.message[0]);
    arena_release(&arena);
}

static size_t read_definitions(const char *text)
{
    size_t count;
    struct error error = {0};
    struct transition **transitions = transition_parse(text, "f", &count, &error);
    BUG_ON(!transitions && !error.message[0]);
    for (size_t i = 0; i < count; i++)
        transition_put(transitions[i]);
    free(transitions);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = memory_string_range((const char *)data, size);
    size_t length = strlen(text);
    read_commands((struct slice){text, length});
    read_definitions(text);
    BUG_ON(read_definitions(
               "transition \"t\" { table = \"t\" old \"a\" { type = \"int\" from = \"b\" } "
               "new \"b\" { type = \"int\" from = \"a\" } }") != 1);
    free(text);
    return 0;
}
