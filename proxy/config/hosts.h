/* The servers that `host` and `port` of section upstream list. Within this room only. */
#ifndef SEGUE_PROXY_CONFIG_HOSTS_H
#define SEGUE_PROXY_CONFIG_HOSTS_H

#include "segue/config/settings.h"

/* "5432", or one port per host: "5432,5433". */
bool hosts_are_ports(const char *value);
/* Fills upstream.hosts; false with `error` where the lists do not fit each other. */
bool hosts_fill(struct settings *settings, const char *name, struct error *error) MUST_CHECK;
void hosts_release(struct settings *settings);

#endif
