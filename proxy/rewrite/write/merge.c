/*
 * MERGE. Its source is an item of FROM like any other; its target is seen by ON and WHEN MATCHED
 * alone; each clause's action is written as the statement of its name.
 */
#include "merge.h"

struct merging {
    struct rewriter *rewriter;
    const PgQuery__MergeStmt *merge;
    struct scope source; /* the source alone */
    struct scope both;
    struct scope_item *target;
    const struct view *view;
    size_t *clauses; /* token of each clause's WHEN */
    size_t *actions; /* and of its action, behind THEN */
    size_t queries;  /* of clauses before the one at hand, that assign rows from a sub-select */
};

/* ------------------------------------------------------------------ where the clauses are */

static bool is_name(const struct rewriter *rewriter, size_t token)
{
    return token > 0 && (token_kind(rewriter, token - 1) == '.' ||
                         token_kind(rewriter, token - 1) == PG_QUERY__TOKEN__AS);
}

/* Clauses begin with a WHEN, and their actions with a THEN, that belong to no CASE. */
static void find_actions(struct merging *merging)
{
    struct rewriter *rewriter = merging->rewriter;
    const struct sql_tree *tree = &rewriter->tree;
    size_t count = merging->merge->n_merge_when_clauses, found = 0;
    size_t token = sql_token_at(tree, (uint32_t)merging->merge->relation->location);
    while (token > 0 && token_kind(rewriter, token) != PG_QUERY__TOKEN__INTO)
        token--; /* brackets of ONLY */
    uint16_t depth = tree->tokens[token].depth;
    unsigned cases = 0;
    merging->clauses = ARENA_NEW_ARRAY(rewriter->arena, size_t, count);
    merging->actions = ARENA_NEW_ARRAY(rewriter->arena, size_t, count);
    for (; token < tree->token_count && found < count; token++) {
        if (tree->tokens[token].depth != depth || is_name(rewriter, token))
            continue;
        uint16_t kind = tree->tokens[token].kind;
        if (kind == PG_QUERY__TOKEN__CASE)
            cases++;
        else if (kind == PG_QUERY__TOKEN__END_P && cases > 0)
            cases--;
        else if (kind == PG_QUERY__TOKEN__WHEN && cases == 0)
            merging->clauses[found] = token;
        else if (kind == PG_QUERY__TOKEN__THEN && cases == 0)
            merging->actions[found++] = token + 1;
    }
    BUG_ON(found != count);
}

/* ------------------------------------------------------------------ clauses */

static const PgQuery__MergeWhenClause *clause_at(const struct merging *merging, size_t number)
{
    return merging->merge->merge_when_clauses[number]->merge_when_clause;
}

static bool assigns_query(const PgQuery__MergeWhenClause *clause)
{
    for (size_t i = 0; i < clause->n_target_list; i++) {
        const sql_node *value = sql_unwrap(clause->target_list[i]->res_target->val);
        if (SQL_IS(value, multi_assign_ref) &&
            SQL_IS(sql_unwrap(AS_NODE(MultiAssignRef, value)->source), sub_link))
            return true;
    }
    return false;
}

/*
 * PostgreSQL 15 breaks, to the point of crashing, where two clauses of a MERGE assign rows from
 * sub-selects: none may be added that would make them two.
 */
static bool bars_queries(const struct merging *merging, size_t number)
{
    for (size_t i = number + 1; i < merging->merge->n_merge_when_clauses; i++)
        if (assigns_query(clause_at(merging, i)))
            return true;
    return merging->rewriter->row_queries > merging->queries;
}

/* `carrier` takes what no row of a sub-select can. */
static bool rewrite_merge_update(struct merging *merging, size_t number, struct carrier *carrier)
{
    struct rewriter *rewriter = merging->rewriter;
    const PgQuery__MergeWhenClause *clause = clause_at(merging, number);
    rewriter->carrier = bars_queries(merging, number) ? carrier : NULL;
    bool ok = rewrite_assignments(rewriter, &merging->both, merging->target, clause->target_list,
                                  clause->n_target_list);
    rewriter->carrier = NULL;
    return ok;
}

