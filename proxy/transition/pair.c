/* Pairs of what stands on old and new columns: names and which side is there. */
#include "segue/transition/pair.h"

#include "segue/transition/transition.h"

#include <stdlib.h>

static const char *const kind_names[PAIR_KIND_COUNT] = {"primary key", "unique", "unique index",
                                                        "index",       "check",  "foreign key"};

const char *pair_kind_name(enum pair_kind kind)
{
    return kind_names[kind];
}

bool pair_kind_parse(const char *name, enum pair_kind *kind)
{
    for (int i = 0; i < PAIR_KIND_COUNT; i++) {
        if (strcmp(name, kind_names[i]) == 0) {
            *kind = (enum pair_kind)i;
            return true;
        }
    }
    return false;
}

void pair_release(struct pair *pair)
{
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        free(pair->side[shape].name);
        free(pair->side[shape].logical);
        free(pair->side[shape].definition);
        free(pair->side[shape].inference);
    }
    free(pair->final_inference);
    *pair = (struct pair){0};
}

enum shape pair_side(enum phase phase, enum shape client)
{
    switch (phase) {
    case PHASE_OLD:
    case PHASE_DUAL_OLD:
        return SHAPE_OLD;
    case PHASE_DUAL_OWN:
        return client;
    case PHASE_DUAL_NEW:
    case PHASE_NEW:
        return SHAPE_NEW;
    }
    BUG("unknown phase");
}

const struct pair *pair_find(const struct transition *transition, enum shape client,
                             const char *logical)
{
    for (size_t i = 0; i < transition->pair_count; i++) {
        if (strcmp(transition->pairs[i].side[client].logical, logical) == 0)
            return &transition->pairs[i];
    }
    return NULL;
}

const char *pair_logical_name(const struct transition *transition, uint32_t relation,
                              const char *name, enum shape client)
{
    for (size_t i = 0; i < transition->pair_count; i++) {
        const struct pair *pair = &transition->pairs[i];
        if (relation && relation != pair->relation)
            continue;
        for (int shape = 0; shape < SHAPE_COUNT; shape++) {
            if (strcmp(pair->side[shape].name, name) == 0)
                return pair->side[client].logical;
        }
    }
    return NULL;
}
