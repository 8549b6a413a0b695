/* The scan as it is on a machine without wide registers: slower, and never another answer. */
#ifndef SEGUE_REWRITE_NAME_SCAN_H
#define SEGUE_REWRITE_NAME_SCAN_H

#include "segue/rewrite/rewrite.h"

uint32_t name_scan_text_plainly(const struct name_scan *scan, struct slice text);

#endif
