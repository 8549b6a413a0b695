/* Lists of hosts and ports as libpq has them: parted by commas, one port for all or one for each.
 */
#include "hosts.h"

#include "segue/base/memory.h"

#include <stdlib.h>

static size_t count_items(const char *list)
{
    size_t count = 1;
    for (; *list; list++)
        count += *list == ',';
    return count;
}

/* The next item; `list` moves behind its comma, or becomes NULL behind the last. */
static struct slice next_item(const char **list)
{
    struct slice item = {*list, strcspn(*list, ",")};
    *list = item.data[item.length] ? item.data + item.length + 1 : NULL;
    return item;
}

/* 0: it is none. */
static int port_of(struct slice item)
{
    long port = 0;
    for (size_t i = 0; i < item.length && port <= 65535; i++) {
        if (item.data[i] < '0' || item.data[i] > '9')
            return 0;
        port = port * 10 + (item.data[i] - '0');
    }
    return port <= 65535 ? (int)port : 0;
}

bool hosts_are_ports(const char *value)
{
    while (value) {
        if (port_of(next_item(&value)) == 0)
            return false;
    }
    return true;
}

bool hosts_fill(struct settings *settings, const char *name, struct error *error)
{
    const char *hosts = settings->upstream.host, *ports = settings->upstream.port;
    size_t count = count_items(hosts), port_count = count_items(ports);
    if (count > SETTINGS_HOSTS_MAX)
        return error_set(error, "F0000", "%s: upstream has %zu hosts: expected at most %d", name,
                         count, (int)SETTINGS_HOSTS_MAX);
    if (port_count != 1 && port_count != count)
        return error_set(error, "F0000",
                         "%s: upstream has %zu hosts and %zu ports: expected one port for all, or "
                         "one for each",
                         name, count, port_count);
    settings->upstream.hosts = NEW_ARRAY(struct settings_host, count);
    for (size_t i = 0; i < count; i++) {
        struct slice host = next_item(&hosts);
        if (host.length == 0)
            return error_set(error, "F0000", "%s: a host of upstream is empty: host = \"%s\"", name,
                             settings->upstream.host);
        struct settings_host *filled = &settings->upstream.hosts[settings->upstream.host_count++];
        filled->name = memory_string_range(host.data, host.length);
        filled->port = i < port_count ? port_of(next_item(&ports)) : filled[-1].port;
    }
    return true;
}

void hosts_release(struct settings *settings)
{
    for (size_t i = 0; i < settings->upstream.host_count; i++)
        free(settings->upstream.hosts[i].name);
    free(settings->upstream.hosts);
    free(settings->upstream.host);
    free(settings->upstream.port);
}
