/*
 * A failure, explained to a person: what happened, to what, what to do now.
 *
 * Functions that may fail take a `struct error *` last and return false (or a must-check enum). The
 * caller owns the struct; it holds no pointers, so it may be copied and needs no release. What is
 * too long for it is cut, at the end of a character.
 */
#ifndef SEGUE_BASE_ERROR_H
#define SEGUE_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#define MUST_CHECK                __attribute__((warn_unused_result))
#define PRINTF_LIKE(which, first) __attribute__((format(printf, which, first)))

struct error {
    char sqlstate[6];   /* as PostgreSQL would choose; "" when there was no error */
    int position;       /* 1-based, in characters of the client's text; 0 where there is none */
    char message[1024]; /* one sentence, no full stop, as PostgreSQL writes them */
    char detail[1024];  /* "" where there is none */
    char hint[512];     /* "" where there is none */
};

/* Fills `error` (which may be NULL). Always returns false, so that `return error_set(..)` reads
 * well. */
bool error_set(struct error *error, const char *sqlstate, const char *format, ...)
    PRINTF_LIKE(3, 4);
void error_detail(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);
void error_hint(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

/* For states that cannot happen: says where, and aborts. In release builds too. */
#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
#define BUG_ON(condition)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!!(condition), 0))                                                    \
            BUG("%s", #condition);                                                                 \
    } while (0)
_Noreturn void bug_at(const char *file, int line, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