/* The clause's condition evaluates what its action uses, behind all that the client asks. */
static void put_carried(struct merging *merging, size_t number, const struct carrier *carrier)
{
    struct rewriter *rewriter = merging->rewriter;
    const PgQuery__MergeWhenClause *clause = clause_at(merging, number);
    size_t matched = merging->clauses[number] + (clause->matched ? 1 : 2);
    size_t then = merging->actions[number] - 1;
    const char *condition = carrier_condition(carrier);
    if (!clause->condition) {
        edits_after(&rewriter->edits, token_end(rewriter, matched),
                    arena_format(rewriter->arena, " AND %s", condition));
        return;
    }
    edits_before(&rewriter->edits, token_start(rewriter, matched + 2), "CASE WHEN (");
    edits_after(&rewriter->edits, token_end(rewriter, then - 1),
                arena_format(rewriter->arena, ") THEN %s END", condition));
}

static bool rewrite_inserted(struct merging *merging, size_t number, struct carrier *carrier)
{
    struct merge_insert insert = {.rewriter = merging->rewriter,
                                  .scope = &merging->source,
                                  .relation = merging->merge->relation,
                                  .view = merging->view,
                                  .clause = clause_at(merging, number),
                                  .token = merging->actions[number],
                                  .carrier = carrier};
    return rewrite_merge_insert(&insert);
}

static bool rewrite_clause(struct merging *merging, size_t number)
{
    const PgQuery__MergeWhenClause *clause = clause_at(merging, number);
    struct scope *scope = clause->matched ? &merging->both : &merging->source;
    if (!rewrite_expression(merging->rewriter, scope, sql_unwrap(clause->condition)))
        return false;
    struct carrier carrier = {.rewriter = merging->rewriter};
    bool ok = true;
    if (clause->command_type == PG_QUERY__CMD_TYPE__CMD_UPDATE)
        ok = rewrite_merge_update(merging, number, &carrier);
    if (clause->command_type == PG_QUERY__CMD_TYPE__CMD_INSERT)
        ok = rewrite_inserted(merging, number, &carrier);
    if (ok && carrier.count > 0)
        put_carried(merging, number, &carrier);
    return ok; /* DELETE and DO NOTHING: with nothing to write */
}

/* ------------------------------------------------------------------ the statement */

/* The server's error, which would not see it where a clause has been given a condition. */
static bool check_reach(const struct merging *merging)
{
    bool is_over[2] = {false, false};
    for (size_t i = 0; merging->view && i < merging->merge->n_merge_when_clauses; i++) {
        const PgQuery__MergeWhenClause *clause = clause_at(merging, i);
        if (is_over[clause->matched ? 1 : 0])
            return fail_at(merging->rewriter, -1, "42601",
                           "unreachable WHEN clause specified after unconditional WHEN clause");
        if (!clause->condition)
            is_over[clause->matched ? 1 : 0] = true;
    }
    return true;
}

static bool check_name(struct merging *merging)
{
    if (!merging->view || qualifier_of(merging->rewriter, &merging->both, merging->target))
        return true;
    bool ok = fail_at(merging->rewriter, -1, "42712", "name \"%s\" specified more than once",
                      merging->target->alias);
    error_detail(&merging->rewriter->error,
                 "The name is used both as MERGE target table and data source.");
    return ok;
}

static bool read_tables(struct merging *merging, struct scope *parent)
{
    struct rewriter *rewriter = merging->rewriter;
    const PgQuery__MergeStmt *merge = merging->merge;
    merging->source.parent = parent;
    if (!rewrite_with(rewriter, &merging->source, merge->with_clause) ||
        !rewrite_from(rewriter, &merging->source, &merge->source_relation, 1))
        return false;
    merging->both = (struct scope){.parent = parent, .ctes = merging->source.ctes};
    for (size_t i = 0; i < merging->source.items.count; i++)
        scope_items_add(rewriter->arena, &merging->both.items, merging->source.items.items[i]);
    if (!add_target(rewriter, &merging->both, merge->relation, &merging->target))
        return false;
    merging->view = table_of(merging->target) ? table_of(merging->target)->view : NULL;
    return check_name(merging) && check_reach(merging);
}

bool rewrite_merge(struct rewriter *rewriter, struct scope *parent, const PgQuery__MergeStmt *merge)
{
    struct merging merging = {
        .rewriter = rewriter, .merge = merge, .queries = rewriter->row_queries};
    if (!read_tables(&merging, parent) ||
        !rewrite_expression(rewriter, &merging.both, sql_unwrap(merge->join_condition)))
        return false;
    find_actions(&merging);
    for (size_t i = 0; i < merge->n_merge_when_clauses; i++)
        if (!rewrite_clause(&merging, i))
            return false;
    return true;
}
