/*
 * What a text may change about the session, told without parsing it: a bit may be set wrongly,
 * never left unset wrongly, save for what happens inside functions.
 */
#ifndef SEGUE_SESSION_TEXT_EFFECTS_H
#define SEGUE_SESSION_TEXT_EFFECTS_H

#include "segue/rewrite/rewrite.h"

#include <stdint.h>

enum text_effect {
    /* SET, RESET, DISCARD, set_config(), temporary relations: how names are resolved, or the shape,
     * may be another afterwards */
    TEXT_CHANGES_RESOLUTION = 1u << 0,
    /* CREATE, ALTER, DROP as a statement: schemas too decide how names are resolved */
    TEXT_CHANGES_SCHEMA = 1u << 1,
    /* INSERT, UPDATE, DELETE, MERGE, or EXECUTE of one: rows. About the session that changes
       nothing */
    TEXT_WRITES = 1u << 2,
};
uint32_t text_effects(struct slice text);

/* A text in which the scan for words finds none of these has no effect. */
enum { TEXT_EFFECTS_WORDS = NAME_SCAN_RESOLUTION | NAME_SCAN_SHAPE | NAME_SCAN_DDL };

#endif
