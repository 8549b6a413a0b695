/* What the demo prints: to stdout, in colour on a terminal only (and not with NO_COLOR). */
#ifndef SEGUE_PROXY_CLI_DEMO_REPORT_H
#define SEGUE_PROXY_CLI_DEMO_REPORT_H

#include "board.h"

struct demo_report {
    bool colour;
    bool quiet; /* the outcome only */
};

void demo_report_init(struct demo_report *report, bool quiet);
/* A line for a person; left out when quiet. */
void demo_report_line(const struct demo_report *report, const char *format, ...) PRINTF_LIKE(2, 3);
void demo_report_step(const struct demo_report *report, const char *title, const char *story);
/* What the proxy said while it carried out a command. */
void demo_report_said(const struct demo_report *report, const char *text);
void demo_report_app(const struct demo_report *report, const char *app,
                     const struct demo_reading *reading, double seconds);
/* The outcome: printed also when quiet. */
void demo_report_outcome(const struct demo_report *report, bool good, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* To stderr: message, detail and hint. */
void demo_report_error(const struct error *error);

#endif
