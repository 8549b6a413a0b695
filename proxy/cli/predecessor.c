#include "predecessor.h"

#include "segue/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool predecessor_find(struct predecessor *predecessor)
{
    *predecessor = (struct predecessor){.channel = -1};
    const char *said = getenv("SEGUE_PREDECESSOR");
    int pid, channel;
    if (!said || sscanf(said, "%d:%d", &pid, &channel) != 2 ||
        fcntl(channel, F_SETFD, FD_CLOEXEC) != 0)
        return false;
    predecessor->pid = pid;
    unsetenv("SEGUE_PREDECESSOR");
    /* It could not know this process's number, without which the sockets count as another's. */
    char own[16];
    snprintf(own, sizeof own, "%d", (int)getpid());
    setenv("LISTEN_PID", own, 1);
    predecessor->channel = channel;
    return true;
}

static void say(struct predecessor *predecessor, const char *words)
{
    ssize_t sent = send(predecessor->channel, words, strlen(words), MSG_NOSIGNAL);
    (void)sent; /* where it is gone, its end of the channel tells so */
}

void predecessor_fail(struct predecessor *predecessor, const struct error *error)
{
    struct text words;
    text_init(&words, TEXT_UNBOUNDED);
    text_add_format(&words, "E%s%s%s", error->message, error->detail[0] ? " " : "", error->detail);
    say(predecessor, words.data);
    text_release(&words);
}

static void released(struct predecessor *predecessor)
{
    if (predecessor->has_released)
        return;
    predecessor->has_released = true;
    predecessor->on_released(predecessor->context);
}

static void handed_over(struct predecessor *predecessor)
{
    if (predecessor->has_handed_over)
        return;
    predecessor->has_handed_over = true;
    predecessor->on_handed_over(predecessor->context);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct predecessor *predecessor = poll->data;
    char word;
    ssize_t length = status < 0 ? 0 : read(predecessor->channel, &word, 1);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    bool is_gone = length != 1; /* which says all the rest, too */
    released(predecessor);
    if (is_gone || word == 'm')
        handed_over(predecessor);
    if (!is_gone)
        return;
    predecessor_close(predecessor);
    predecessor->on_gone(predecessor->context);
}

void predecessor_offer(struct predecessor *predecessor, uv_loop_t *loop)
{
    BUG_ON(uv_poll_init(loop, &predecessor->poll, predecessor->channel) != 0);
    predecessor->poll.data = predecessor;
    BUG_ON(uv_poll_start(&predecessor->poll, UV_READABLE, on_readable) != 0);
    say(predecessor, "R");
}

bool predecessor_waits(const struct predecessor *predecessor)
{
    return predecessor->channel >= 0 && !predecessor->has_handed_over;
}

void predecessor_tell(struct predecessor *predecessor, bool is_whole)
{
    say(predecessor, is_whole ? "S" : "L");
}

void predecessor_close(struct predecessor *predecessor)
{
    if (predecessor->channel < 0)
        return;
    uv_poll_stop(&predecessor->poll);
    uv_close((uv_handle_t *)&predecessor->poll, NULL);
    close(predecessor->channel);
    predecessor->channel = -1;
}
