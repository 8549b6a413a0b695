/* The demo's words. Everything goes through here, so that colour and --quiet are decided once. */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOLD  "\033[1m"
#define DIM   "\033[2m"
#define RED   "\033[31m"
#define GREEN "\033[32m"
#define PLAIN "\033[0m"

void demo_report_init(struct demo_report *report, bool quiet)
{
    const char *terminal = getenv("TERM");      // NOLINT: before there are threads
    const char *no_colour = getenv("NO_COLOR"); // NOLINT
    report->quiet = quiet;
    report->colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && terminal &&
                     strcmp(terminal, "dumb") != 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
}

static const char *paint(const struct demo_report *report, const char *colour)
{
    return report->colour ? colour : "";
}

void demo_report_line(const struct demo_report *report, const char *format, ...)
{
    if (report->quiet)
        return;
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

void demo_report_step(const struct demo_report *report, const char *title, const char *story)
{
    demo_report_line(report, "\n%s%s%s   %s", paint(report, BOLD), title, paint(report, PLAIN),
                     story);
}

void demo_report_said(const struct demo_report *report, const char *text)
{
    demo_report_line(report, "    %s%s%s", paint(report, DIM), text, paint(report, PLAIN));
}

/* "850 us", "4.1 ms", "2.3 s" */
static void format_latency(uint64_t us, char *buffer, size_t size)
{
    if (us < 1000)
        snprintf(buffer, size, "%llu us", (unsigned long long)us);
    else if (us < 1000000)
        snprintf(buffer, size, "%.1f ms", (double)us / 1e3);
    else
        snprintf(buffer, size, "%.1f s", (double)us / 1e6);
}

void demo_report_app(const struct demo_report *report, const char *app,
                     const struct demo_reading *reading, double seconds)
{
    char p50[32], p99[32], slowest[32];
    format_latency(reading->p50_us, p50, sizeof p50);
    format_latency(reading->p99_us, p99, sizeof p99);
    format_latency(reading->slowest_us, slowest, sizeof slowest);
    demo_report_line(report,
                     "    %-8s %8llu statements %7.0f/s   p50 %8s   p99 %8s   slowest %8s   "
                     "%s%llu failed%s",
                     app, (unsigned long long)reading->statements,
                     (double)reading->statements / seconds, p50, p99, slowest,
                     reading->failed ? paint(report, RED) : "", (unsigned long long)reading->failed,
                     reading->failed ? paint(report, PLAIN) : "");
}

void demo_report_outcome(const struct demo_report *report, bool good, const char *format, ...)
{
    char text[2000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("%s%s%s  %s\n", paint(report, good ? GREEN : RED), good ? "ok    " : "WRONG ",
           paint(report, PLAIN), text);
}

void demo_report_error(const struct error *error)
{
    fflush(stdout);
    fprintf(stderr, "segue demo: %s\n", error->message);
    if (error->detail[0])
        fprintf(stderr, "%s\n", error->detail);
    if (error->hint[0])
        fprintf(stderr, "HINT: %s\n", error->hint);
}
