#include "examine.h"

#include <stdlib.h>

bool examine_applied(struct change *change, const char *transition, const char *what,
                     examine_function function, struct text *out, struct error *error)
{
    struct work work;
    if (!work_begin(&work, change, WORK_READS, what, transition, error))
        return false;
    bool done = work_needs_table(&work, error) && function(&work, NULL, out, error);
    work_end(&work);
    return done;
}

/* What does not bind cannot be looked at; what binds but does not fit can, and is told why not. */
static bool examine_one(struct work *work, examine_function function, struct text *out,
                        struct error *error)
{
    struct error refusal = {0};
    bool bound = query_do(work->connection, "BEGIN", error) &&
                 transition_bind(work->transition, work->connection, STAGE_APPLIED, error);
    bool fits = bound && transition_fit(work->transition, work->connection, &refusal);
    query_rollback(work->connection);
    return bound && function(work, fits ? NULL : &refusal, out, error);
}

bool examine_definition(struct change *change, const char *definition, const char *file_name,
                        const char *what, examine_function function, struct text *out,
                        struct error *error)
{
    size_t count;
    struct transition **transitions = transition_parse(definition, file_name, &count, error);
    if (!transitions)
        return false;
    struct work work;
    bool done = work_begin(&work, change, WORK_READS, what, NULL, error);
    for (size_t i = 0; done && i < count; i++) {
        work.transition = transition_get(transitions[i]);
        if (i)
            text_add_char(out, '\n');
        done = examine_one(&work, function, out, error);
        transition_put(work.transition);
        work.transition = NULL;
    }
    work_end(&work);
    for (size_t i = 0; i < count; i++)
        transition_put(transitions[i]);
    free(transitions);
    return done;
}
