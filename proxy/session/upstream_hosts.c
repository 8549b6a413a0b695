/*
 * What this process knows of the upstream hosts. Each login tells: the server could not be reached,
 * is not of the kind that is asked for, or is. Nothing of it is believed for ever, it only decides
 * whom to ask first: a host of which the worst is known is still tried, after all the others.
 */
#include "upstream.h"

#include "segue/base/log.h"
#include "segue/session/worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

static _Atomic uint64_t
    known_list; /* a hash of the list that the rest is about: RELOAD changes it */
static _Atomic uint8_t verdicts[SETTINGS_HOSTS_MAX];
static _Atomic int control_host = -1; /* where the control connection found the one to write to */
static pthread_mutex_t beginning = PTHREAD_MUTEX_INITIALIZER;

static const char *verdict_name(enum upstream_verdict verdict)
{
    switch (verdict) {
    case HOST_UNKNOWN:
        return "is unknown";
    case HOST_SUITS:
        return "takes sessions";
    case HOST_DOES_NOT_SUIT:
        return "is not what target_session_attrs asks for";
    case HOST_IS_DOWN:
        return "cannot be reached";
    }
    BUG("verdict %d", (int)verdict);
}

static uint64_t hash_of(const struct settings *settings)
{
    uint64_t hash = XXH3_64bits(settings->upstream.host, strlen(settings->upstream.host));
    hash ^= XXH3_64bits_withSeed(settings->upstream.port, strlen(settings->upstream.port), 1);
    return hash ^ (uint64_t)settings->upstream.target;
}

void upstream_hosts_begin(const struct settings *settings)
{
    uint64_t list = hash_of(settings);
    pthread_mutex_lock(&beginning); /* so that nothing noted since is lost */
    if (list != atomic_load(&known_list)) {
        for (size_t i = 0; i < SETTINGS_HOSTS_MAX; i++)
            atomic_store(&verdicts[i], HOST_UNKNOWN);
        atomic_store(&control_host, -1);
        atomic_store(&known_list, list);
    }
    pthread_mutex_unlock(&beginning);
}

void upstream_hosts_note(const struct settings *settings, size_t host,
                         enum upstream_verdict verdict)
{
    if (hash_of(settings) != atomic_load(&known_list))
        return; /* of a session from before a RELOAD */
    if (atomic_exchange(&verdicts[host], verdict) == verdict || settings->upstream.host_count == 1)
        return;
    const struct settings_host *noted = &settings->upstream.hosts[host];
    log_info(NULL, "the server at \"%s\", port %d %s", noted->name, noted->port,
             verdict_name(verdict));
}

void worker_note_control_host(const struct settings *settings, const char *name, const char *port)
{
    upstream_hosts_begin(settings);
    for (size_t i = 0; i < settings->upstream.host_count; i++) {
        const struct settings_host *host = &settings->upstream.hosts[i];
        if (strcmp(host->name, name) == 0 && host->port == atoi(port)) {
            atomic_store(&control_host, (int)i);
            return;
        }
    }
}

/* Where transitions can be used, if sessions may go there at all. */
static bool prefers_control_host(enum settings_target target)
{
    switch (target) {
    case TARGET_ANY:
    case TARGET_READ_WRITE:
    case TARGET_PRIMARY:
        return true;
    case TARGET_READ_ONLY:
    case TARGET_STANDBY:
    case TARGET_PREFER_STANDBY:
        return false;
    }
    BUG("target %d", (int)target);
}

enum { RANK_UNKNOWN = 2, RANK_UNSUITED = 3, RANKS = 5 };

static int rank(size_t host, bool is_known, bool control_first)
{
    if (!is_known)
        return RANK_UNKNOWN;
    if (control_first && atomic_load(&control_host) == (int)host)
        return 0;
    switch ((enum upstream_verdict)atomic_load(&verdicts[host])) {
    case HOST_SUITS:
        return 1;
    case HOST_UNKNOWN:
        return RANK_UNKNOWN;
    case HOST_DOES_NOT_SUIT:
        return RANK_UNSUITED;
    case HOST_IS_DOWN:
        return 4;
    }
    BUG("verdict %d", (int)verdicts[host]);
}

size_t upstream_hosts_order(const struct settings *settings, bool any_will_do,
                            struct upstream_choice *choices)
{
    enum settings_target target = settings->upstream.target;
    size_t hosts = settings->upstream.host_count, count = 0;
    bool control_first = any_will_do || prefers_control_host(target);
    bool in_two_rounds = target == TARGET_PREFER_STANDBY && !any_will_do;
    bool is_known = hash_of(settings) == atomic_load(&known_list); /* not of before a RELOAD */
    int ranks[SETTINGS_HOSTS_MAX];
    for (size_t i = 0; i < hosts; i++)
        ranks[i] = rank(i, is_known, control_first);
    for (int r = 0; r < RANKS; r++) {
        for (size_t i = 0; i < hosts; i++) {
            /* A known primary need not be tried for being a standby: it is next in line anyway. */
            if (ranks[i] == r && !(in_two_rounds && r == RANK_UNSUITED))
                choices[count++] = (struct upstream_choice){.host = (uint8_t)i};
        }
    }
    for (size_t i = 0; in_two_rounds && i < hosts; i++)
        choices[count++] = (struct upstream_choice){.host = (uint8_t)i, .takes_any = true};
    return count;
}
