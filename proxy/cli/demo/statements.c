/* The table of statements. Everything that an app of this kind asks for is in it at least once. */
#include "statements.h"

#include "client.h"

_Static_assert((int)STATEMENT_COUNT <= (int)DEMO_STATEMENTS_MAX, "a client counts them in bits");

/* As the old and as the new version of the app say it; NULL: like the old one. */
static const char *const texts[STATEMENT_COUNT][SHAPE_COUNT] = {
    [USER_STAR] = {"SELECT * FROM users WHERE id = $1"},
    [USER_RANGE] = {"SELECT id, name, role FROM users WHERE id BETWEEN $1 AND $2 ORDER BY id",
                    "SELECT id, name, roles FROM users WHERE id BETWEEN $1 AND $2 ORDER BY id"},
    [USER_READ] = {"SELECT u.name, u.role AS r FROM public.users AS u WHERE u.id = $1",
                   "SELECT u.name, u.roles AS r FROM public.users AS u WHERE u.id = $1"},
    [USER_LOCK] = {"SELECT role FROM users WHERE id = $1 FOR UPDATE",
                   "SELECT roles FROM users WHERE id = $1 FOR UPDATE"},
    [USER_EQUAL] = {"SELECT count(*) FROM users WHERE id BETWEEN $1 AND $2 AND role = $3",
                    "SELECT count(*) FROM users WHERE id BETWEEN $1 AND $2 AND roles = $3"},
    [USER_HAS] = {"SELECT count(*) FROM users WHERE id BETWEEN $1 AND $2 "
                  "AND ',' || role || ',' LIKE '%,' || $3 || ',%'",
                  "SELECT count(*) FROM users WHERE id BETWEEN $1 AND $2 AND $3 = ANY (roles)"},
    [USER_GROUP] = {"SELECT role, count(*) FROM users WHERE id BETWEEN $1 AND $2 GROUP BY role",
                    "SELECT roles, count(*) FROM users WHERE id BETWEEN $1 AND $2 GROUP BY roles"},
    [USER_SET] = {"UPDATE users SET role = $2 WHERE id = $1 RETURNING id, role",
                  "UPDATE users SET roles = $2 WHERE id = $1 RETURNING id, roles"},
    [USER_SAVE] = {"UPDATE users SET name = $2, role = $3 WHERE id = $1",
                   "UPDATE users SET name = $2, roles = $3 WHERE id = $1"},
    [USER_RENAME] = {"UPDATE users SET name = $2 WHERE id = $1 RETURNING *"},
    [USER_GRANT] = {"UPDATE users SET role = role || ',dev' WHERE id = $1 AND role <> '' "
                    "RETURNING role",
                    "UPDATE users SET roles = array_append(roles, 'dev') "
                    "WHERE id = $1 AND cardinality(roles) > 0 RETURNING roles"},
    [USER_INSERT] = {"INSERT INTO users VALUES ($1, $2, $3), ($4, $5, $6)"},
    [USER_UPSERT] = {"INSERT INTO users (id, name, role) VALUES ($1, $2, $3) ON CONFLICT (id) "
                     "DO UPDATE SET name = EXCLUDED.name, role = EXCLUDED.role RETURNING role",
                     "INSERT INTO users (id, name, roles) VALUES ($1, $2, $3) ON CONFLICT (id) "
                     "DO UPDATE SET name = EXCLUDED.name, roles = EXCLUDED.roles RETURNING roles"},
    [USER_DELETE] = {"DELETE FROM users WHERE id = $1 RETURNING role",
                     "DELETE FROM users WHERE id = $1 RETURNING roles"},
    [AMOUNT_STAR] = {"SELECT * FROM transactions WHERE id = $1"},
    [AMOUNT_RANGE] = {"SELECT id, amount FROM transactions WHERE id BETWEEN $1 AND $2 ORDER BY id"},
    [AMOUNT_SET] = {"UPDATE transactions SET amount = $2 WHERE id = $1 RETURNING amount"},
    [AMOUNT_ADD] = {"UPDATE transactions SET amount = (amount::numeric + $2::numeric)::text "
                    "WHERE id = $1 RETURNING amount",
                    "UPDATE transactions SET amount = amount + $2::numeric "
                    "WHERE id = $1 RETURNING amount"},
    [AMOUNT_SUM] = {"SELECT sum(amount::numeric) FROM transactions WHERE id BETWEEN $1 AND $2",
                    "SELECT sum(amount) FROM transactions WHERE id BETWEEN $1 AND $2"},
    [AMOUNT_EQUAL] = {"SELECT count(*) FROM transactions WHERE id BETWEEN $1 AND $2 "
                      "AND amount = $3"},
    [AMOUNT_ABOVE] = {"SELECT count(*) FROM transactions WHERE id BETWEEN $1 AND $2 "
                      "AND amount::numeric > $3::numeric",
                      "SELECT count(*) FROM transactions WHERE id BETWEEN $1 AND $2 "
                      "AND amount > $3"},
    [AMOUNT_INSERT] = {"INSERT INTO transactions (id, user_id, amount) "
                       "VALUES ($1, $2, $3), ($4, $5, $6) RETURNING id, amount"},
    [AMOUNT_DELETE] = {"DELETE FROM transactions WHERE id = $1"},
    [BOTH_JOIN] = {"SELECT u.id, u.name, u.role, t.amount FROM users u "
                   "JOIN transactions t ON t.user_id = u.id "
                   "WHERE u.id BETWEEN $1 AND $2 ORDER BY u.id",
                   "SELECT u.id, u.name, u.roles, t.amount FROM users u "
                   "JOIN transactions t ON t.user_id = u.id "
                   "WHERE u.id BETWEEN $1 AND $2 ORDER BY u.id"},
    [BOTH_IN] = {"WITH mine AS (SELECT user_id, amount FROM transactions WHERE id = $1) "
                 "SELECT role FROM users "
                 "WHERE id IN (SELECT user_id FROM mine WHERE amount IS NOT NULL)",
                 "WITH mine AS (SELECT user_id, amount FROM transactions WHERE id = $1) "
                 "SELECT roles FROM users "
                 "WHERE id IN (SELECT user_id FROM mine WHERE amount IS NOT NULL)"},
};

const char *demo_statement_text(enum demo_statement statement, enum shape shape)
{
    const char *text = texts[statement][shape];
    return text ? text : texts[statement][SHAPE_OLD];
}
