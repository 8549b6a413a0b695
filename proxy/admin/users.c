/*
 * The words of a verifier never get into an error: it ends in logs. Nor do they stay behind in
 * memory that was given back, so nothing here grows by realloc(3).
 */
#include "users.h"

#include "segue/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1024 * 1024, WORD_MAX = 1024, WORDS = 4, PASSWD_BUFFER = 16 * 1024 };

static const char *const role_names[] = {"", "viewer", "operator"};

const char *role_name(enum role role)
{
    return role_names[role];
}

/* ------------------------------------------------------------ words of a line */

struct line {
    const char *file;
    int number;
    const char *at;
    size_t count;
    char words[WORDS][WORD_MAX];
    struct error *error;
};

static bool fail(const struct line *line, const char *format, ...) PRINTF_LIKE(2, 3);
static bool fail(const struct line *line, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return error_set(line->error, "F0000", "%s:%d: %s", line->file, line->number, message);
}

static bool take_char(struct line *line, size_t *length, char c)
{
    char *word = line->words[line->count];
    if (*length == WORD_MAX - 1)
        return fail(line, "a word is longer than %d bytes", WORD_MAX - 1);
    word[(*length)++] = c;
    word[*length] = '\0';
    return true;
}

static bool take_quoted(struct line *line)
{
    size_t length = 0;
    for (line->at++; *line->at && *line->at != '\n'; line->at++) {
        if (*line->at == '"' && *++line->at != '"') {
            line->count++;
            return true;
        }
        if (!take_char(line, &length, *line->at))
            return false;
    }
    return fail(line, "a quote is not closed");
}

static bool take_bare(struct line *line)
{
    size_t length = 0;
    while (!strchr(" \t\r\n", *line->at)) { /* the text's end is among them */
        if (!take_char(line, &length, *line->at++))
            return false;
    }
    line->count++;
    return true;
}

/* All words of the line; `at` is at its end then. */
static bool take_words(struct line *line)
{
    for (line->count = 0;;) {
        line->at += strspn(line->at, " \t\r");
        if (!*line->at || *line->at == '\n')
            return true;
        if (*line->at == '#') {
            line->at += strcspn(line->at, "\n");
            return true;
        }
        if (line->count == WORDS)
            return fail(line, "more than a name, a verifier, a role and a peer");
        line->words[line->count][0] = '\0';
        if (!(*line->at == '"' ? take_quoted(line) : take_bare(line)))
            return false;
        if (!strchr(" \t\r\n", *line->at))
            return fail(line, "a blank was expected behind a closing quote");
    }
}

/* ------------------------------------------------------------ what the words say */

static bool read_name(const struct line *line, const struct users *users, struct user *user)
{
    const char *name = line->words[0];
    if (!*name || strlen(name) > USER_NAME_MAX)
        return fail(line, "a user's name has 1 to %d bytes", USER_NAME_MAX);
    if (users_find(users, name))
        return fail(line, "user \"%s\" has a line already", name);
    memcpy(user->name, name, strlen(name) + 1);
    return true;
}

static bool read_verifier(const struct line *line, struct user *user)
{
    user->has_verifier = line->words[1][0] != '\0';
    if (!user->has_verifier || scram_verifier_parse(&user->verifier, line->words[1]))
        return true;
    fail(line, "the second word of user \"%s\" is not a SCRAM-SHA-256 verifier", user->name);
    error_hint(line->error, "Make the line with `segue password`; \"\" is for who has a peer.");
    return false;
}

/* A word for an error: a verifier may have got into the wrong place. */
static const char *told(const char *word)
{
    return strncmp(word, SCRAM_MECHANISM "$", sizeof SCRAM_MECHANISM) == 0 ? "a verifier" : word;
}

static bool read_role(const struct line *line, struct user *user)
{
    if (strcmp(line->words[2], role_name(ROLE_OPERATOR)) == 0)
        user->role = ROLE_OPERATOR;
    else if (strcmp(line->words[2], role_name(ROLE_VIEWER)) == 0)
        user->role = ROLE_VIEWER;
    else
        return fail(line, "the role of user \"%s\" is \"%.64s\": expected operator or viewer",
                    user->name, told(line->words[2]));
    return true;
}

static bool find_local_user(const char *name, uid_t *uid)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(name, &end, 10);
    if (*name >= '0' && *name <= '9' && !*end && !errno && number < (uid_t)-1) {
        *uid = (uid_t)number;
        return true;
    }
    struct passwd entry, *found = NULL;
    char *buffer = memory_get(PASSWD_BUFFER);
    bool is_known = getpwnam_r(name, &entry, buffer, PASSWD_BUFFER, &found) == 0 && found != NULL;
    if (is_known)
        *uid = entry.pw_uid;
    free(buffer);
    return is_known;
}

