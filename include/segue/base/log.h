/*
 * The log: one event per line, from any thread. Every event is about a subject, e.g.
 * "C-42 shop/alice@10.0.0.7:5123". SQL literals and parameters stay out.
 *
 * To stderr, as a line of text or an object of JSON (time, level, subject, message); or to
 * systemd's journal by its own protocol, where priority and subject (SEGUE_SUBJECT) are fields. An
 * event that the journal does not take goes to stderr.
 */
#ifndef SEGUE_BASE_LOG_H
#define SEGUE_BASE_LOG_H

#include "segue/base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

enum log_format { LOG_TEXT, LOG_JSON };
enum log_destination {
    LOG_TO_AUTO, /* the journal where stderr leads to it (systemd's JOURNAL_STREAM), else stderr */
    LOG_TO_STDERR,
    LOG_TO_JOURNAL
};

/* At any time, on any thread. LOG_INFO, LOG_TEXT and LOG_TO_STDERR until set. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
void log_set_destination(enum log_destination destination);
bool log_enabled(enum log_level level);
/* `subject` may be NULL. Control characters in the message are written as '?'. */
void log_write(enum log_level level, const char *subject, const char *format, ...)
    PRINTF_LIKE(3, 4);

#define log_debug(subject, ...)                                                                    \
    do {                                                                                           \
        if (log_enabled(LOG_DEBUG))                                                                \
            log_write(LOG_DEBUG, subject, __VA_ARGS__);                                            \
    } while (0)
#define log_info(subject, ...)    log_write(LOG_INFO, subject, __VA_ARGS__)
#define log_warning(subject, ...) log_write(LOG_WARNING, subject, __VA_ARGS__)
#define log_error(subject, ...)   log_write(LOG_ERROR, subject, __VA_ARGS__)

#endif
