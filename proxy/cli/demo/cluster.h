/*
 * A throwaway PostgreSQL server in a temporary directory, reached by TCP on loopback with a
 * password made up for it. When the demo runs as root, the server runs as an unprivileged user.
 */
#ifndef SEGUE_PROXY_CLI_DEMO_CLUSTER_H
#define SEGUE_PROXY_CLI_DEMO_CLUSTER_H

#include "child.h"

#define DEMO_DATABASE  "shop"
#define DEMO_SUPERUSER "postgres" /* Segue's control connection */
#define DEMO_APP_USER  "shop_app" /* what the apps are: no owner of anything, no superuser */

struct demo_cluster {
    char directory[128]; /* all files of the demo; "" while there is none */
    char binaries[256];  /* where initdb and postgres are */
    char password[33];
    char passfile[192]; /* for libpq, with the password of every user */
    char users[192];    /* for Segue's admin port: DEMO_SUPERUSER, with that password too */
    int port;
    struct demo_user owner;
    struct demo_child server;
};

/* `binaries` NULL: found through pg_config. After a failure call demo_cluster_stop all the same. */
bool demo_cluster_start(struct demo_cluster *cluster, const char *binaries, int port,
                        struct error *error) MUST_CHECK;
/* Stops the server and removes the directory; false when the server did not end well. */
bool demo_cluster_stop(struct demo_cluster *cluster, struct error *error);

/* libpq connection string, of the cluster's own port or of Segue's. The caller frees. */
char *demo_cluster_conninfo(const struct demo_cluster *cluster, int port, const char *database,
                            const char *user, const char *application_name);

/* Fills `ports` with `count` free TCP ports on loopback, the lowest from `first` on. All below
 * 32768, as from there on the kernel hands ports to outgoing connections. */
bool demo_ports_find(int first, int *ports, size_t count, struct error *error) MUST_CHECK;

#endif
