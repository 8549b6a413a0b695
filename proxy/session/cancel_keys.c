/*
 * Cancel keys: a CancelRequest comes on a connection of its own, to any worker, and must go to the
 * very server that gave out the key. Its bytes are passed on as they are (process number and
 * secret, of any length); they only serve to find the way.
 */
#include "upstream.h"

#include "segue/base/memory.h"

#include <stdlib.h>

enum { BUCKETS = 4096 };

struct cancel_key {
    LIST_ENTRY(cancel_key) link;
    struct sockaddr_storage *address; /* NULL: a Unix socket */
    uint8_t host;
    uint16_t length;
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

struct cancel_key *cancel_key_add(const uint8_t *key, size_t length, size_t host,
                                  const struct sockaddr_storage *address)
{
    uv_once(&once, make_mutex);
    if (length > UINT16_MAX)
        return NULL; /* none that PostgreSQL gives out */
    struct cancel_key *added = memory_get(sizeof *added + length);
    memcpy(added->bytes, key, length);
    added->length = (uint16_t)length;
    added->host = (uint8_t)host;
    added->address = NULL;
    if (address->ss_family != 0) {
        added->address = memory_get(sizeof *address);
        *added->address = *address;
    }
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
    free(key->address);
    free(key);
}

bool cancel_key_find(const uint8_t *key, size_t length, size_t *host,
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
        *host = at->host;
        *address = at->address ? *at->address : (struct sockaddr_storage){0};
    }
    uv_mutex_unlock(&mutex);
    return at != NULL;
}
