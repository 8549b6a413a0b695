/*
 * A list under a mutex: it is looked through once per login, and is as long as there are users and
 * databases with a session.
 */
#include "admission.h"

#include "segue/base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct admission {
    LIST_ENTRY(admission) link;
    enum admission_kind kind;
    int count;
    char *name;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, admission) admissions = LIST_HEAD_INITIALIZER(admissions);

static struct admission *find_or_add(enum admission_kind kind, const char *name)
{
    struct admission *admission;
    LIST_FOREACH(admission, &admissions, link)
    {
        if (admission->kind == kind && strcmp(admission->name, name) == 0)
            return admission;
    }
    admission = NEW(struct admission);
    admission->kind = kind;
    admission->name = memory_string(name);
    LIST_INSERT_HEAD(&admissions, admission, link);
    return admission;
}

static void remove_if_empty(struct admission *admission)
{
    if (admission->count > 0)
        return;
    LIST_REMOVE(admission, link);
    free(admission->name);
    free(admission);
}

struct admission *admission_take(enum admission_kind kind, const char *name, int limit)
{
    pthread_mutex_lock(&mutex);
    struct admission *admission = find_or_add(kind, name);
    if (limit == 0 || admission->count < limit) {
        admission->count++;
    } else { /* where the limit was lowered, there may be more */
        remove_if_empty(admission);
        admission = NULL;
    }
    pthread_mutex_unlock(&mutex);
    return admission;
}

void admission_give_back(struct admission *admission)
{
    if (!admission)
        return;
    pthread_mutex_lock(&mutex);
    admission->count--;
    remove_if_empty(admission);
    pthread_mutex_unlock(&mutex);
}
