/*
 * What the session must remember of a text: prepared statements and cursors by name, and the
 * client's shape.
 */
#include "rewriter.h"

#include "segue/base/memory.h"

enum { CURSOR_IS_HELD = 0x0020 }; /* CURSOR_OPT_HOLD of PostgreSQL's parsenodes.h */

static void note(struct rewriter *rewriter, uint32_t number, uint32_t fact, const char *name)
{
    struct named_list *named = &rewriter->named;
    if (named->count == named->room) {
        named->room = named->room ? named->room * 2 : 4;
        named->list = memory_resize(named->list, named->room * sizeof *named->list);
    }
    named->list[named->count++] =
        (struct rewrite_named){.fact = fact, .statement = number, .name = memory_string(name)};
}

static const char *value_of(const PgQuery__VariableSetStmt *set)
{
    if (set->kind != PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE || set->n_args == 0)
        return NULL;
    const sql_node *value = sql_unwrap(set->args[0]);
    if (SQL_IS(value, a__const) && AS_NODE(AConst, value)->val_case == PG_QUERY__A__CONST__VAL_SVAL)
        return AS_NODE(AConst, value)->sval->sval;
    return NULL;
}

static void note_set(struct rewriter *rewriter, const PgQuery__VariableSetStmt *set,
                     uint32_t number)
{
    bool all = set->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL;
    if (!all && strcmp(set->name, "segue.shape") != 0)
        return;
    uint32_t fact = REWRITE_FACT_SET_SHAPE;
    if (set->is_local)
        fact |= REWRITE_FACT_SET_LOCAL;
    note(rewriter, number, fact, all ? NULL : value_of(set));
}

/* An EXECUTE inside another statement, which is the only thing of note that such a one can hold. */
static void note_held(struct rewriter *rewriter, const PgQuery__Node *held, uint32_t number)
{
    const sql_node *statement = sql_unwrap(held);
    if (SQL_IS(statement, create_table_as_stmt)) /* inside EXPLAIN */
        note_held(rewriter, AS_NODE(CreateTableAsStmt, statement)->query, number);
    else if (SQL_IS(statement, execute_stmt))
        note(rewriter, number, REWRITE_FACT_EXECUTE | REWRITE_FACT_IS_HELD,
             AS_NODE(ExecuteStmt, statement)->name);
}

static void note_declare(struct rewriter *rewriter, const PgQuery__DeclareCursorStmt *declare,
                         uint32_t number)
{
    uint32_t fact = REWRITE_FACT_DECLARE;
    if (declare->options & CURSOR_IS_HELD)
        fact |= REWRITE_FACT_WITH_HOLD;
    note(rewriter, number, fact, declare->portalname);
}

void note_facts(struct rewriter *rewriter, const sql_node *statement, uint32_t number)
{
    if (SQL_IS(statement, explain_stmt))
        note_held(rewriter, AS_NODE(ExplainStmt, statement)->query, number);
    else if (SQL_IS(statement, create_table_as_stmt))
        note_held(rewriter, AS_NODE(CreateTableAsStmt, statement)->query, number);
    else if (SQL_IS(statement, declare_cursor_stmt))
        note_declare(rewriter, AS_NODE(DeclareCursorStmt, statement), number);
    else if (SQL_IS(statement, fetch_stmt) && !AS_NODE(FetchStmt, statement)->ismove)
        note(rewriter, number, REWRITE_FACT_FETCH, AS_NODE(FetchStmt, statement)->portalname);
    else if (SQL_IS(statement, close_portal_stmt))
        note(rewriter, number, REWRITE_FACT_CLOSE,
             present(AS_NODE(ClosePortalStmt, statement)->portalname));
    else if (SQL_IS(statement, prepare_stmt))
        note(rewriter, number, REWRITE_FACT_PREPARE, AS_NODE(PrepareStmt, statement)->name);
    else if (SQL_IS(statement, execute_stmt))
        note(rewriter, number, REWRITE_FACT_EXECUTE, AS_NODE(ExecuteStmt, statement)->name);
    else if (SQL_IS(statement, deallocate_stmt))
        note(rewriter, number, REWRITE_FACT_DEALLOCATE,
             present(AS_NODE(DeallocateStmt, statement)->name));
    else if (SQL_IS(statement, variable_set_stmt))
        note_set(rewriter, AS_NODE(VariableSetStmt, statement), number);
}
