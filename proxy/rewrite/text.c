/*
 * A text of SQL from end to end: parse, find out whether it names a table in transition at all,
 * rewrite each of its statements, apply the edits.
 *
 * A text that libpg_query cannot parse and that names a table in transition is refused with the
 * parser's own words and position, which are PostgreSQL's: a server of version 15 or older would
 * have said the same. Sending it on instead would be a guess where the server is newer.
 */
#include "rewriter.h"

#include "cache/words.h"
#include "segue/base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ errors */

static void set_position(struct rewriter *rewriter, int32_t location)
{
    if (location >= 0)
        rewriter->error.position =
            sql_position(rewriter->source, (uint32_t)location, rewriter->context->encoding);
}

bool fail_at(struct rewriter *rewriter, int32_t location, const char *sqlstate, const char *format,
             ...)
{
    char message[sizeof rewriter->error.message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    error_set(&rewriter->error, sqlstate, "%s", message);
    set_position(rewriter, location);
    return false;
}

bool refuse(struct rewriter *rewriter, int32_t location, const char *construct)
{
    const char *name = rewriter->first_table;
    if (name) {
        error_set(&rewriter->error, "0A000",
                  "%s cannot be rewritten while transition \"%s\" is under way", construct, name);
        error_hint(&rewriter->error,
                   "Write the statement without it, or wait until transition \"%s\" is retired.",
                   name);
    } else { /* found by a name in a body of code, which may or may not mean the table */
        error_set(&rewriter->error, "0A000",
                  "%s cannot be rewritten while the table is in transition", construct);
        error_hint(&rewriter->error, "Send its statements one by one, or wait until the "
                                     "transition is retired; SHOW TRANSITIONS lists them.");
    }
    set_position(rewriter, location);
    return false;
}

bool refuse_for(struct rewriter *rewriter, const struct view_transition *transition,
                int32_t location, const char *construct)
{
    rewriter->first_table = transition->at->transition->name;
    return refuse(rewriter, location, construct);
}

bool refuse_blocked(struct rewriter *rewriter, const struct view_transition *transition,
                    int32_t location)
{
    const struct snapshot_transition *at = transition->at;
    error_set(&rewriter->error, "55000",
              "the new shape of transition \"%s\" cannot be used in phase \"%s\"",
              at->transition->name, phase_name(at->phase));
    error_detail(&rewriter->error,
                 "The transition is lossy, and in this phase nothing holds what the new shape has "
                 "and the old one has not.");
    error_hint(&rewriter->error, "Ask the operator to ADVANCE %s to phase \"%s\" first.",
               at->transition->name, phase_name(PHASE_DUAL_OLD));
    set_position(rewriter, location);
    return false;
}

/* ------------------------------------------------------------------ what may touch a table */

struct mention {
    const struct snapshot *snapshot;
};

static bool string_is_harmless(void *data, const sql_node *node)
{
    const struct mention *mention = data;
    const ProtobufCMessageDescriptor *type = node->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (field->type != PROTOBUF_C_TYPE_STRING || field->label == PROTOBUF_C_LABEL_REPEATED ||
            (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
            continue;
        const char *string =
            *(const char *const *)(const void *)((const char *)node + field->offset);
        if (string && *string && words_name_table(mention->snapshot, slice_of(string)))
            return false;
    }
    return sql_children(node, string_is_harmless, data);
}

static bool may_touch(struct rewriter *rewriter, const sql_node *statement)
{
    struct mention mention = {rewriter->context->snapshot};
    return !string_is_harmless(&mention, statement);
}

/* ------------------------------------------------------------------ what changes names' meaning */

static bool calls_set_config(void *data, const sql_node *node)
{
    if (SQL_IS(node, func_call)) {
        const PgQuery__FuncCall *call = AS_NODE(FuncCall, node);
        const char *name = sql_string(call->funcname[call->n_funcname - 1]);
        if (name && strcmp(name, "set_config") == 0)
            return false;
    }
    return sql_children(node, calls_set_config, data);
}

static bool sets_meaning(const PgQuery__VariableSetStmt *set)
{
    static const char *const names[] = {"search_path", "role", "session_authorization",
                                        "segue.shape"};
    if (set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(set->name, names[i]) == 0)
            return true;
    return false;
}

static bool ends_transaction(const PgQuery__TransactionStmt *statement)
{
    switch (statement->kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_PREPARE:
        return true;
    default: /* begins one, or leaves it as it is */
        return false;
    }
}

static bool is_of_schema(const sql_node *statement)
{
    return SQL_IS(statement, create_schema_stmt) ||
           (SQL_IS(statement, drop_stmt) &&
            AS_NODE(DropStmt, statement)->remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA) ||
           (SQL_IS(statement, rename_stmt) &&
            AS_NODE(RenameStmt, statement)->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA);
}

/* Might a later statement of the same text resolve its names, or be seen, otherwise? */
static bool moves_names(struct rewriter *rewriter, const sql_node *statement)
{
    if (SQL_IS(statement, explain_stmt))
        return moves_names(rewriter, sql_unwrap(AS_NODE(ExplainStmt, statement)->query));
    if (SQL_IS(statement, variable_set_stmt))
        return sets_meaning(AS_NODE(VariableSetStmt, statement));
    if (SQL_IS(statement, transaction_stmt))
        return rewriter->context->is_until_transaction_ends &&
               ends_transaction(AS_NODE(TransactionStmt, statement));
    if (SQL_IS(statement, discard_stmt) || is_of_schema(statement))
        return true;
    if (SQL_IS(statement, create_stmt) || SQL_IS(statement, create_foreign_table_stmt) ||
        SQL_IS(statement, view_stmt) || SQL_IS(statement, create_table_as_stmt) ||
        SQL_IS(statement, drop_stmt) || SQL_IS(statement, rename_stmt) ||
        SQL_IS(statement, alter_object_schema_stmt))
        return may_touch(rewriter, statement);
    const PgQuery__IntoClause *into =
        SQL_IS(statement, select_stmt) ? into_of(AS_NODE(SelectStmt, statement)) : NULL;
    return (into && may_touch(rewriter, &into->rel->base)) || !calls_set_config(NULL, statement);
}

/* ------------------------------------------------------------------ statements */

/* Again for each table that turns out to need a derived table; that ends, since each time there is
 * one more. */
static bool rewrite_until_done(struct rewriter *rewriter, const sql_node *statement)
{
    size_t edits = rewriter->edits.count, results = rewriter->result_count;
    for (;;) {
        rewriter->is_begun_again = false;
        rewriter->is_condition = false;
        rewriter->makes_table = false;
        rewriter->tells_results = true;
        rewriter->filling = NULL;
        rewriter->carrier = NULL;
        rewriter->group_use_count = 0;
        if (rewrite_statement(rewriter, statement))
            return true;
        if (!rewriter->is_begun_again)
            return false;
        edits_truncate(&rewriter->edits, edits);
        rewriter->result_count = results;
    }
}

static enum rewrite_outcome refuse_moved(struct rewriter *rewriter)
{
    error_set(&rewriter->error, "0A000",
              "a statement that may name a table in transition cannot follow, in the same text, "
              "one that changes what its names mean");
    error_hint(&rewriter->error, "Send the two as separate queries.");
    return REWRITE_REFUSED;
}

/* Is there an EXECUTE, behind what changes names, of what the same text prepares before that? */
static bool executes_moved(struct rewriter *rewriter)
{
    const PgQuery__ParseResult *result = rewriter->tree.result;
    const struct rewrite_named *named = rewriter->named.list;
    for (size_t i = 0; i < rewriter->named.count; i++) {
        if (!(named[i].fact & REWRITE_FACT_MOVED))
            continue;
        for (size_t before = 0; before < i; before++)
            if (named[before].fact & REWRITE_FACT_PREPARE &&
                strcmp(named[before].name, named[i].name) == 0 &&
                may_touch(rewriter, sql_unwrap(result->stmts[named[before].statement]->stmt)))
                return true;
    }
    return false;
}

static enum rewrite_outcome rewrite_statements(struct rewriter *rewriter)
{
    const PgQuery__ParseResult *result = rewriter->tree.result;
    if (executes_moved(rewriter))
        return refuse_moved(rewriter);
    bool moved = false;
    for (size_t i = 0; i < result->n_stmts; i++) {
        const sql_node *statement = sql_unwrap(result->stmts[i]->stmt);
        if (!statement)
            continue;
        if (may_touch(rewriter, statement)) {
            if (!rewriter->context->resolution)
                return REWRITE_NEEDS_RESOLUTION;
            if (moved)
                return refuse_moved(rewriter);
            rewriter->statement = (uint32_t)i;
            rewriter->first_table = NULL;
            if (!rewrite_until_done(rewriter, statement))
                return REWRITE_REFUSED;
        }
        moved = moved || moves_names(rewriter, statement);
    }
    return rewriter->edits.count ? REWRITE_CHANGED : REWRITE_UNTOUCHED;
}

/* A statement that was prepared earlier is read again by what names mean where it is executed. */
static void mark_moved(struct rewriter *rewriter)
{
    const PgQuery__ParseResult *result = rewriter->tree.result;
    const struct named_list *named = &rewriter->named;
    size_t statement = 0;
    bool moved = false;
    for (size_t i = 0; i < named->count; i++) {
        if (!(named->list[i].fact & REWRITE_FACT_EXECUTE))
            continue;
        for (; statement < named->list[i].statement; statement++)
            moved = moved || moves_names(rewriter, sql_unwrap(result->stmts[statement]->stmt));
        if (moved)
            named->list[i].fact |= REWRITE_FACT_MOVED;
    }
}

static enum rewrite_outcome refuse_encoding(struct rewriter *rewriter)
{
    error_set(&rewriter->error, "0A000",
              "a statement that may touch a table in transition cannot be rewritten in this client "
              "encoding");
    error_hint(&rewriter->error, "SET client_encoding TO 'UTF8' for this connection.");
    return REWRITE_REFUSED;
}

/*
 * The parser takes every text to be UTF-8 when it counts. So in another encoding it is asked again,
 * with a letter in place of each byte that is not ASCII: all such bytes are letters to it.
 */
static void count_again(struct rewriter *rewriter)
{
    const struct rewrite_context *context = rewriter->context;
    if (context->encoding == SQL_ENCODING_UTF8 || rewriter->error.position <= 0 ||
        !words_are_foreign(rewriter->source))
        return;
    struct sql_tree tree;
    struct error error = {.position = 0};
    char *letters =
        arena_string_range(rewriter->arena, rewriter->source.data, rewriter->source.length);
    for (size_t i = 0; i < rewriter->source.length; i++)
        letters[i] = (unsigned char)letters[i] < 0x80 ? letters[i] : 'z';
    bool parsed = sql_parse(rewriter->arena, slice_of(letters),
                            context->standard_conforming_strings, &tree, &error);
    rewriter->error.position =
        parsed || error.position <= 0
            ? 0
            : sql_position(rewriter->source, (uint32_t)error.position - 1, context->encoding);
}

static enum rewrite_outcome refuse_unparsed(struct rewriter *rewriter)
{
    count_again(rewriter);
    if (!rewriter->error.hint[0])
        error_hint(&rewriter->error,
                   "The text names a table in transition, and Segue reads SQL as PostgreSQL 15 "
                   "does: newer syntax cannot be used on it meanwhile.");
    return REWRITE_REFUSED;
}

/* The facts from number `first` on are of this statement; a length of 0 is PostgreSQL's for "to the
 * end of the text". */
static void locate_facts(struct rewriter *rewriter, const PgQuery__RawStmt *statement, size_t first)
{
    uint32_t start = (uint32_t)statement->stmt_location;
    uint32_t length = (uint32_t)statement->stmt_len;
    for (size_t i = first; i < rewriter->named.count; i++) {
        rewriter->named.list[i].start = start;
        rewriter->named.list[i].end = length ? start + length : (uint32_t)rewriter->source.length;
    }
}

static enum rewrite_outcome rewrite_parsed(struct rewriter *rewriter, struct rewrite *rewrite)
{
    const struct rewrite_context *context = rewriter->context;
    bool named = words_name_table(context->snapshot, rewriter->source);
    bool may_be_named = context->snapshot->needs_utf8 && words_are_foreign(rewriter->source);
    if (!context->encoding_is_safe && (named || may_be_named))
        return refuse_encoding(rewriter);
    if (!sql_parse(rewriter->arena, rewriter->source, context->standard_conforming_strings,
                   &rewriter->tree, &rewriter->error))
        return named ? refuse_unparsed(rewriter) : REWRITE_UNTOUCHED;
    const PgQuery__ParseResult *result = rewriter->tree.result;
    rewrite->statement_count = result->n_stmts;
    for (size_t i = 0; i < result->n_stmts; i++) {
        size_t noted = rewriter->named.count;
        note_facts(rewriter, sql_unwrap(result->stmts[i]->stmt), (uint32_t)i);
        locate_facts(rewriter, result->stmts[i], noted);
    }
    mark_moved(rewriter);
    if (!named)
        return REWRITE_UNTOUCHED;
    return rewrite_statements(rewriter);
}

static void take_results(const struct rewriter *rewriter, struct rewrite *rewrite)
{
    if (rewriter->result_count == 0)
        return;
    rewrite->results = NEW_ARRAY(struct rewrite_result, rewriter->result_count);
    rewrite->result_count = rewriter->result_count;
    memcpy(rewrite->results, rewriter->results, rewriter->result_count * sizeof *rewrite->results);
}

struct rewrite_staging *staging_list_add(struct staging_list *list)
{
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 1;
        list->list = memory_resize(list->list, list->room * sizeof *list->list);
    }
    return &list->list[list->count++];
}

/* The client's COPY stands between an insertion before it and one behind it. */
static void place_staging(const struct rewrite *rewrite, struct rewrite_staging *staging)
{
    uint32_t start = staging->copy_start, end = staging->copy_end;
    staging->copy_start = UINT32_MAX;
    for (size_t i = 0; i < rewrite->edit_count; i++) {
        const struct rewrite_edit *edit = &rewrite->edits[i];
        if (edit->start != edit->end)
            continue;
        if (edit->start == start && staging->copy_start == UINT32_MAX)
            staging->copy_start = edit->sent_end;
        if (edit->start == end)
            staging->copy_end = edit->sent_start;
    }
    BUG_ON(staging->copy_start == UINT32_MAX);
}

struct rewrite *rewrite_text(const struct rewrite_context *context, struct slice text)
{
    struct arena arena;
    arena_init(&arena);
    struct rewriter rewriter = {.arena = &arena, .context = context, .source = text};
    edits_init(&rewriter.edits, &arena, text);
    struct rewrite *rewrite = NEW(struct rewrite);
    rewrite->references = 1;
    rewrite->encoding = context->encoding;
    text_init(&rewrite->text, TEXT_UNBOUNDED);
    rewrite->outcome = rewrite_parsed(&rewriter, rewrite);
    rewrite->touched = rewriter.touched;
    rewrite->named = rewriter.named.list;
    rewrite->named_count = rewriter.named.count;
    rewrite->stagings = rewriter.stagings.list;
    rewrite->staging_count = rewriter.stagings.count;
    switch (rewrite->outcome) {
    case REWRITE_CHANGED:
        edits_apply(&rewriter.edits, rewrite);
        take_results(&rewriter, rewrite);
        for (size_t i = 0; i < rewrite->staging_count; i++)
            place_staging(rewrite, &rewrite->stagings[i]);
        break;
    case REWRITE_REFUSED:
        rewrite->error = NEW(struct error);
        *rewrite->error = rewriter.error;
        break;
    case REWRITE_UNTOUCHED:
    case REWRITE_NEEDS_RESOLUTION:
        break;
    }
    arena_release(&arena);
    return rewrite;
}

struct rewrite *rewrite_get(struct rewrite *rewrite)
{
    rewrite->references++;
    return rewrite;
}

static void release_stagings(struct rewrite *rewrite)
{
    for (size_t i = 0; i < rewrite->staging_count; i++) {
        struct rewrite_staging *staging = &rewrite->stagings[i];
        free(staging->name);
        free(staging->schema);
        free(staging->table);
        free(staging->create);
        free(staging->defaults);
        free(staging->insert);
        free(staging->drop);
    }
    free(rewrite->stagings);
}

void rewrite_put(struct rewrite *rewrite)
{
    if (!rewrite)
        return;
    BUG_ON(rewrite->references == 0);
    if (--rewrite->references > 0)
        return;
    for (size_t i = 0; i < rewrite->named_count; i++)
        free(rewrite->named[i].name);
    release_stagings(rewrite);
    free(rewrite->error);
    free(rewrite->named);
    free(rewrite->results);
    free(rewrite->edits);
    text_release(&rewrite->text);
    free(rewrite);
}

size_t rewrite_bytes(const struct rewrite *rewrite)
{
    size_t bytes = sizeof *rewrite + rewrite->text.capacity +
                   rewrite->edit_count * sizeof *rewrite->edits +
                   rewrite->result_count * sizeof *rewrite->results +
                   (rewrite->error ? sizeof *rewrite->error : 0);
    for (size_t i = 0; i < rewrite->named_count; i++)
        bytes += sizeof *rewrite->named +
                 (rewrite->named[i].name ? strlen(rewrite->named[i].name) + 1 : 0);
    if (rewrite->staging_count) /* their statements stand in the text too */
        bytes += rewrite->staging_count * (sizeof *rewrite->stagings + 256) + rewrite->text.length;
    return bytes;
}

struct slice rewrite_parse_text(const struct rewrite *rewrite)
{
    struct slice text = {rewrite->text.data, rewrite->text.length};
    if (rewrite->staging_count == 0 || rewrite->statement_count > 1)
        return text;
    const struct rewrite_staging *staging = rewrite->stagings;
    return (struct slice){text.data + staging->copy_start, staging->copy_end - staging->copy_start};
}
