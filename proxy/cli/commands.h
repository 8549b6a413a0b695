/* The subcommands that are files of their own. argv[0] is the subcommand's name. Each gives an exit
 * status of cli.h. */
#ifndef SEGUE_PROXY_CLI_COMMANDS_H
#define SEGUE_PROXY_CLI_COMMANDS_H

int cli_serve(int argc, char **argv);
int cli_demo(int argc, char **argv);

#endif
