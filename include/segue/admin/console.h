/*
 * The admin port: a console that speaks the PostgreSQL protocol (`psql -p 6430 segue`). It runs on
 * the main loop; commands that block run each on a thread of its own and report back to the loop.
 */
#ifndef SEGUE_ADMIN_CONSOLE_H
#define SEGUE_ADMIN_CONSOLE_H

#include "segue/fleet/fleet.h"

#include <uv.h>

struct console;

/* NULL with `error` when it cannot listen, or when it would listen beyond loopback without
 * authentication. */
struct console *console_start(uv_loop_t *loop, struct fleet *fleet, struct error *error);
/* Stops listening, cancels running commands, closes every connection; `on_closed` when nothing is
 * left. */
void console_stop(struct console *console, void (*on_closed)(void *context), void *context);
/* What RELOAD does, on a thread of its own. On the main loop. */
void console_reload(struct console *console);
/* Called on the main loop when somebody said SHUTDOWN; set before the loop runs. */
void console_on_shutdown(struct console *console, void (*callback)(void *context), void *context);

#endif
