/* The line of phases as one table; everything else asks it. DESIGN.md section 2 is its source. */
#include "segue/transition/phase.h"

#include <string.h>

static const struct {
    const char *name;
    bool writes[SHAPE_COUNT];
    enum phase_read reads[SHAPE_COUNT];
    bool needs[SHAPE_COUNT];
} phases[PHASE_COUNT] = {
    [PHASE_OLD] = {"old", {true, false}, {PHASE_READ_OWN, PHASE_READ_CONVERTED}, {true, false}},
    [PHASE_DUAL_OLD] = {"dual_old",
                        {true, true},
                        {PHASE_READ_OWN, PHASE_READ_PARITY},
                        {true, false}},
    [PHASE_DUAL_OWN] = {"dual_own", {true, true}, {PHASE_READ_OWN, PHASE_READ_OWN}, {true, true}},
    [PHASE_DUAL_NEW] = {"dual_new",
                        {true, true},
                        {PHASE_READ_CONVERTED, PHASE_READ_OWN},
                        {false, true}},
    [PHASE_NEW] = {"new", {false, true}, {PHASE_READ_CONVERTED, PHASE_READ_OWN}, {false, true}},
};

static const char *const shape_names[SHAPE_COUNT] = {"old", "new"};

enum { STAGE_COUNT = 3 };
static const char *const stage_names[STAGE_COUNT] = {"applied", "expanded", "contracted"};

const char *shape_name(enum shape shape)
{
    return shape_names[shape];
}

bool shape_parse(const char *name, enum shape *shape)
{
    for (int i = 0; i < SHAPE_COUNT; i++) {
        if (strcmp(name, shape_names[i]) == 0) {
            *shape = (enum shape)i;
            return true;
        }
    }
    return false;
}

const char *phase_name(enum phase phase)
{
    return phases[phase].name;
}

bool phase_parse(const char *name, enum phase *phase)
{
    for (int i = 0; i < PHASE_COUNT; i++) {
        if (strcmp(name, phases[i].name) == 0) {
            *phase = (enum phase)i;
            return true;
        }
    }
    return false;
}

bool phase_writes(enum phase phase, enum shape shape)
{
    return phases[phase].writes[shape];
}

enum phase_read phase_reads(enum phase phase, enum shape reader)
{
    return phases[phase].reads[reader];
}

bool phase_needs(enum phase phase, enum shape shape)
{
    return phases[phase].needs[shape];
}

const char *stage_name(enum stage stage)
{
    return stage_names[stage];
}

bool stage_parse(const char *name, enum stage *stage)
{
    for (int i = 0; i < STAGE_COUNT; i++) {
        if (strcmp(name, stage_names[i]) == 0) {
            *stage = (enum stage)i;
            return true;
        }
    }
    return false;
}
