#include "successor.h"

#include "segue/base/clock.h"
#include "segue/base/memory.h"
#include "segue/base/text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { STEP_SECONDS = 30 /* for each step */, LOOK_EVERY_MS = 100 };

extern char **environ;

/* ---------------------------------------------------------------- its environment */

static bool is_set_by_us(const char *variable)
{
    static const char *const ours[] = {
        "LISTEN_FDS=", "LISTEN_FDNAMES=", "LISTEN_PID=", "SEGUE_PREDECESSOR="};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strncmp(variable, ours[i], strlen(ours[i])) == 0)
            return true;
    }
    return false;
}

static char **environment(const struct successor_sockets *sockets)
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **variables = NEW_ARRAY(char *, count + 4);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_set_by_us(environ[i]))
            variables[kept++] = memory_string(environ[i]);
    }
    struct text text;
    text_init(&text, TEXT_UNBOUNDED);
    text_add_format(&text, "LISTEN_FDS=%zu", sockets->count);
    variables[kept++] = text_take(&text);
    text_add_string(&text, "LISTEN_FDNAMES=");
    for (size_t i = 0; i < sockets->count; i++)
        text_add_format(&text, "%s%s", i > 0 ? ":" : "", sockets->names[i]);
    variables[kept++] = text_take(&text);
    text_add_format(&text, "SEGUE_PREDECESSOR=%d:%zu", (int)getpid(),
                    SD_LISTEN_FDS_START + sockets->count);
    variables[kept++] = text_take(&text);
    return variables;
}

static void environment_free(char **variables)
{
    for (char **variable = variables; *variable; variable++)
        free(*variable);
    free(variables);
}

/* ---------------------------------------------------------------- starting it */

static int socket_at(const struct successor_sockets *sockets, int channel, size_t index)
{
    return index < sockets->count ? sockets->sockets[index] : channel;
}

/* The sockets, then the channel, from descriptor 3 on; all else is closed. Each first goes out of
 * the way of the places where they are to be. */
static void place_descriptors(posix_spawn_file_actions_t *actions,
                              const struct successor_sockets *sockets, int channel)
{
    int end = SD_LISTEN_FDS_START + (int)sockets->count + 1;
    int free_from = end;
    for (size_t i = 0; i <= sockets->count; i++) {
        if (socket_at(sockets, channel, i) >= free_from)
            free_from = socket_at(sockets, channel, i) + 1;
    }
    for (size_t i = 0; i <= sockets->count; i++)
        BUG_ON(posix_spawn_file_actions_adddup2(actions, socket_at(sockets, channel, i),
                                                free_from + (int)i) != 0);
    for (size_t i = 0; i <= sockets->count; i++)
        BUG_ON(posix_spawn_file_actions_adddup2(actions, free_from + (int)i,
                                                SD_LISTEN_FDS_START + (int)i) != 0);
    BUG_ON(posix_spawn_file_actions_addclosefrom_np(actions, end) != 0);
}

