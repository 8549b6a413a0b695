/* Processes of the demo: fork, drop privileges, exec; and how each of them ended. */
#include "child.h"

#include "segue/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child, between fork and exec: only system calls, and no way back. */
static _Noreturn void become(const char *const *argv, const struct demo_user *user,
                             int death_signal, int log, pid_t parent)
{
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0)
        dup2(nothing, STDIN_FILENO);
    setpgid(0, 0);
    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);

    if (user && user->switches && (setgroups(0, NULL) || setgid(user->gid) || setuid(user->uid))) {
        dprintf(STDERR_FILENO, "cannot become user %s: %s\n", user->name, strerror(errno));
        _exit(127);
    }
    /* After the change of user, which clears it; and the parent may be gone already. */
    prctl(PR_SET_PDEATHSIG, death_signal);
    if (getppid() != parent)
        _exit(127);
    execv(argv[0], (char *const *)argv); /* which changes none of them */
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

bool demo_child_start(struct demo_child *child, const char *const *argv,
                      const struct demo_user *user, int death_signal, struct error *error)
{
    int log = open(child->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        return error_set(error, "58030", "cannot write %s: %s", child->log, strerror(errno));
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(argv, user, death_signal, log, parent);
    close(log);
    if (pid < 0)
        return error_set(error, "58000", "cannot start %s: %s", child->name, strerror(errno));
    child->pid = pid;
    return true;
}

/* The end of the log, which is where the reason stands. */
static void explain_by_log(const struct demo_child *child, struct error *error)
{
    char tail[900];
    int log = open(child->log, O_RDONLY | O_CLOEXEC);
    if (log < 0)
        return;
    off_t size = lseek(log, 0, SEEK_END);
    off_t from = size > (off_t)sizeof tail - 1 ? size - (off_t)sizeof tail + 1 : 0;
    ssize_t length = pread(log, tail, sizeof tail - 1, from);
    close(log);
    if (length <= 0)
        return;
    tail[length] = '\0';
    const char *start = tail;
    if (from > 0 && strchr(tail, '\n'))
        start = strchr(tail, '\n') + 1;
    error_detail(error, "Its log ends:\n%s", start);
}

static bool ended(struct demo_child *child, int status, struct error *error)
{
    child->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFSIGNALED(status))
        error_set(error, "58000", "%s was ended by signal %d", child->name, WTERMSIG(status));
    else
        error_set(error, "58000", "%s ended with status %d", child->name, WEXITSTATUS(status));
    explain_by_log(child, error);
    return false;
}

bool demo_child_finish(struct demo_child *child, struct error *error)
{
    int status;
    while (waitpid(child->pid, &status, 0) < 0) {
        if (errno != EINTR)
            return error_set(error, "58000", "lost track of %s: %s", child->name, strerror(errno));
    }
    return ended(child, status, error);
}

bool demo_child_is_running(struct demo_child *child, struct error *error)
{
    if (!child->pid)
        return error_set(error, "58000", "%s is not running", child->name);
    int status;
    if (waitpid(child->pid, &status, WNOHANG) != child->pid)
        return true;
    if (ended(child, status, error)) {
        error_set(error, "58000", "%s ended on its own", child->name);
        explain_by_log(child, error);
    }
    return false;
}

bool demo_child_stop(struct demo_child *child, int signal, unsigned patience_ms,
                     struct error *error)
{
    if (!child->pid)
        return true;
    int status;
    kill(child->pid, signal);
    for (unsigned waited = 0; waited < patience_ms; waited += 20) {
        if (waitpid(child->pid, &status, WNOHANG) == child->pid)
            return ended(child, status, error);
        clock_sleep_ms(20);
    }
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
    child->pid = 0;
    error_set(error, "58000", "%s did not end within %u s", child->name, patience_ms / 1000);
    explain_by_log(child, error);
    return false;
}
