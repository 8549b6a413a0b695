/* Threads of an app. When everything fails there is no point in going on for ever: an app stops
 * after so many failures, and the journey with it. */
#include "app.h"

#include "segue/base/clock.h"
#include "segue/base/memory.h"
#include "work.h"

#include <stdio.h>
#include <stdlib.h>

enum { FAILURES_ENOUGH = 50, PAUSE_AFTER_FAILURE_MS = 100 };

struct member {
    struct demo_app *app;
    pthread_t thread;
    char name[48];
    struct demo_client client;
};

struct demo_app {
    char *name, *conninfo;
    struct demo_model *model;
    struct demo_board *board;
    _Atomic bool stopping;
    _Atomic bool users;
    size_t count;
    struct member *members;
    struct demo_meter **meters;
};

static void *run_member(void *context)
{
    struct member *member = context;
    struct demo_app *app = member->app;
    unsigned failures = 0;
    demo_client_open(&member->client);
    while (!atomic_load(&app->stopping) && failures < FAILURES_ENOUGH) {
        if (member->client.failed) { /* no connection */
            failures++;
            clock_sleep_ms(PAUSE_AFTER_FAILURE_MS);
            demo_client_reopen(&member->client);
            continue;
        }
        failures += !demo_work_once(&member->client, app->model, atomic_load(&app->users));
    }
    demo_client_close(&member->client);
    return NULL;
}

struct demo_app *demo_app_start(const struct demo_app_options *options)
{
    struct demo_app *app = NEW(struct demo_app);
    app->name = memory_string(options->name);
    app->conninfo = memory_string(options->conninfo);
    app->model = options->model;
    app->board = options->board;
    app->users = options->users;
    app->count = options->connections;
    app->members = NEW_ARRAY(struct member, app->count);
    app->meters = NEW_ARRAY(struct demo_meter *, app->count);
    for (size_t i = 0; i < app->count; i++) {
        struct member *member = &app->members[i];
        app->meters[i] = NEW(struct demo_meter);
        member->app = app;
        snprintf(member->name, sizeof member->name, "%s, connection %zu", app->name, i + 1);
        member->client = (struct demo_client){
            .board = app->board,
            .meter = app->meters[i],
            .name = member->name,
            .conninfo = app->conninfo,
            .shape = options->shape,
            .random = 0x9e3779b97f4a7c15ULL * (i + 1) + (options->shape == SHAPE_NEW),
        };
        if (pthread_create(&member->thread, NULL, run_member, member))
            BUG("the system gives no more threads");
    }
    return app;
}

void demo_app_open_users(struct demo_app *app)
{
    atomic_store(&app->users, true);
}

void demo_app_stop(struct demo_app *app)
{
    if (atomic_exchange(&app->stopping, true))
        return;
    for (size_t i = 0; i < app->count; i++)
        pthread_join(app->members[i].thread, NULL);
}

void demo_app_free(struct demo_app *app)
{
    if (!app)
        return;
    for (size_t i = 0; i < app->count; i++)
        free(app->meters[i]);
    free(app->meters);
    free(app->members);
    free(app->name);
    free(app->conninfo);
    free(app);
}

const char *demo_app_name(const struct demo_app *app)
{
    return app->name;
}

struct demo_reading demo_app_read(const struct demo_app *app, unsigned step)
{
    return demo_board_read(app->meters, app->count, step);
}
