/*
 * REWRITE: what would be sent for a text, by a client of a shape, in a phase. The text is resolved
 * as for a session of the console's user with PostgreSQL's default search path and no temporary
 * tables. With a definition that is not applied, as if it were.
 */
#include "command.h"

#include "segue/base/memory.h"
#include "segue/rewrite/rewrite.h"
#include "segue/sql/split.h"

#include <ctype.h>
#include <stdlib.h>

struct preview {
    struct call *call;
    struct result *result;
    struct change change;
    struct snapshot *now; /* with the transitions of the definition, at phase old */
    struct resolution_set *resolutions;
    struct resolution *resolution;
};

/* ------------------------------------------------------------ snapshots */

/* Where a transition would stand in that phase. One that is contracted cannot go back. */
static struct snapshot_transition placed(struct snapshot_transition now, enum phase phase)
{
    now.held = false;
    if (now.stage == STAGE_CONTRACTED)
        return now;
    now.phase = phase;
    if (phase != PHASE_OLD)
        now.stage = STAGE_EXPANDED;
    return now;
}

static struct snapshot *snapshot_in(const struct snapshot *current, enum phase phase)
{
    size_t count = current->transition_count;
    struct snapshot_transition *transitions = NEW_ARRAY(struct snapshot_transition, count + 1);
    for (size_t i = 0; i < count; i++)
        transitions[i] = placed(current->transitions[i], phase);
    struct snapshot *next = snapshot_new(current->epoch, current->catalog, transitions, count);
    free(transitions);
    return next;
}

/* The present transitions but for those that the definition names anew, and the definition's. */
static struct snapshot *snapshot_with(const struct snapshot *current,
                                      struct transition *const *added, size_t added_count)
{
    size_t room = current->transition_count + added_count, count = 0;
    struct snapshot_transition *transitions = NEW_ARRAY(struct snapshot_transition, room);
    for (size_t i = 0; i < current->transition_count; i++) {
        bool is_named = false;
        for (size_t a = 0; a < added_count; a++)
            is_named |= strcmp(current->transitions[i].transition->name, added[a]->name) == 0;
        if (!is_named)
            transitions[count++] = current->transitions[i];
    }
    for (size_t a = 0; a < added_count; a++)
        transitions[count++] = (struct snapshot_transition){
            .transition = added[a], .phase = PHASE_OLD, .stage = STAGE_APPLIED};
    struct snapshot *next = snapshot_new(current->epoch, current->catalog, transitions, count);
    free(transitions);
    return next;
}

static bool has_room(const struct snapshot *current, size_t added, struct error *error)
{
    if (current->transition_count + added <= SNAPSHOT_TRANSITIONS_MAX)
        return true;
    return error_set(error, "54000", "there cannot be more than %d transitions in a database",
                     SNAPSHOT_TRANSITIONS_MAX);
}

static bool add_definition(struct preview *preview, struct error *error)
{
    const struct arguments *arguments = &preview->call->arguments;
    size_t count;
    struct transition **added =
        change_bind_definition(&preview->change, arguments->text,
                               arguments->file ? arguments->file : "definition", &count, error);
    if (!added)
        return false;
    bool fits = has_room(preview->now, count, error);
    if (fits) {
        struct snapshot *with = snapshot_with(preview->now, added, count);
        snapshot_put(preview->now);
        preview->now = with;
    }
    for (size_t i = 0; i < count; i++)
        transition_put(added[i]);
    free((void *)added);
    return fits;
}

/* ------------------------------------------------------------ one text */

static const char *outcome_name(enum rewrite_outcome outcome)
{
    switch (outcome) {
    case REWRITE_UNTOUCHED:
        return "untouched";
    case REWRITE_CHANGED:
        return "changed";
    case REWRITE_REFUSED:
        return "refused";
    case REWRITE_NEEDS_RESOLUTION:
        BUG("the resolution was given");
    }
    BUG("rewrite outcome %d", outcome);
}

/* Do all transitions that the text touches stand in this phase at present? */
static bool is_now(const struct snapshot *current, uint64_t touched, enum phase phase)
{
    for (size_t i = 0; i < current->transition_count; i++)
        if ((touched >> i & 1) && current->transitions[i].phase != phase)
            return false;
    return touched != 0;
}

static struct rewrite *rewrite_in(const struct preview *preview, const struct snapshot *snapshot,
                                  enum shape shape, const char *sql)
{
    struct rewrite_context context = {
        .snapshot = snapshot,
        .resolution = preview->resolution,
        .new_shapes = shape == SHAPE_NEW ? UINT64_MAX : 0,
        .standard_conforming_strings = true,
        .encoding_is_safe = true,
    };
    return rewrite_text(&context, slice_of(sql));
}

/* In one line, runs of blanks as one. */
static void add_line(struct text *out, const char *text, size_t length)
{
    size_t begun = out->length;
    bool blank = false;
    for (size_t i = 0; i < length; i++) {
        if (isspace((unsigned char)text[i])) {
            blank = out->length > begun;
            continue;
        }
        if (blank)
            text_add_char(out, ' ');
        blank = false;
        text_add_char(out, text[i]);
    }
}

