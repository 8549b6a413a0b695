/*
 * Optimal string alignment distance: Levenshtein's with neighbouring letters swapped counted as one
 * slip, which is what typing errors are. Names are short, so three rows on the stack do.
 */
#include "segue/base/nearest.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST = 63 };

static int folded(char c)
{
    return tolower((unsigned char)c);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned rows[3][LONGEST + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            int x = folded(a[i - 1]), y = folded(b[j - 1]);
            row[j] = least(least(last[j] + 1, row[j - 1] + 1), last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == folded(b[j - 2]) && y == folded(a[i - 2]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        unsigned *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_length];
}

void nearest_init(struct nearest *nearest, const char *wanted)
{
    *nearest = (struct nearest){.wanted = wanted};
}

void nearest_offer(struct nearest *nearest, const char *name)
{
    size_t wanted_length = strlen(nearest->wanted), length = strlen(name);
    if (wanted_length > LONGEST || length > LONGEST)
        return;
    unsigned found = distance(nearest->wanted, wanted_length, name, length);
    size_t tolerated = (length + 2) / 3; /* a third of the name may be wrong */
    if (found <= tolerated && (!nearest->best || found < nearest->distance)) {
        nearest->best = name;
        nearest->distance = found;
    }
}
