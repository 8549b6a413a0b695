/*
 * `segue password`: makes a line of the admin console's users_file. The password is asked for, or
 * comes by the standard input; never by an argument, which every process of the machine could see.
 */
#include "commands.h"
#include "secret.h"

#include "segue/cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void print_help(FILE *stream)
{
    fputs("Usage: segue password NAME [--role ROLE] [--peer LOCAL_USER]\n"
          "\n"
          "Prints the line of this user for admin { users_file = .. }; RELOAD takes it up.\n"
          "Asks for the password on the terminal, or takes the first line of its standard input.\n"
          "\n"
          "      --role ROLE         operator (default), or viewer: sees everything, changes "
          "nothing\n"
          "      --peer LOCAL_USER   who comes by the Unix socket as this user needs no password\n"
          "  -h, --help              this text\n",
          stream);
}

enum { NAME_LENGTH_MAX = 63 }; /* bytes, as of a role of PostgreSQL: users_file takes no more */

struct order {
    const char *name, *role, *peer;
};

static int fail(const char *message)
{
    fprintf(stderr, "segue password: %s\n", message);
    return CLI_FAILED;
}

static void print_word(const char *word)
{
    putchar('"');
    for (; *word; word++) {
        if (*word == '"')
            putchar('"');
        putchar(*word);
    }
    putchar('"');
}

static int ask_twice(struct text *password)
{
    struct text again;
    text_init(&again, TEXT_UNBOUNDED);
    int status = CLI_OK;
    if (!secret_ask("Password: ", password) || !secret_ask("Again: ", &again))
        status = fail("no password was given");
    else if (strcmp(password->data, again.data) != 0)
        status = fail("the two are not the same");
    secret_release(&again);
    return status;
}

static int get_password(struct text *password)
{
    int status = CLI_OK;
    if (isatty(STDIN_FILENO))
        status = ask_twice(password);
    else if (!secret_read_line(password))
        status = fail(password->overflow ? "the password is too long" : "no password was given");
    if (status == CLI_OK && (password->length == 0 || strlen(password->data) != password->length))
        status = fail("an empty password, or one with a zero byte, lets nobody in");
    return status;
}

static int print_line(const struct order *order, const char *password)
{
    struct error error = {0};
    char *verifier = secret_verifier(password, &error);
    if (!verifier)
        return fail(error.message);
    print_word(order->name);
    printf(" \"%s\" %s", verifier, order->role);
    if (order->peer) {
        char word[256];
        snprintf(word, sizeof word, "peer=%s", order->peer);
        putchar(' ');
        print_word(word);
    }
    putchar('\n');
    free(verifier);
    return CLI_OK;
}

static int usage(const char *message, const char *argument)
{
    fprintf(stderr, "segue password: %s%s%s\n", message, argument ? ": " : "",
            argument ? argument : "");
    print_help(stderr);
    return CLI_USAGE;
}

/* Can it stand in a line of the file? */
static bool is_word(const char *text)
{
    return *text && !strpbrk(text, "\r\n");
}

static int take_options(struct order *order, int argc, char **argv, bool *done)
{
    enum { OPTION_ROLE = 256, OPTION_PEER };
    static const struct option options[] = {{"role", required_argument, NULL, OPTION_ROLE},
                                            {"peer", required_argument, NULL, OPTION_PEER},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case OPTION_ROLE:
            order->role = optarg;
            break;
        case OPTION_PEER:
            order->peer = optarg;
            break;
        case 'h':
            print_help(stdout);
            *done = true;
            return CLI_OK;
        default:
            print_help(stderr);
            return CLI_USAGE;
        }
    }
    if (optind == argc)
        return usage("the user's name is missing", NULL);
    if (optind + 1 < argc)
        return usage("one argument too many", argv[optind + 1]);
    if (strcmp(order->role, "operator") != 0 && strcmp(order->role, "viewer") != 0)
        return usage("expected operator or viewer", order->role);
    order->name = argv[optind];
    if (!is_word(order->name) || strlen(order->name) > NAME_LENGTH_MAX)
        return usage("no user can have this name", order->name);
    if (order->peer && !is_word(order->peer))
        return usage("no local user can have this name", order->peer);
    return CLI_OK;
}

int cli_password(int argc, char **argv)
{
    struct order order = {.role = "operator"};
    bool done = false;
    int status = take_options(&order, argc, argv, &done);
    if (status != CLI_OK || done)
        return status;
    struct text password;
    text_init(&password, TEXT_UNBOUNDED);
    status = get_password(&password);
    if (status == CLI_OK)
        status = print_line(&order, password.data);
    secret_release(&password);
    return status;
}
