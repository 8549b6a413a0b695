#include "secret.h"

#include "segue/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum { PASSWORD_MAX = 1024 };

void secret_release(struct text *password)
{
    if (password->capacity)
        OPENSSL_cleanse(password->data, password->capacity);
    text_release(password);
}

/* A signal that is blocked is let in by `waiting` only: one that came just before is not missed. */
static ssize_t read_char(int fd, const sigset_t *waiting, char *c)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (waiting && ppoll(&ready, 1, NULL, waiting) < 0)
        return -1;
    return read(fd, c, 1);
}

/* False where the line is cut short: by its end, or by a signal. */
static bool read_line(int fd, const sigset_t *waiting, struct text *password)
{
    char c = 0;
    text_init(password, PASSWORD_MAX);
    text_extend(password, PASSWORD_MAX); /* at once, so that no copy stays behind */
    text_clear(password);
    ssize_t got;
    while ((got = read_char(fd, waiting, &c)) == 1 && c != '\n')
        text_add_char(password, c);
    return (got == 1 || (got == 0 && password->length > 0)) && !password->overflow;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1; /* ppoll(2) ends with EINTR */
}

bool secret_can_ask(void)
{
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0)
        return false;
    close(terminal);
    return true;
}

bool secret_ask(const char *prompt, struct text *password)
{
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct termios before, silent;
    text_init(password, PASSWORD_MAX);
    if (terminal < 0)
        return false;
    if (tcgetattr(terminal, &before) != 0) {
        close(terminal);
        return false;
    }
    /* Ctrl-C must not leave the terminal mute. */
    struct sigaction interrupt = {.sa_handler = on_interrupt}, was;
    interrupted = 0;
    sigset_t blocked, mask;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    pthread_sigmask(SIG_BLOCK, &blocked, &mask);
    sigaction(SIGINT, &interrupt, &was);
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(terminal, TCSAFLUSH, &silent);
    dprintf(terminal, "%s", prompt);
    bool read = read_line(terminal, &mask, password);
    dprintf(terminal, "\n");
    tcsetattr(terminal, TCSAFLUSH, &before);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    sigaction(SIGINT, &was, NULL);
    close(terminal);
    return read && !interrupted;
}

bool secret_read_line(struct text *password)
{
    return read_line(STDIN_FILENO, NULL, password);
}

char *secret_verifier(const char *password, struct error *error)
{
    /* It asks for a connection, and for this algorithm does not use it: one to nowhere will do. */
    static const char *const names[] = {"no_such_parameter", NULL};
    static const char *const values[] = {"", NULL};
    PGconn *nowhere = PQconnectStartParams(names, values, 0);
    BUG_ON(!nowhere); /* out of memory */
    char *made = PQencryptPasswordConn(nowhere, password, "", "scram-sha-256");
    if (!made)
        error_set(error, "58000", "no verifier could be made: %s", PQerrorMessage(nowhere));
    char *verifier = memory_string(made);
    PQfreemem(made);
    PQfinish(nowhere);
    return verifier;
}