/* "was -> is" for each edit; "+ is" where only something was put in. */
static const char *changes_of(struct call *call, const struct rewrite *rewrite, const char *sql)
{
    struct text changes;
    text_init(&changes, TEXT_UNBOUNDED);
    for (size_t i = 0; i < rewrite->edit_count; i++) {
        const struct rewrite_edit *edit = &rewrite->edits[i];
        text_add_string(&changes, i ? "\n" : "");
        if (edit->end == edit->start)
            text_add_char(&changes, '+');
        else
            add_line(&changes, sql + edit->start, edit->end - edit->start);
        if (edit->end > edit->start)
            text_add_string(&changes, " ->");
        text_add_char(&changes, ' ');
        add_line(&changes, rewrite->text.data + edit->sent_start,
                 edit->sent_end - edit->sent_start);
    }
    const char *taken = arena_string_range(call->arena, changes.data, changes.length);
    text_release(&changes);
    return taken;
}

/* They are the same in every phase: asked of the server for the text that could be sent now. */
static const char *parameters_of(struct preview *preview, enum shape shape, const char *sql)
{
    if (!strchr(sql, '$'))
        return NULL;
    struct rewrite *rewrite = rewrite_in(preview, preview->now, shape, sql);
    const char *sent = rewrite->outcome == REWRITE_CHANGED ? rewrite->text.data : sql;
    struct text types;
    text_init(&types, TEXT_UNBOUNDED);
    const char *told = NULL;
    if (rewrite->outcome != REWRITE_REFUSED && rewrite->statement_count == 1 &&
        change_parameter_types(&preview->change, sent, &types) && types.length)
        told = arena_string(preview->call->arena, types.data);
    text_release(&types);
    rewrite_put(rewrite);
    return told;
}

static const char *present_text(const char *text)
{
    return text && *text ? text : NULL;
}

static void add_row(struct preview *preview, const struct rewrite *rewrite, const char *number,
                    enum shape shape, enum phase phase, const char *sql, const char *parameters)
{
    static const struct error none;
    struct call *call = preview->call;
    bool is_changed = rewrite->outcome == REWRITE_CHANGED;
    bool is_refused = rewrite->outcome == REWRITE_REFUSED;
    const struct error *error = is_refused ? rewrite->error : &none;
    const char *position =
        error->position > 0 ? arena_format(call->arena, "%d", error->position) : NULL;
    RESULT_ADD(preview->result, number, shape_name(shape), phase_name(phase),
               is_now(preview->now, rewrite->touched, phase) ? "t" : "f",
               outcome_name(rewrite->outcome),
               is_refused   ? NULL
               : is_changed ? rewrite->text.data
                            : sql,
               is_changed ? changes_of(call, rewrite, sql) : NULL, parameters,
               present_text(error->sqlstate), present_text(error->message),
               present_text(error->detail), present_text(error->hint), position);
}

static void add_shape(struct preview *preview, const char *number, enum shape shape,
                      struct snapshot *const *phases, const char *sql)
{
    /* asked once per statement and shape, and not for the many of a log */
    const char *parameters =
        preview->call->arguments.option ? NULL : parameters_of(preview, shape, sql);
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        if (!phases[phase])
            continue;
        struct rewrite *rewrite = rewrite_in(preview, phases[phase], shape, sql);
        add_row(preview, rewrite, number, shape, (enum phase)phase, sql, parameters);
        rewrite_put(rewrite);
    }
}

static void add_text(struct preview *preview, size_t number, struct snapshot *const *phases,
                     const char *sql)
{
    const struct arguments *arguments = &preview->call->arguments;
    const char *told = arena_format(preview->call->arena, "%zu", number);
    for (int shape = 0; shape < SHAPE_COUNT; shape++)
        if (!arguments->has_shape || arguments->shape == (enum shape)shape)
            add_shape(preview, told, (enum shape)shape, phases, sql);
}

/* ------------------------------------------------------------ the command */

static void add_texts(struct preview *preview)
{
    const struct arguments *arguments = &preview->call->arguments;
    struct snapshot *phases[PHASE_COUNT] = {NULL};
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        if (!arguments->has_phase || arguments->phase == (enum phase)phase)
            phases[phase] = snapshot_in(preview->now, (enum phase)phase);
    struct sql_split split = {.text = slice_of(arguments->sql)};
    struct slice statement;
    size_t number = 0;
    if (!arguments->option)
        add_text(preview, 1, phases, arguments->sql);
    while (arguments->option && sql_split_next(&split, &statement))
        add_text(preview, ++number, phases,
                 arena_string_range(preview->call->arena, statement.data, statement.length));
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        if (phases[phase])
            snapshot_put(phases[phase]);
}

static bool take_snapshot(struct preview *preview, struct error *error)
{
    struct call *call = preview->call;
    preview->now = fleet_snapshot(call->fleet, preview->change.database);
    if (preview->now)
        return !call->arguments.text || add_definition(preview, error);
    struct fleet_status status;
    fleet_status(call->fleet, preview->change.database, &status);
    *error = status.error;
    return false;
}

bool preview_rewrite(struct call *call, struct result *result, struct error *error)
{
    struct preview preview = {
        .call = call,
        .result = result,
        .change = {.fleet = call->fleet, .who = call->who, .progress = call->progress},
    };
    if (!find_database(call, &preview.change.database, error))
        return false;
    bool done = take_snapshot(&preview, error);
    if (done) {
        const char *schemas[] = {"pg_catalog", call->user, "public"};
        preview.resolutions = resolution_set_new();
        preview.resolution = resolution_intern(preview.resolutions, schemas, 3, NULL, 0);
        add_texts(&preview);
        resolution_put(preview.resolutions, preview.resolution);
        resolution_set_free(preview.resolutions);
    }
    if (preview.now)
        snapshot_put(preview.now);
    return done;
}
