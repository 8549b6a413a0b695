/* The way of the two transitions, from definition to contraction, with both apps at work; and its
 * report. */
#ifndef SEGUE_PROXY_CLI_DEMO_JOURNEY_H
#define SEGUE_PROXY_CLI_DEMO_JOURNEY_H

#include "admin.h"
#include "app.h"
#include "child.h"
#include "cluster.h"
#include "demo.h"
#include "report.h"

struct demo_journey {
    const struct demo_options *options;
    const struct demo_cluster *cluster;
    struct demo_child *proxy;
    struct demo_model *model;
    struct demo_board *board;
    struct demo_report *report;
    int old_port, new_port, admin_port;
    struct demo_admin admin;
    struct demo_app *old_app, *new_app; /* NULL until they are started */
    unsigned parity_counts;             /* how often it was counted in the server .. */
    size_t out_of_parity;               /* .. and the rows that were not, over all counts */
};

/* Gives false with `error` when a step could not be taken; failed statements are on the board. */
bool demo_journey_go(struct demo_journey *journey, struct error *error) MUST_CHECK;
/* Stops the apps and sums up; where the journey is `complete`, compares every row too. True when
 * all was right. */
bool demo_journey_sum_up(struct demo_journey *journey, bool complete);
void demo_journey_end(struct demo_journey *journey); /* after demo_journey_sum_up, or with no app */

#endif
