/*
 * Cancel keys: a CancelRequest comes on a connection of its own, to any worker, and must go to the
 * very server that gave out the key. Its bytes are passed on as they are (process number and
 * secret, of any length); they only serve to find the way. That is kept with the key, since a
 * RELOAD may have changed the settings since.
 */
#include "upstream.h"

#include "segue/base/memory.h"

#include <stdlib.h>

enum { BUCKETS = 4096 };

struct cancel_key {
    LIST_ENTRY(cancel_key) link;
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

struct cancel_key *cancel_key_add(const uint8_t *key, size_t length,
                                  const struct settings_host *host,
                                  const struct sockaddr_storage *address)
{
    uv_once(&once, make_mutex);
    if (length > UINT16_MAX)
        return NULL; /* none that PostgreSQL gives out */
    struct cancel_key *added = memory_zero(1, sizeof *added + length);
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

bool cancel_key_find(const uint8_t *key, size_t length, struct settings_host *host,
                     struct sockaddr_storage *address)
{
    uv_once(&once, make_mutex);
    struct cancel_key *at;
    uv_mutex_lock(&mutex);
    LIST_FOREACH(at, bucket_of(key, length), link)
    {
        if (at->length == length && memcmp(at->bytes, key, length) == 0)
            break;
    }
    if (at) {
        *host = (struct settings_host){.name = memory_string(at->host), .port = at->port};
        *address = (struct sockaddr_storage){0};
        memcpy(address, &at->address, size_of(&at->address.any));
    }
    uv_mutex_unlock(&mutex);
    return at != NULL;
}
