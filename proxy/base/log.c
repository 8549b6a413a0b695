#include "segue/base/log.h"

#include "segue/base/clock.h"
#include "segue/base/text.h"

#include "journal.h"

#include <stdatomic.h>
#include <unistd.h>

enum { MESSAGE_LIMIT = 8192 };

static _Atomic int threshold = LOG_INFO;
static _Atomic int log_format = LOG_TEXT;
static _Atomic bool to_journal;

static const struct {
    const char *name;
    int priority; /* of syslog */
} levels[] = {
    [LOG_DEBUG] = {"DEBUG", 7},
    [LOG_INFO] = {"INFO", 6},
    [LOG_WARNING] = {"WARNING", 4},
    [LOG_ERROR] = {"ERROR", 3},
};

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

void log_set_format(enum log_format format)
{
    atomic_store(&log_format, (int)format);
}

void log_set_destination(enum log_destination destination)
{
    switch (destination) {
    case LOG_TO_AUTO:
        atomic_store(&to_journal, journal_has_stderr());
        return;
    case LOG_TO_STDERR:
    case LOG_TO_JOURNAL:
        atomic_store(&to_journal, destination == LOG_TO_JOURNAL);
        return;
    }
    BUG("log destination %d", destination);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

static void add_text(struct text *line, enum log_level level, const char *subject,
                     const char *message)
{
    char when[32];
    clock_format(clock_real_ms(), when, sizeof when);
    text_add_format(line, "%s %-7s ", when, levels[level].name);
    if (subject)
        text_add_format(line, "%s ", subject);
    text_add_string(line, message);
    for (size_t i = 0; i < line->length; i++) {
        if ((unsigned char)line->data[i] < 0x20)
            line->data[i] = '?';
    }
}

static void add_json(struct text *line, enum log_level level, const char *subject,
                     const char *message)
{
    char when[32];
    clock_format(clock_real_ms(), when, sizeof when);
    text_add_format(line, "{\"time\":\"%s\",\"level\":\"%s\",\"subject\":", when,
                    levels[level].name);
    if (subject)
        text_add_json_string(line, subject);
    else
        text_add_string(line, "null");
    text_add_string(line, ",\"message\":");
    text_add_json_string(line, message);
    text_add_char(line, '}');
}

/* One write per line, so that lines of several threads do not mix. */
static void write_stderr(enum log_level level, const char *subject, const char *message)
{
    struct text line;
    text_init(&line, TEXT_UNBOUNDED);
    if (atomic_load(&log_format) == LOG_JSON)
        add_json(&line, level, subject, message);
    else
        add_text(&line, level, subject, message);
    text_add_char(&line, '\n');
    ssize_t written = write(STDERR_FILENO, line.data, line.length);
    (void)written; /* nowhere to report that the log itself is gone */
    text_release(&line);
}

void log_write(enum log_level level, const char *subject, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    struct text message;
    text_init(&message, TEXT_UNBOUNDED);
    va_list arguments;
    va_start(arguments, format);
    text_add_format_list(&message, format, arguments);
    va_end(arguments);
    if (message.length > MESSAGE_LIMIT)
        message.data[message.length = MESSAGE_LIMIT] = '\0';
    if (!atomic_load(&to_journal) || !journal_send(levels[level].priority, subject, message.data))
        write_stderr(level, subject, message.data);
    text_release(&message);
}
