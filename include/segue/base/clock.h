/* Time. Monotonic for intervals, real for what a person reads. */
#ifndef SEGUE_BASE_CLOCK_H
#define SEGUE_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_monotonic_ns(void);
uint64_t clock_real_ms(void); /* since 1970 UTC */
void clock_format(uint64_t real_ms, char *buffer,
                  size_t size);             /* 2026-11-22T03:04:05.678Z, 25 bytes */
void clock_sleep_ms(unsigned milliseconds); /* never on a loop's thread */

#endif
