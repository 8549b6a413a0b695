/*
 * The phases of a transition and what each means, as data. See DESIGN.md section 2.
 */
#ifndef SEGUE_TRANSITION_PHASE_H
#define SEGUE_TRANSITION_PHASE_H

#include "segue/base/error.h"

enum shape { SHAPE_OLD, SHAPE_NEW };
enum { SHAPE_COUNT = 2 };
static inline enum shape shape_other(enum shape shape)
{
    return shape == SHAPE_OLD ? SHAPE_NEW : SHAPE_OLD;
}
const char *shape_name(enum shape shape); /* "old", "new" */
bool shape_parse(const char *name, enum shape *shape);

enum phase { PHASE_OLD, PHASE_DUAL_OLD, PHASE_DUAL_OWN, PHASE_DUAL_NEW, PHASE_NEW };
enum { PHASE_COUNT = 5 };

const char *phase_name(enum phase phase); /* "dual_own" */
bool phase_parse(const char *name, enum phase *phase);

/* Are this shape's columns written in this phase? */
bool phase_writes(enum phase phase, enum shape shape);

/* How a client of `reader` gets its logical columns. */
enum phase_read {
    PHASE_READ_OWN,       /* its own physical column */
    PHASE_READ_CONVERTED, /* converted from the other shape's column */
    PHASE_READ_PARITY     /* its own where in parity, else converted (lossless: simply converted) */
};
enum phase_read phase_reads(enum phase phase, enum shape reader);
/*
 * Must this shape's columns hold every row's value before the phase may be entered? They do once
 * VERIFY found every row in parity while both are written, and until a phase that does not write
 * them.
 */
bool phase_needs(enum phase phase, enum shape shape);
static inline bool phase_is_dual(enum phase phase)
{
    return phase_writes(phase, SHAPE_OLD) && phase_writes(phase, SHAPE_NEW);
}

/*
 * Where a transition stands around the line of phases. APPLIED: defined, phase `old`, the new
 * columns do not exist. EXPANDED: both exist. CONTRACTED: phase `new`, the old columns are gone and
 * the new ones carry their final names; old-shape clients are served by conversion.
 */
enum stage { STAGE_APPLIED, STAGE_EXPANDED, STAGE_CONTRACTED };
const char *stage_name(enum stage stage);
bool stage_parse(const char *name, enum stage *stage);

#endif
