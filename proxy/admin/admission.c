#include "admission.h"

#include "console_private.h"

#include "segue/base/log.h"

#include <unistd.h>

bool admission_is_privileged(const struct client *client)
{
    return client->is_local && (client->uid == 0 || client->uid == geteuid());
}

bool admission_may_log_in(const struct client *client, struct error *error)
{
    size_t count = 0;
    for (const struct client *other = client->console->clients; other; other = other->next)
        count += other->state == CLIENT_READY;
    if (count < ADMISSION_MAX ||
        (count < ADMISSION_MAX + ADMISSION_RESERVED && admission_is_privileged(client)))
        return true;
    return error_set(error, "53300", "the admin console has %zu connections already", count);
}

static bool is_stranger(const struct client *client)
{
    return client->state < CLIENT_READY && !admission_is_privileged(client);
}

/* "10.0.0.7:5123" and "10.0.0.7:5124" are from one place; so is all of one local user. */
static bool has_source(const struct client *client, const struct client *other)
{
    return client->source_length == other->source_length &&
           strncmp(client->peer, other->peer, client->source_length) == 0;
}

static size_t strangers_from(const struct console *console, const struct client *source)
{
    size_t count = 0;
    for (const struct client *client = console->clients; client; client = client->next)
        count += is_stranger(client) && has_source(client, source);
    return count;
}

void admission_make_room(struct console *console, const struct client *newest)
{
    struct client *victim = NULL;
    size_t count = 0, most = 0;
    for (struct client *client = console->clients; client; client = client->next) {
        if (!is_stranger(client))
            continue;
        count++;
        size_t here = strangers_from(console, client);
        if (client == newest || here < most)
            continue;
        most = here;
        victim = client; /* the list begins with the newest */
    }
    if (count <= ADMISSION_STRANGERS)
        return;
    BUG_ON(!victim);
    log_warning(victim->subject, "closed: %d that have not logged in are enough",
                ADMISSION_STRANGERS);
    client_end(victim, "it made room for another");
}
