/*
 * The admin port: a console that speaks the PostgreSQL protocol (`psql -p 6430 segue`). It runs on
 * the main loop; commands that block run each on a thread of its own and report back to the loop.
 */
#ifndef SEGUE_ADMIN_CONSOLE_H
#define SEGUE_ADMIN_CONSOLE_H

#include "segue/fleet/fleet.h"

#include <uv.h>

struct console;

/*
 * NULL with `error` when it cannot listen, or when it would listen beyond loopback without
 * authentication. A socket that was handed over (`inherited` may be NULL) is taken first.
 */
struct console *console_open(uv_loop_t *loop, struct fleet *fleet,
                             struct inherited_sockets *inherited, struct error *error);
/* From now on connections are accepted. */
void console_start(struct console *console);
/* Its listening sockets: as worker_sockets. */
size_t console_sockets(const struct console *console, const char **names, int *sockets,
                       size_t most);
/* Stops listening (`handed_over`: another process goes on with the socket), cancels running
 * commands, closes every connection; `on_closed` when nothing is left. */
void console_stop(struct console *console, bool handed_over, void (*on_closed)(void *context),
                  void *context);
/* What RELOAD does, on a thread of its own. On the main loop. */
void console_reload(struct console *console);
/* Called on the main loop when somebody said SHUTDOWN; set before the loop runs. */
void console_on_shutdown(struct console *console, void (*callback)(void *context), void *context);
/*
 * What RESTART does, on a thread of its own: starts the process that is to take this one's place,
 * and blocks until it is ready. Set before the loop runs. on_shutdown follows once the client has
 * been told.
 */
typedef bool console_restart(void *context, int *pid, struct error *error);
void console_on_restart(struct console *console, console_restart *callback, void *context);

#endif
