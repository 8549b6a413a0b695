#include "segue/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What does not fit is cut between two characters: drivers refuse text that is not UTF-8. */
static void fill(char *buffer, size_t size, const char *format, va_list arguments)
{
    int length = vsnprintf(buffer, size, format, arguments);
    if (length < 0 || (size_t)length < size)
        return;
    size_t end = size - 1;
    while (end > 0 && size - end < 4 && ((unsigned char)buffer[end - 1] & 0xC0) == 0x80)
        end--;
    if (end > 0 && (unsigned char)buffer[end - 1] >= 0xC0) /* it may be whole: that is no loss */
        buffer[end - 1] = '\0';
}

bool error_set(struct error *error, const char *sqlstate, const char *format, ...)
{
    if (!error)
        return false;
    memset(error, 0, sizeof *error);
    snprintf(error->sqlstate, sizeof error->sqlstate, "%s", sqlstate);
    va_list arguments;
    va_start(arguments, format);
    fill(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return false;
}

void error_detail(struct error *error, const char *format, ...)
{
    if (!error)
        return;
    va_list arguments;
    va_start(arguments, format);
    fill(error->detail, sizeof error->detail, format, arguments);
    va_end(arguments);
}

void error_hint(struct error *error, const char *format, ...)
{
    if (!error)
        return;
    va_list arguments;
    va_start(arguments, format);
    fill(error->hint, sizeof error->hint, format, arguments);
    va_end(arguments);
}

_Noreturn void bug_at(const char *file, int line, const char *format, ...)
{
    fprintf(stderr, "segue: BUG at %s:%d: ", file, line);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}
