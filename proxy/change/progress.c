#include "segue/change/change.h"

#include "segue/base/text.h"

#include <stdatomic.h>

void progress_notice(const struct progress *progress, const char *format, ...)
{
    if (!progress->notice)
        return;
    struct text text;
    va_list arguments;
    text_init(&text, TEXT_UNBOUNDED);
    va_start(arguments, format);
    text_add_format_list(&text, format, arguments);
    va_end(arguments);
    progress->notice(progress->context, text.data);
    text_release(&text);
}

bool progress_is_cancelled(const struct progress *progress)
{
    return progress->cancelled && atomic_load(progress->cancelled);
}
