/*
 * The admin port: a console that speaks the PostgreSQL protocol (`psql -p 6430 segue`). It runs on
 * the main loop; commands that block run each on a thread of its own and report back to the loop.
 */
#ifndef SEGUE_ADMIN_CONSOLE_H
#define SEGUE_ADMIN_CONSOLE_H

#include "segue/fleet/fleet.h"
#include "segue/net/stream.h"

struct console;

/* On the loop of the pool, which must be run by stream_pool_run. */
struct console *console_new(struct stream_pool *pool, struct fleet *fleet);
/*
 * Reads its users and certificate, and opens its sockets; those that were handed over (`inherited`
 * may be NULL) are taken first. False with `error`; then console_stop is all that is left to do.
 */
bool console_open(struct console *console, struct inherited_sockets *inherited,
                  struct error *error) MUST_CHECK;
/* From now on connections are accepted. */
void console_start(struct console *console);
/* Are the files right that the settings name for it? */
bool console_check(const struct settings *settings, struct error *error) MUST_CHECK;
/* Its listening sockets: as worker_sockets. */
size_t console_sockets(const struct console *console, const char **names, int *sockets,
                       size_t most);
/* Stops listening (`handed_over`: another process goes on with the socket), cancels running
 * commands, closes every connection; `on_closed` when nothing is left. */
void console_stop(struct console *console, bool handed_over, void (*on_closed)(void *context),
                  void *context);
/* What RELOAD does, on a thread of its own. On the main loop. */
void console_reload(struct console *console);
void console_free(struct console *console); /* after the loop has ended; NULL is allowed */
/* Called on the main loop when somebody said SHUTDOWN, or RESTART with success, and has been
 * answered; set before the loop runs. */
enum console_ending { CONSOLE_RESTART, CONSOLE_SHUTDOWN };
typedef void console_end(void *context, enum console_ending ending);
void console_on_end(struct console *console, console_end *callback, void *context);
/*
 * What RESTART does, on a thread of its own: starts the process that is to take this one's place,
 * and blocks until it is ready. Set before the loop runs. on_end follows once the client has been
 * told.
 */
typedef bool console_restart(void *context, int *pid, struct error *error);
void console_on_restart(struct console *console, console_restart *callback, void *context);

#endif
