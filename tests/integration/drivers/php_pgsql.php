<?php
// PHP's pgsql: parameters, named statements, asynchronous queries, COPY, cursors, LISTEN, cancel,
// connections that are kept.
$new = getenv('SHAPE') === 'new';
$column = $new ? 'roles' : 'role';
$total = $new ? 'total' : 'total_cents';
$base = (int) getenv('BASE');
$napper = $base ?: 1;
$role = fn(...$names) => $new ? '{' . implode(',', $names) . '}' : implode(',', $names);
$cents = fn($value) => $new ? sprintf('%.2f', $value / 100) : $value;
function say($what, ...$values) { echo $what, ' ', json_encode($values, JSON_THROW_ON_ERROR), "\n"; }

function connect(): PgSql\Connection
{
    return pg_connect('', PGSQL_CONNECT_FORCE_NEW); // libpq finds where in the environment
}

// The one of before, whoever had it, but for his settings.
function kept(): PgSql\Connection
{
    return pg_pconnect('');
}

// What it was told of the columns, and the rows.
function rows(PgSql\Result $result): array
{
    $columns = array_map(fn($i) => [pg_field_name($result, $i), pg_field_type_oid($result, $i),
        pg_field_size($result, $i)], array_keys(array_fill(0, pg_num_fields($result), 0)));
    return [$columns, pg_fetch_all($result, PGSQL_NUM)];
}

// The SQLSTATEs of all statements of a text, or '' for those that went well.
function states(PgSql\Connection $db, string $sql): array
{
    pg_send_query($db, $sql);
    $states = [];
    while ($result = pg_get_result($db)) {
        $states[] = pg_result_error_field($result, PGSQL_DIAG_SQLSTATE);
    }
    return $states;
}

function cancel_and_go_on(PgSql\Connection $db, PgSql\Connection $other)
{
    global $column, $napper;
    pg_send_query($db, "UPDATE users SET $column = NULL, name = nap($napper) WHERE id = $napper");
    pg_query($other, "SELECT wait_for_nap($napper)");
    say('canceled', pg_cancel_query($db));
    say('after it', rows(pg_query($db, "SELECT $column, name FROM users WHERE id = $napper")));
}

function heard(PgSql\Connection $db, string $channel, string $payload): string
{
    pg_query($db, "NOTIFY $channel, '$payload'");
    return pg_get_notify($db, PGSQL_ASSOC)['payload'];
}

function idioms()
{
    global $new, $column, $total, $role, $cents;
    [$db, $other] = [connect(), connect()];
    say('star', rows(pg_query($db, 'SELECT * FROM users ORDER BY id')));
    pg_prepare($db, 'by role', "SELECT id FROM users WHERE $column = $1 ORDER BY id");
    foreach (['viewer', 'admin', 'nobody'] as $name) {
        say('prepared', rows(pg_execute($db, 'by role', [$role($name)])));
    }
    $changed = pg_query_params($db, "UPDATE users SET $column = $1 WHERE id < $2 RETURNING *", [$role('php', 'x'), 3]);
    say('changed', pg_affected_rows($changed), rows($changed), pg_field_table($changed, 2));
    say('transaction', states($db, "BEGIN; UPDATE orders SET $total = {$cents(4200)} WHERE id = 1;"
        . ' INSERT INTO users (id) VALUES (1); COMMIT'), pg_transaction_status($db));
    say('failed', states($db, 'SELECT 1; SELECT 2'), states($db, 'ROLLBACK'));
    pg_query($db, 'BEGIN');
    pg_query($db, "DECLARE chunks SCROLL CURSOR FOR SELECT id, $column FROM users ORDER BY id");
    foreach (['FORWARD 2', 'LAST', 'BACKWARD 3'] as $where) {
        say('fetched', rows(pg_query($db, "FETCH $where FROM chunks")));
    }
    pg_query($db, 'COMMIT');
    say('copied', pg_copy_from($db, "users (id, name, $column)", ["180\tcopied\t" . $role('x', 'y') . "\n"]));
    $copied = pg_copy_to($db, "users (id, $column)");
    sort($copied);
    say('copied', $copied);
    pg_query($db, 'LISTEN news');
    say('heard', heard($db, 'news', 'hello'));
    pg_query(kept(), "SET application_name = 'kept'");
    pg_prepare(kept(), 'kept', "SELECT id, $column, current_setting('application_name') FROM users WHERE id = $1");
    foreach ([1, 2, 3] as $id) {
        say('kept', rows(pg_execute(kept(), 'kept', [$id])));
    }
    cancel_and_go_on($db, $other);
}

function one_round(PgSql\Connection $db, PgSql\Connection $other, int $number)
{
    global $column, $total, $role, $cents, $base;
    $at = $base + $number % 10;
    pg_execute(kept(), 'change', [$role("p$number", 'x'), $at]);
    say('role', rows(pg_execute($db, 'by id', [$at])));
    pg_query_params($db, 'UPDATE transactions SET amount = $1 WHERE id = $2', ["$number.25", $at]);
    say('amount', rows(pg_query_params($db, 'SELECT * FROM transactions WHERE id = $1', [$at])));
    foreach ([0, 1, 2, 3] as $i) {
        pg_send_execute($db, 'order', [$base + 20 + $i, $i, $cents(100 * $number + $i)]);
        say('sent', rows(pg_get_result($db)), pg_get_result($db));
    }
    say('unique', states($db, "BEGIN; UPDATE orders SET $total = $total + 1 WHERE id = $at; SAVEPOINT here;"
        . "INSERT INTO orders (id) VALUES ($at)"), states($db, 'ROLLBACK TO here; COMMIT'));
    pg_copy_from($db, "orders (id, $total)", [($base + 30) . "\t$number\n", ($base + 31) . "\t\\N\n"], "\t", '\\\\N');
    $mine = "SELECT * FROM orders WHERE id BETWEEN $base AND $base + 99 ORDER BY id";
    say('orders', pg_copy_to($db, "($mine)"));
    say('deleted', pg_affected_rows(pg_query($db, "DELETE FROM orders WHERE id BETWEEN $base + 20 AND $base + 39")));
    say('heard', heard($db, "news_$base", (string) $number));
    cancel_and_go_on($db, $other);
}

function rounds()
{
    global $column, $base;
    [$db, $other, $reader] = [connect(), connect(), connect()];
    pg_prepare(kept(), 'change', "UPDATE users SET $column = $1 WHERE id = $2");
    pg_prepare($db, 'by id', "SELECT id, $column FROM users WHERE id = $1");
    pg_prepare($db, 'order', 'INSERT INTO orders VALUES ($1, $2, $3) RETURNING *');
    pg_query($db, "LISTEN news_$base");
    while (($line = fgets(STDIN)) !== false) {
        if (pg_transaction_status($reader) === PGSQL_TRANSACTION_INTRANS) {
            say('rest', rows(pg_query($reader, 'FETCH ALL FROM chunks')));
            pg_query($reader, 'COMMIT');
        }
        if ((int) $line !== 0) {
            one_round($db, $other, (int) $line);
            pg_query($reader, 'BEGIN');
            pg_query($reader, "DECLARE chunks CURSOR FOR SELECT id, $column FROM users"
                . " WHERE id BETWEEN $base AND $base + 9 ORDER BY id");
            say('chunk', rows(pg_query($reader, 'FETCH 3 FROM chunks')));
        }
        echo ".\n";
    }
}

set_error_handler(function ($level, $message) { throw new ErrorException($message); });
$argv[1] === 'idioms' ? idioms() : rounds();
