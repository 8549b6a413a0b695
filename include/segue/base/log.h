/*
 * The log: one line per event, to stderr, from any thread. Every line is about a subject, e.g.
 * "C-42 shop/alice@10.0.0.7:5123". SQL literals and parameters stay out.
 */
#ifndef SEGUE_BASE_LOG_H
#define SEGUE_BASE_LOG_H

#include "segue/base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

void log_set_level(enum log_level level); /* before other threads start; LOG_INFO at first */
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
