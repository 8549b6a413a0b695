/*
 * /tmp belongs to everybody: a directory there counts only if it is ours, or somebody could lie in
 * wait for us at the name that we would take.
 */
#include "segue/config/socket_directory.h"

#include "segue/base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLACES_MAX = 3 };

struct places {
    size_t count;
    char *path[PLACES_MAX];
};

static void add_place(struct places *places, const char *format, ...) PRINTF_LIKE(2, 3);
static void add_place(struct places *places, const char *format, ...)
{
    struct text path;
    va_list arguments;
    text_init(&path, TEXT_UNBOUNDED);
    va_start(arguments, format);
    text_add_format_list(&path, format, arguments);
    va_end(arguments);
    BUG_ON(places->count == PLACES_MAX);
    places->path[places->count++] = text_take(&path);
}

static void places_release(struct places *places)
{
    for (size_t i = 0; i < places->count; i++)
        free(places->path[i]);
}

static bool is_directory(const char *path)
{
    struct stat status;
    return path && path[0] == '/' && stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The one that is ours, as told in the header. */
static void add_own(struct places *places)
{
    const char *of_service = getenv("RUNTIME_DIRECTORY"); /* several are separated by colons */
    const char *of_login = getenv("XDG_RUNTIME_DIR");
    if (of_service && of_service[0] == '/')
        add_place(places, "%.*s", (int)strcspn(of_service, ":"), of_service);
    else if (geteuid() == 0)
        add_place(places, "/run/segue");
    else if (is_directory(of_login))
        add_place(places, "%s/segue", of_login);
    else
        add_place(places, "/tmp/segue-%u", (unsigned)geteuid());
}

/* Ours or root's, and nobody else may put a socket there. */
static bool is_trusted(const char *path, struct error *error)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return error_set(error, "58030", "cannot look at \"%s\": %s", path, strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return error_set(error, "58030", "\"%s\" is not a directory", path);
    if (status.st_uid != geteuid() && status.st_uid != 0)
        return error_set(error, "58030", "directory \"%s\" belongs to another user", path);
    if (status.st_mode & (S_IWGRP | S_IWOTH))
        return error_set(error, "58030", "directory \"%s\" can be written by others", path);
    return true;
}

char *socket_directory_make(const char *unix_socket_dir, struct error *error)
{
    if (strcmp(unix_socket_dir, SOCKET_DIRECTORY_AUTO) != 0)
        return memory_string(unix_socket_dir);
    struct places places = {0};
    add_own(&places);
    char *path = places.path[0]; /* the only one */
    bool is_new = mkdir(path, 0755) == 0;
    bool fine = is_new || errno == EEXIST ||
                error_set(error, "58030", "cannot make directory \"%s\" for the admin console: %s",
                          path, strerror(errno));
    if (is_new && chmod(path, 0755) != 0) /* whatever the umask says */
        fine = error_set(error, "58030", "cannot open directory \"%s\": %s", path, strerror(errno));
    if (fine && is_trusted(path, error))
        return path;
    error_hint(error, "Set admin { unix_socket_dir = .. } to a directory of segue's own.");
    places_release(&places);
    return NULL;
}

static bool has_socket(const char *directory, int port)
{
    if (directory[0] == '@') /* abstract: connecting tells */
        return true;
    struct text path;
    struct stat status;
    text_init(&path, TEXT_UNBOUNDED);
    text_add_format(&path, "%s/.s.PGSQL.%d", directory, port);
    bool found = stat(path.data, &status) == 0 && S_ISSOCK(status.st_mode);
    text_release(&path);
    return found;
}

char *socket_directory_find(const char *unix_socket_dir, int port, struct text *looked_in)
{
    struct places places = {0};
    bool is_auto = strcmp(unix_socket_dir, SOCKET_DIRECTORY_AUTO) == 0;
    char *found = NULL;
    if (is_auto) {
        add_own(&places);
        if (strcmp(places.path[0], "/run/segue") != 0)
            add_place(&places, "/run/segue"); /* the service's, for those who may talk to it */
    } else {
        add_place(&places, "%s", unix_socket_dir);
    }
    for (size_t i = 0; i < places.count && !found; i++) {
        const char *path = places.path[i];
        text_add_format(looked_in, "%s%s", i ? ", " : "", path);
        if (has_socket(path, port) &&
            (!is_auto || strncmp(path, "/tmp/", 5) != 0 || is_trusted(path, NULL)))
            found = memory_string(path);
    }
    places_release(&places);
    return found;
}
