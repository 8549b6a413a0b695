/* The console's own; what clients of it need to know. */
#ifndef SEGUE_PROXY_ADMIN_CONSOLE_PRIVATE_H
#define SEGUE_PROXY_ADMIN_CONSOLE_PRIVATE_H

#include "access.h"
#include "client.h"

#include "segue/admin/console.h"
#include "segue/net/listener.h"

struct console {
    struct stream_pool *pool;
    struct fleet *fleet;
    struct access *access;
    struct listener local, remote; /* the Unix socket, the address */
    uv_async_t wake;               /* a job has news, or a client has more to be handled */
    struct client *clients;
    uint64_t next_id;
    struct job *jobs; /* on threads, or done and not yet seen to be */
    bool stopping;
    bool restart_answered, shutdown_answered; /* and not announced yet */
    void (*on_closed)(void *context);
    void *on_closed_context;
    console_end *on_end;
    void *on_end_context;
    struct restart restart;
};

void console_cancel(struct console *console, uint32_t pid, uint32_t key);
/* Runs the statement for the client. NULL: on a thread, client_on_job follows. */
struct job *console_run(struct console *console, struct client *client,
                        const struct statement *statement);
/* A command has been answered after which the process ends. */
bool console_is_to_end(const struct console *console);
/* If so, whoever is to end it is told. */
void console_announce(struct console *console);
/* Takes the client out of the list; called once, when its handles are closed. */
void console_forget(struct console *console, struct client *client);

#endif
