#include "segue/base/log.h"

#include "segue/base/clock.h"
#include "segue/base/text.h"

#include <stdatomic.h>
#include <unistd.h>

static _Atomic int threshold = LOG_INFO;
static const char *const level_names[] = {"DEBUG", "INFO", "WARNING", "ERROR"};

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

/* One write per line, so that lines of several threads do not mix. */
void log_write(enum log_level level, const char *subject, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    char when[32];
    clock_format(clock_real_ms(), when, sizeof when);
    struct text line;
    text_init(&line, 8192);
    text_add_format(&line, "%s %-7s ", when, level_names[level]);
    if (subject)
        text_add_format(&line, "%s ", subject);
    va_list arguments;
    va_start(arguments, format);
    text_add_format_list(&line, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < line.length; i++) {
        if ((unsigned char)line.data[i] < 0x20)
            line.data[i] = '?';
    }
    line.overflow = false;
    line.ceiling = TEXT_UNBOUNDED;
    text_add_char(&line, '\n');
    ssize_t written = write(STDERR_FILENO, line.data, line.length);
    (void)written; /* nowhere to report that the log itself is gone */
    text_release(&line);
}
