/* One version of the application: several connections, each on a thread, working without pause. */
#ifndef SEGUE_PROXY_CLI_DEMO_APP_H
#define SEGUE_PROXY_CLI_DEMO_APP_H

#include "board.h"
#include "model.h"

struct demo_app;

struct demo_app_options {
    const char *name; /* "old app" */
    enum shape shape;
    const char *conninfo;
    size_t connections;
    bool users; /* does it touch the table users from the start? */
    struct demo_model *model;
    struct demo_board *board;
};

struct demo_app *demo_app_start(const struct demo_app_options *options);
void demo_app_open_users(struct demo_app *app);
/* Every thread ends after the work at hand. Waits for them. */
void demo_app_stop(struct demo_app *app);
void demo_app_free(struct demo_app *app); /* stopped before, or NULL */

const char *demo_app_name(const struct demo_app *app);
struct demo_reading demo_app_read(const struct demo_app *app, unsigned step);

#endif