static int spawn(pid_t *pid, const char *const *arguments, const struct successor_sockets *sockets,
                 int channel)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    BUG_ON(posix_spawn_file_actions_init(&actions) != 0);
    BUG_ON(posix_spawnattr_init(&attributes) != 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    place_descriptors(&actions, sockets, channel);
    char **variables = environment(sockets);
    /* posix_spawn(3) changes no argument, but its type does not say so. */
    char *writable[SUCCESSOR_ARGUMENTS + 1] = {0};
    for (size_t i = 0; i < SUCCESSOR_ARGUMENTS && arguments[i]; i++)
        writable[i] = memory_string(arguments[i]);
    int status = posix_spawn(pid, writable[0], &actions, &attributes, writable, variables);
    for (size_t i = 0; i < SUCCESSOR_ARGUMENTS; i++)
        free(writable[i]);
    environment_free(variables);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

/* ---------------------------------------------------------------- waiting for it */

static uint64_t deadline_of_step(void)
{
    return clock_monotonic_ns() + STEP_SECONDS * UINT64_C(1000000000);
}

enum { CLOSED = 0, NOT_IN_TIME = -1 };

/* How many bytes of what it says; CLOSED; NOT_IN_TIME, also when cancelled. */
static ssize_t hear(int channel, const _Atomic bool *cancelled, uint64_t deadline, char *buffer,
                    size_t size)
{
    struct pollfd waits = {.fd = channel, .events = POLLIN};
    while (clock_monotonic_ns() < deadline && !atomic_load(cancelled)) {
        if (poll(&waits, 1, LOOK_EVERY_MS) <= 0)
            continue;
        ssize_t length = read(channel, buffer, size);
        return length > 0 ? length : CLOSED;
    }
    return NOT_IN_TIME;
}

/* What it says until it closes the channel or is ready; false where it does neither. */
static bool listen_to(int channel, const _Atomic bool *cancelled, struct text *words)
{
    uint64_t deadline = deadline_of_step();
    char buffer[1024];
    ssize_t length;
    while ((length = hear(channel, cancelled, deadline, buffer, sizeof buffer)) > 0) {
        text_add(words, buffer, (size_t)length);
        if (words->data[0] == 'R')
            break;
    }
    return length != NOT_IN_TIME;
}

void successor_forget(struct successor *successor)
{
    kill(successor->pid, SIGKILL);
    waitpid(successor->pid, NULL, 0);
    close(successor->channel);
    *successor = (struct successor){0};
}

static bool refuse(struct error *error, const char *why)
{
    error_set(error, "58000", "no process could take this one's place: %s", why);
    error_hint(error, "This process goes on as before. Mend it, then try again.");
    return false;
}

bool successor_start(struct successor *successor, const char *const *arguments,
                     const struct successor_sockets *sockets, const _Atomic bool *cancelled,
                     struct error *error)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return refuse(error, strerror(errno));
    int status = spawn(&successor->pid, arguments, sockets, ends[1]);
    close(ends[1]);
    successor->channel = ends[0];
    if (status != 0) {
        close(ends[0]);
        *successor = (struct successor){0};
        return refuse(error, strerror(status));
    }
    struct text words;
    text_init(&words, sizeof error->message - 64);
    bool heard = listen_to(successor->channel, cancelled, &words);
    bool is_ready = heard && words.data[0] == 'R';
    if (!is_ready) {
        successor_forget(successor);
        refuse(error, !heard                 ? "it was not ready in time"
                      : words.data[0] == 'E' ? words.data + 1
                                             : "it ended without a word; its log tells more");
    }
    text_release(&words);
    return is_ready;
}

/* Where it is gone, the next that is heard of it is the end. */
static void say(const struct successor *successor, const char *word)
{
    ssize_t sent = send(successor->channel, word, 1, MSG_NOSIGNAL);
    (void)sent;
}

/* S: it serves. L: it would, but has not loaded every database; S may follow. */
static bool serves(const struct successor *successor, bool must_load, const _Atomic bool *cancelled,
                   const char **why)
{
    uint64_t deadline = deadline_of_step();
    char word = '\0';
    ssize_t length;
    while ((length = hear(successor->channel, cancelled, deadline, &word, 1)) == 1) {
        if (word == 'S' || (word == 'L' && !must_load))
            return true;
    }
    if (length == CLOSED)
        *why = "it ended before it served; its log tells more";
    else
        *why = word == 'L' ? "it could not load the transitions of a database"
                           : "it did not serve in time";
    return false;
}

bool successor_begin(struct successor *successor, bool must_load, const _Atomic bool *cancelled,
                     struct error *error)
{
    const char *why;
    say(successor, "g");
    if (serves(successor, must_load, cancelled, &why))
        return true;
    if (!atomic_load(cancelled))
        successor_forget(successor);
    return refuse(error, why);
}

bool successor_is_there(const struct successor *successor)
{
    char words[16]; /* S, where L was enough */
    ssize_t length;
    while ((length = recv(successor->channel, words, sizeof words, MSG_DONTWAIT)) > 0)
        continue;
    return length != CLOSED;
}

void successor_put_in_charge(const struct successor *successor)
{
    say(successor, "m");
}

void successor_tell_to_end(const struct successor *successor, enum successor_end how)
{
    kill(successor->pid, how == SUCCESSOR_AT_ONCE ? SIGINT : SIGTERM);
}

void successor_await_end(const struct successor *successor)
{
    siginfo_t information;
    /* Not reaped, so that the number stays its own: it may be told once more to end. */
    while (waitid(P_PID, (id_t)successor->pid, &information, WEXITED | WNOWAIT) != 0 &&
           errno == EINTR)
        ;
}
