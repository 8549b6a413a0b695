#include "../../proxy/admin/users.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY      "K2psVMYiqbAThPHQ1L9yjQ6XfIkJCE+P5mmmLuHvdXc="
#define VERIFIER "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$" KEY ":" KEY

static struct users *parsed(const char *text)
{
    struct error error = {0};
    struct users *users = users_parse(text, "users", &error);
    if (!users)
        fail_msg("%s", error.message);
    return users;
}

static void fails_with(const char *text, const char *message)
{
    struct error error = {0};
    assert_null(users_parse(text, "users", &error));
    assert_string_equal(error.sqlstate, "F0000");
    assert_string_equal(error.message, message);
}

static void reads_names_roles_verifiers_and_peers(void **state)
{
    (void)state;
    struct users *users = parsed("# who may come in\n"
                                 "\n"
                                 "ann " VERIFIER " operator\r\n"
                                 "  \"bob \"\"x\"\" # y\"\t\"" VERIFIER "\" viewer # a comment\n"
                                 "root \"\" operator peer=root\n"
                                 "watch " VERIFIER " viewer peer=12345");
    assert_int_equal(users->count, 4);
    const struct user *ann = users_find(users, "ann");
    assert_int_equal(ann->role, ROLE_OPERATOR);
    assert_true(ann->has_verifier && !ann->has_peer);
    assert_int_equal(ann->verifier.iterations, 4096);
    assert_int_equal(users_find(users, "bob \"x\" # y")->role, ROLE_VIEWER);
    const struct user *root = users_find(users, "root");
    assert_true(!root->has_verifier && root->has_peer && root->peer == 0);
    assert_int_equal(users_find(users, "watch")->peer, 12345);
    assert_null(users_find(users, "Ann"));
    assert_true(users_have_verifiers(users));
    users_free(users);
}

static void an_empty_file_has_nobody(void **state)
{
    (void)state;
    struct users *users = parsed("\n# nobody\n\n");
    assert_int_equal(users->count, 0);
    assert_false(users_have_verifiers(users));
    users_free(users);
    users_free(parsed(""));
}

static void a_bad_line_is_named_without_its_secret(void **state)
{
    (void)state;
    fails_with("ann\n", "users:1: expected a name, a verifier and a role");
    fails_with("\nann " VERIFIER, "users:2: expected a name, a verifier and a role");
    fails_with("ann secret operator", "users:1: the second word of user \"ann\" is not a "
                                      "SCRAM-SHA-256 verifier");
    fails_with("ann md5d41d8cd98f00b204e9800998ecf8427e operator",
               "users:1: the second word of user \"ann\" is not a SCRAM-SHA-256 verifier");
    fails_with("ann " VERIFIER " admin",
               "users:1: the role of user \"ann\" is \"admin\": expected operator or viewer");
    fails_with("ann \"\" " VERIFIER,
               "users:1: the role of user \"ann\" is \"a verifier\": expected operator or viewer");
    fails_with("ann \"\" operator " VERIFIER, "users:1: \"a verifier\": expected peer=local_user");
    fails_with("ann " VERIFIER " Operator",
               "users:1: the role of user \"ann\" is \"Operator\": expected operator or viewer");
    fails_with("ann " VERIFIER " operator\nbob " VERIFIER " viewer\nann " VERIFIER " viewer",
               "users:3: user \"ann\" has a line already");
    fails_with("ann \"\" operator",
               "users:1: user \"ann\" has neither a verifier nor a peer: nobody could be it");
    fails_with("ann " VERIFIER " operator ann", "users:1: \"ann\": expected peer=local_user");
    fails_with("ann " VERIFIER " operator peer=", "users:1: \"peer=\": expected peer=local_user");
    fails_with("ann \"\" operator peer=nosuch_user_here",
               "users:1: no local user is called \"nosuch_user_here\"");
    fails_with("ann \"\" operator peer=root x",
               "users:1: more than a name, a verifier, a role and a peer");
    fails_with("\"ann " VERIFIER " operator\n", "users:1: a quote is not closed");
    fails_with("\"ann\"" VERIFIER " operator\n",
               "users:1: a blank was expected behind a closing quote");
    fails_with("\"\" " VERIFIER " operator", "users:1: a user's name has 1 to 63 bytes");
}

static void what_is_too_long_is_refused(void **state)
{
    (void)state;
    char text[2048];
    snprintf(text, sizeof text, "%064d " VERIFIER " operator", 7);
    fails_with(text, "users:1: a user's name has 1 to 63 bytes");
    snprintf(text, sizeof text, "%063d " VERIFIER " operator", 7);
    users_free(parsed(text));
    snprintf(text, sizeof text, "ann %01024d operator", 7);
    fails_with(text, "users:1: a word is longer than 1023 bytes");
}

/* Each prefix is parsed or refused, and never read beyond. */
static void a_file_may_end_anywhere(void **state)
{
    (void)state;
    const char *whole = "# c\n\"a\"\"b\" \"" VERIFIER "\" viewer peer=0 # d\n";
    for (size_t length = 0; length <= strlen(whole); length++) {
        struct error error = {0};
        char *cut = strndup(whole, length);
        struct users *users = users_parse(cut, "users", &error);
        assert_true(users != NULL || error.message[0] != '\0');
        users_free(users);
        free(cut);
    }
}

static void a_mock_is_the_same_for_a_name_and_like_the_others(void **state)
{
    (void)state;
    struct users *users =
        parsed("ann SCRAM-SHA-256$16384:c2FsdHNhbHRzYWx0c2FsdA==$" KEY ":" KEY " operator");
    struct scram_verifier one, again, other;
    users_mock(users, "eve", &one);
    users_mock(users, "eve", &again);
    users_mock(users, "mal", &other);
    assert_true(one.is_mock);
    assert_int_equal(one.iterations, 16384);
    assert_int_equal(one.salt_length, users_find(users, "ann")->verifier.salt_length);
    assert_memory_equal(one.salt, again.salt, one.salt_length);
    assert_memory_not_equal(one.salt, other.salt, one.salt_length);
    users_free(users);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
    (void)state;
    char path[] = "/tmp/segue-users-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    const char line[] = "ann " VERIFIER " operator\n";
    assert_int_equal(write(fd, line, sizeof line - 1), sizeof line - 1);
    struct error error = {0};
    for (mode_t mode = 0; mode <= 077; mode++) {
        assert_int_equal(fchmod(fd, 0600 | mode), 0);
        struct users *users = users_load(path, &error);
        assert_true((users != NULL) == (mode == 0));
        users_free(users);
    }
    assert_non_null(strstr(error.message, "may be read by others"));
    assert_non_null(strstr(error.hint, "chmod 600"));
    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(write(fd, "\0", 1), 1);
    assert_null(users_load(path, &error));
    close(fd);
    unlink(path);
    assert_null(users_load(path, &error));
    assert_string_equal(error.sqlstate, "58P01");
    assert_null(users_load("/tmp", &error));
    assert_non_null(strstr(error.message, "is not a regular file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_names_roles_verifiers_and_peers),
        cmocka_unit_test(an_empty_file_has_nobody),
        cmocka_unit_test(a_bad_line_is_named_without_its_secret),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(a_file_may_end_anywhere),
        cmocka_unit_test(a_mock_is_the_same_for_a_name_and_like_the_others),
        cmocka_unit_test(a_file_that_others_may_read_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
