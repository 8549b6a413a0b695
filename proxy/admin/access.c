#include "access.h"

#include "segue/base/memory.h"
#include "segue/session/encryption.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <uv.h>

struct access {
    uv_mutex_t mutex; /* of what follows */
    struct users *users;
    struct tls_context *tls;
};

struct access *access_new(void)
{
    struct access *access = NEW(struct access);
    BUG_ON(uv_mutex_init(&access->mutex) != 0);
    access->users = NEW(struct users);
    return access;
}

void access_free(struct access *access)
{
    users_free(access->users);
    tls_context_put(access->tls);
    uv_mutex_destroy(&access->mutex);
    free(access);
}

/* ------------------------------------------------------------ the files */

/* Our own files, and where there are none those for clients of the proxy, where it has TLS. */
static struct tls_options tls_options_of(const struct settings *settings)
{
    const struct settings_tls *own = &settings->admin.tls, *clients = &settings->client_tls;
    bool lends = clients->mode != SSLMODE_DISABLE;
    const struct settings_tls *identity = own->certificate || own->key || !lends ? own : clients;
    const struct settings_tls *trust = own->authorities || !lends ? own : clients;
    struct settings_tls used = *clients;
    used.mode = own->mode;
    used.certificate = identity->certificate;
    used.key = identity->key;
    used.authorities = trust->authorities;
    used.revocations = trust->revocations;
    return encryption_options(&used);
}

static bool load_tls(const struct settings *settings, struct tls_context **tls, struct error *error)
{
    *tls = NULL;
    struct tls_options options = tls_options_of(settings);
    if (!settings->admin.address || settings->admin.tls.mode == SSLMODE_DISABLE ||
        (!options.certificate && !options.key))
        return true;
    *tls = tls_context_for_clients(&options, error);
    return *tls != NULL;
}

static struct users *load_users(const struct settings *settings, struct error *error)
{
    struct users *users = settings->admin.users_file ? users_load(settings->admin.users_file, error)
                                                     : NEW(struct users);
    bool asks = settings->admin.address && settings->admin.auth == AUTH_SCRAM;
    if (!users || !asks || users_have_verifiers(users))
        return users;
    error_set(error, "F0000", "users_file \"%s\" has no user with a verifier",
              settings->admin.users_file ? settings->admin.users_file : "");
    error_detail(error, "Nobody could log in at %s.", settings->admin.address);
    error_hint(error, "`segue password NAME` makes a line for it.");
    users_free(users);
    return NULL;
}

bool access_load(struct access *access, const struct settings *settings, struct error *error)
{
    struct tls_context *tls;
    if (settings->admin.port == 0)
        return true;
    struct users *users = load_users(settings, error);
    if (!users)
        return false;
    if (!load_tls(settings, &tls, error)) {
        users_free(users);
        return false;
    }
    uv_mutex_lock(&access->mutex);
    struct users *old_users = access->users;
    struct tls_context *old_tls = access->tls;
    access->users = users;
    access->tls = tls;
    uv_mutex_unlock(&access->mutex);
    users_free(old_users);
    tls_context_put(old_tls);
    return true;
}

bool access_check(const struct settings *settings, struct error *error)
{
    struct access *access = access_new();
    bool fine = access_load(access, settings, error);
    access_free(access);
    return fine;
}

/* ------------------------------------------------------------ asking */

bool access_find_user(struct access *access, const char *name, struct user *user)
{
    uv_mutex_lock(&access->mutex);
    const struct user *found = users_find(access->users, name);
    if (found)
        *user = *found;
    uv_mutex_unlock(&access->mutex);
    return found != NULL;
}

bool access_find_verifier(struct access *access, const char *name, struct scram_verifier *verifier)
{
    uv_mutex_lock(&access->mutex);
    bool somebody_has = users_have_verifiers(access->users);
    const struct user *found = users_find(access->users, name);
    if (found && found->has_verifier)
        *verifier = found->verifier;
    else
        users_mock(access->users, name, verifier);
    uv_mutex_unlock(&access->mutex);
    return somebody_has;
}

struct tls_context *access_tls(struct access *access)
{
    uv_mutex_lock(&access->mutex);
    struct tls_context *tls = access->tls ? tls_context_get(access->tls) : NULL;
    uv_mutex_unlock(&access->mutex);
    return tls;
}
