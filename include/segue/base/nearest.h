/* "Did you mean ..?": the nearest of some names to one that is not among them. */
#ifndef SEGUE_BASE_NEAREST_H
#define SEGUE_BASE_NEAREST_H

#include <stddef.h>

struct nearest {
    const char *wanted;
    const char *best;  /* NULL: none is near enough to be worth a hint */
    unsigned distance; /* of best: letters to insert, delete, change or swap, any case */
};

/* Begin, offer each name that there is, look at `best`. Names must live as long as `best` is used.
 */
void nearest_init(struct nearest *nearest, const char *wanted);
void nearest_offer(struct nearest *nearest, const char *name);

#endif
