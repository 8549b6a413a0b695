/* The subcommands that are files of their own. argv[0] is the subcommand's name. Each gives an exit
 * status of cli.h. */
#ifndef SEGUE_PROXY_CLI_COMMANDS_H
#define SEGUE_PROXY_CLI_COMMANDS_H

int cli_serve(int argc, char **argv);
int cli_demo(int argc, char **argv);
int cli_verb(int argc, char **argv); /* those that are one command of the admin port */
int cli_status(int argc, char **argv);
int cli_rewrite(int argc, char **argv);
int cli_password(int argc, char **argv);

/* Of cli_verb: the next of its subcommands with its one line of help; NULL after the last. */
const char *cli_verb_at(int index, const char **summary);

#endif
