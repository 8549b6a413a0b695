/*
 * Cancel keys: a CancelRequest comes on a connection of its own, to any worker, and must go to the
 * very server that gave out the key. Its bytes are passed on as they are (process number and
 * secret, of any length); they only serve to find the session, and the way. That is kept with the
 * key, since a RELOAD may have changed the settings since.
 */
#include "cancel.h"

#include "segue/base/memory.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum { BUCKETS = 4096 };

struct cancel_key {
    LIST_ENTRY(cancel_key) link;
    struct session *session; /* for its worker's thread */
    struct worker *worker;
    char *host; /* as the settings named it */
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } address; /* of family 0 where it is a Unix socket */
    uint16_t port, length;
    uint8_t bytes[];
};

LIST_HEAD(bucket, cancel_key);
static struct bucket buckets[BUCKETS];
static uv_mutex_t mutex;
static uv_once_t once = UV_ONCE_INIT;

static void make_mutex(void)
{
    BUG_ON(uv_mutex_init(&mutex) != 0);
}

/* FNV-1a */
static struct bucket *bucket_of(const uint8_t *key, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ key[i]) * 16777619u;
    return &buckets[hash % BUCKETS];
}

static size_t size_of(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6  ? sizeof(struct sockaddr_in6)
           : address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                           : 0;
}

struct cancel_key *cancel_key_add(struct session *session, const uint8_t *key, size_t length,
                                  const struct settings_host *host,
                                  const struct sockaddr_storage *address)
{
    uv_once(&once, make_mutex);
    if (length > UINT16_MAX)
        return NULL; /* none that PostgreSQL gives out */
    struct cancel_key *added = memory_zero(1, sizeof *added + length);
    added->session = session;
    added->worker = session->worker;
    memcpy(added->bytes, key, length);
    added->length = (uint16_t)length;
    added->host = memory_string(host->name);
    added->port = (uint16_t)host->port;
    memcpy(&added->address, address, size_of((const struct sockaddr *)address));
    uv_mutex_lock(&mutex);
    LIST_INSERT_HEAD(bucket_of(key, length), added, link);
    uv_mutex_unlock(&mutex);
    return added;
}

void cancel_key_remove(struct cancel_key *key)
{
    if (!key)
        return;
    uv_mutex_lock(&mutex);
    LIST_REMOVE(key, link);
    uv_mutex_unlock(&mutex);
    free(key->host);
    free(key);
}

/* With the mutex held. */
static struct cancel_key *find(const uint8_t *key, size_t length)
{
    struct cancel_key *at;
    LIST_FOREACH(at, bucket_of(key, length), link)
    {
        if (at->length == length && CRYPTO_memcmp(at->bytes, key, length) == 0)
            break;
    }
    return at;
}

bool cancel_key_find(const uint8_t *key, size_t length, struct settings_host *host,
                     struct sockaddr_storage *address, struct worker_order *notice)
{
    uv_once(&once, make_mutex);
    uv_mutex_lock(&mutex);
    struct cancel_key *found = find(key, length);
    if (found) {
        *host = (struct settings_host){.name = memory_string(found->host), .port = found->port};
        *address = (struct sockaddr_storage){0};
        memcpy(address, &found->address, size_of(&found->address.any));
        worker_post_order(found->worker, notice); /* it has the session: the key is still there */
    }
    uv_mutex_unlock(&mutex);
    return found != NULL;
}

struct session *cancel_key_session(const struct worker *worker, const uint8_t *key, size_t length)
{
    uv_mutex_lock(&mutex);
    struct cancel_key *found = find(key, length);
    struct session *session = found && found->worker == worker ? found->session : NULL;
    uv_mutex_unlock(&mutex);
    return session;
}