static bool read_peer(const struct line *line, struct user *user)
{
    const char *word = line->words[3];
    if (line->count == 3)
        return user->has_verifier ||
               fail(line, "user \"%s\" has neither a verifier nor a peer: nobody could be it",
                    user->name);
    if (strncmp(word, "peer=", 5) != 0 || !word[5])
        return fail(line, "\"%.64s\": expected peer=local_user", told(word));
    if (!find_local_user(word + 5, &user->peer))
        return fail(line, "no local user is called \"%.64s\"", word + 5);
    user->has_peer = true;
    return true;
}

static void release_list(struct users *users)
{
    if (users->list)
        OPENSSL_cleanse(users->list, users->count * sizeof *users->list);
    free(users->list);
}

static void add_user(struct users *users, const struct user *user)
{
    struct users grown = {NEW_ARRAY(struct user, users->count + 1), users->count + 1};
    if (users->count)
        memcpy(grown.list, users->list, users->count * sizeof *user);
    grown.list[users->count] = *user;
    release_list(users);
    *users = grown;
}

static bool add_line(const struct line *line, struct users *users)
{
    if (line->count == 0)
        return true;
    if (line->count < 3)
        return fail(line, "expected a name, a verifier and a role");
    struct user user = {0};
    bool fine = read_name(line, users, &user) && read_verifier(line, &user) &&
                read_role(line, &user) && read_peer(line, &user);
    if (fine)
        add_user(users, &user);
    OPENSSL_cleanse(&user, sizeof user);
    return fine;
}

struct users *users_parse(const char *text, const char *file, struct error *error)
{
    struct users *users = NEW(struct users);
    struct line *line = NEW(struct line);
    *line = (struct line){.file = file, .number = 1, .at = text, .error = error};
    bool fine;
    while ((fine = take_words(line) && add_line(line, users)) && *line->at) {
        line->at++;
        line->number++;
    }
    OPENSSL_cleanse(line, sizeof *line);
    free(line);
    if (fine)
        return users;
    users_free(users);
    return NULL;
}

/* ------------------------------------------------------------ the file */

/* As a private key: its owner is we or root; a file of root's may be read by a group. */
static bool is_private(int fd, const char *path, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_set(error, "58030", "cannot look at users_file \"%s\": %s", path,
                         strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(error, "F0000", "users_file \"%s\" is not a regular file", path);
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        error_set(error, "F0000", "users_file \"%s\" belongs to another user", path);
        error_hint(error, "chown it to segue's own user, or to root.");
        return false;
    }
    mode_t others =
        status.st_uid == 0 && geteuid() != 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
    if (!(status.st_mode & others))
        return true;
    error_set(error, "F0000", "users_file \"%s\" may be read by others", path);
    error_hint(error, "chmod 600 it; one that belongs to root may be 640.");
    return false;
}

/* `content` has room for FILE_MAX + 1 bytes, and is a string then. */
static bool read_whole(int fd, const char *path, char *content, struct error *error)
{
    size_t length = 0;
    ssize_t got;
    while ((got = read(fd, content + length, FILE_MAX + 1 - length)) > 0)
        length += (size_t)got;
    if (got < 0)
        return error_set(error, "58030", "cannot read users_file \"%s\": %s", path,
                         strerror(errno));
    if (length > FILE_MAX || memchr(content, '\0', length))
        return error_set(error, "F0000", "users_file \"%s\" is too large, or no text", path);
    content[length] = '\0';
    return true;
}

struct users *users_load(const char *path, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO shall not hold us up */
    if (fd < 0) {
        error_set(error, "58P01", "cannot open users_file \"%s\": %s", path, strerror(errno));
        return NULL;
    }
    char *content = memory_zero(1, FILE_MAX + 1);
    struct users *users = NULL;
    if (is_private(fd, path, error) && read_whole(fd, path, content, error))
        users = users_parse(content, path, error);
    close(fd);
    OPENSSL_cleanse(content, FILE_MAX + 1);
    free(content);
    return users;
}

void users_free(struct users *users)
{
    if (!users)
        return;
    release_list(users);
    free(users);
}

/* ------------------------------------------------------------ asking */

const struct user *users_find(const struct users *users, const char *name)
{
    for (size_t i = 0; i < users->count; i++)
        if (strcmp(users->list[i].name, name) == 0)
            return &users->list[i];
    return NULL;
}

static const struct user *first_with_verifier(const struct users *users)
{
    for (size_t i = 0; i < users->count; i++)
        if (users->list[i].has_verifier)
            return &users->list[i];
    return NULL;
}

void users_mock(const struct users *users, const char *name, struct scram_verifier *verifier)
{
    const struct user *model = first_with_verifier(users);
    scram_verifier_mock(verifier, name);
    if (model)
        verifier->iterations = model->verifier.iterations;
}

bool users_have_verifiers(const struct users *users)
{
    return first_with_verifier(users) != NULL;
}
