/*
 * A database for the units of the rewriter, built by hand: `users` with role/roles (lossy) and
 * `transactions` with amount/amount_new (lossless, one name), and tables beside them.
 */
#ifndef SEGUE_TESTS_REWRITE_WORLD_H
#define SEGUE_TESTS_REWRITE_WORLD_H

#include "segue/base/memory.h"
#include "segue/rewrite/rewrite.h"

#include <stdlib.h>

enum { USERS_OID = 16400, TRANSACTIONS_OID = 16401 };

struct rewrite_world {
    struct resolution_set *resolutions;
    struct resolution *resolution;
    struct snapshot *snapshot;
    struct rewrite_context context;
};

static const char world_definition[] =
    "transition \"users_role\" {\n"
    "    table = \"public.users\"\n"
    "    old \"role\"  { type = \"text\"    from = \"array_to_string(roles, ',')\" }\n"
    "    new \"roles\" { type = \"text[]\"  from = \"string_to_array(role, ',')\" }\n"
    "    lossless = false\n"
    "}\n"
    "transition \"amount\" {\n"
    "    table = \"public.transactions\"\n"
    "    old \"amount\" { type = \"character varying(12)\" from = \"amount::text\" }\n"
    "    new \"amount\" { type = \"numeric(10,2)\" from = \"amount::numeric\" column = "
    "\"amount_new\" }\n"
    "    lossless = true\n"
    "}\n";

/* The columns as the stage has them: the new ones are last, and the old ones leave gaps. */
static inline struct catalog *world_catalog(enum stage stage)
{
    struct catalog_builder *builder = catalog_begin();
    bool has_old = stage != STAGE_CONTRACTED, has_new = stage != STAGE_APPLIED;
    const struct catalog_column users[] = {
        {.name = "id", .type = "integer", .attnum = 1, .typmod = -1},
        {.name = "role", .type = "text", .attnum = 2, .typmod = -1},
        {.name = "name", .type = "character varying(20)", .attnum = 3, .typmod = 24},
        {.name = "roles", .type = "text[]", .attnum = 4, .typmod = -1},
    };
    const int16_t key[] = {1};
    catalog_add_table(builder, USERS_OID, "public", "users", 'r');
    catalog_add_key(builder, key, 1);
    for (size_t i = 0; i < 4; i++)
        if ((i != 1 || has_old) && (i != 3 || has_new))
            catalog_add_column(builder, &users[i]);
    const struct catalog_column transactions[] = {
        {.name = "id", .type = "integer", .attnum = 1, .typmod = -1},
        {.name = "amount", .type = "character varying(12)", .attnum = 2, .typmod = 16},
        {.name = "day", .type = "date", .attnum = 3, .typmod = -1},
        {.name = has_old ? "amount_new" : "amount",
         .type = "numeric(10,2)",
         .attnum = 4,
         .typmod = -1},
    };
    catalog_add_table(builder, TRANSACTIONS_OID, "public", "transactions", 'r');
    for (size_t i = 0; i < 4; i++)
        if ((i != 1 || has_old) && (i != 3 || has_new))
            catalog_add_column(builder, &transactions[i]);
    const struct catalog_column other[] = {
        {.name = "id", .type = "integer", .attnum = 1, .typmod = -1},
        {.name = "roles", .type = "text", .attnum = 2, .typmod = -1},
    };
    catalog_add_table(builder, 16402, "public", "other", 'r');
    for (size_t i = 0; i < 2; i++)
        catalog_add_column(builder, &other[i]);
    catalog_add_table(builder, 16403, "elsewhere", "users", 'r');
    catalog_add_column(builder, &other[0]);
    return catalog_finish(builder);
}

static inline struct rewrite_world world_make(enum phase phase, enum stage stage, enum shape shape)
{
    struct rewrite_world world = {.resolutions = resolution_set_new()};
    const char *const schemas[] = {"pg_catalog", "public"};
    world.resolution = resolution_intern(world.resolutions, schemas, 2, NULL, 0);
    size_t count;
    struct error error;
    struct transition **transitions =
        transition_parse(world_definition, "world.conf", &count, &error);
    BUG_ON(!transitions || count != 2);
    struct snapshot_transition at[2] = {{0}};
    for (size_t i = 0; i < count; i++) {
        transitions[i]->table_oid = i == 0 ? USERS_OID : TRANSACTIONS_OID;
        for (int shape_ = 0; shape_ < SHAPE_COUNT; shape_++)
            transitions[i]->columns[shape_][0].keeps_null = true;
        if (i == 0) { /* as binding to a database finds them */
            transitions[i]->columns[SHAPE_OLD][0].type_oid = 25;
            transitions[i]->columns[SHAPE_NEW][0].type_oid = 1009;
        } else {
            transitions[i]->columns[SHAPE_OLD][0].type_oid = 1043;
            transitions[i]->columns[SHAPE_OLD][0].typmod = 16;
        }
        at[i] = (struct snapshot_transition){
            .transition = transitions[i], .phase = phase, .stage = stage};
    }
    struct catalog *catalog = world_catalog(stage);
    world.snapshot = snapshot_new(1, catalog, at, count);
    catalog_put(catalog);
    for (size_t i = 0; i < count; i++)
        transition_put(transitions[i]);
    free((void *)transitions);
    world.context = (struct rewrite_context){.snapshot = world.snapshot,
                                             .resolution = world.resolution,
                                             .new_shapes = shape == SHAPE_NEW ? UINT64_MAX : 0,
                                             .standard_conforming_strings = true,
                                             .encoding_is_safe = true};
    return world;
}

static inline void world_free(struct rewrite_world *world)
{
    resolution_put(world->resolutions, world->resolution);
    resolution_set_free(world->resolutions);
    snapshot_put(world->snapshot);
}

#endif
