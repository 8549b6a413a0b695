/*
 * Whoever reaches the admin console may change the database. So an address needs users, and one
 * that others can reach needs TLS too; both are said before anything listens.
 */
#include "admin_section.h"

#include <arpa/inet.h>
#include <netinet/in.h>

bool settings_is_loopback(const char *address)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, address, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool is_same(const char *ours, const char *address)
{
    return ours && strcmp(ours, address) == 0;
}

bool admin_is_at(const struct settings *settings, const char *address, int port)
{
    return settings->admin.port == port && (is_same(settings->admin.address, address) ||
                                            is_same(settings->admin.unix_socket_dir, address));
}

static bool refuse_trust(const struct settings *settings, const char *name, struct error *error)
{
    error_set(error, "F0000",
              "%s: admin refuses to listen at %s without authentication: auth_type = \"trust\" is "
              "for a loopback address",
              name, settings->admin.address);
    error_hint(error, "Take the line out, and name a users_file (segue password makes its lines).");
    return false;
}

static bool lack_users(const struct settings *settings, const char *name, struct error *error)
{
    error_set(error, "F0000",
              "%s: admin refuses to listen at %s without authentication: it has no users_file",
              name, settings->admin.address);
    error_hint(error, "Name a users_file (segue password makes its lines), or leave the address "
                      "out: on this machine there is the Unix socket.");
    return false;
}

static bool has_certificate(const struct settings *settings)
{
    return settings->admin.tls.certificate ||
           (settings->client_tls.certificate && settings->client_tls.mode != SSLMODE_DISABLE);
}

static bool lack_tls(const struct settings *settings, const char *name, struct error *error)
{
    error_set(error, "F0000", "%s: admin refuses to listen at %s without TLS", name,
              settings->admin.address);
    if (settings->admin.tls.mode == SSLMODE_DISABLE)
        error_hint(error, "Only a loopback address can have tls_sslmode = \"disable\".");
    else
        error_hint(error, "Set tls_cert_file and tls_key_file in section admin, or "
                          "client_tls_cert_file and client_tls_key_file.");
    return false;
}

bool settings_admin_needs_tls(const struct settings *settings)
{
    return !settings_is_loopback(settings->admin.address) ||
           settings->admin.tls.mode >= SSLMODE_REQUIRE;
}

bool admin_fits(const struct settings *settings, const char *name, struct error *error)
{
    if (settings->admin.port == 0)
        return true;
    if (!settings->admin.address) {
        if (settings->admin.unix_socket_dir)
            return true;
        error_set(error, "F0000", "%s: admin has neither unix_socket_dir nor address", name);
        error_hint(error, "Set port = 0 to have no console.");
        return false;
    }
    bool is_loopback = settings_is_loopback(settings->admin.address);
    if (settings->admin.auth == AUTH_TRUST && !is_loopback)
        return refuse_trust(settings, name, error);
    if (settings->admin.auth == AUTH_SCRAM && !settings->admin.users_file)
        return lack_users(settings, name, error);
    if (settings_admin_needs_tls(settings) &&
        (settings->admin.tls.mode == SSLMODE_DISABLE || !has_certificate(settings)))
        return lack_tls(settings, name, error);
    return true;
}
