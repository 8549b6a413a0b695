/*
 * Where the admin console's Unix socket is when segue.conf leaves it to us (`unix_socket_dir =
 * "auto"`), so that subcommands find the proxy without being told:
 *
 *     $RUNTIME_DIRECTORY        what systemd made for the service: /run/segue
 *     /run/segue                of root
 *     $XDG_RUNTIME_DIR/segue    of another user who is logged in
 *     /tmp/segue-<uid>          of another user otherwise
 */
#ifndef SEGUE_CONFIG_SOCKET_DIRECTORY_H
#define SEGUE_CONFIG_SOCKET_DIRECTORY_H

#include "segue/base/text.h"

#define SOCKET_DIRECTORY_AUTO "auto"

/* For who listens. `auto` is made where it is not there, for all to enter; another directory is
 * taken as it is. NULL with `error` where it cannot be made, or is another user's. The caller
 * frees. */
char *socket_directory_make(const char *unix_socket_dir, struct error *error);
/*
 * For who connects: the directory in which a socket of this port is. NULL where none has it; then
 * `looked_in` names the places, for a person. The caller frees.
 */
char *socket_directory_find(const char *unix_socket_dir, int port, struct text *looked_in);

#endif
