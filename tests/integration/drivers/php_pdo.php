<?php
// PHP PDO: native and emulated preparation, transactions and savepoints, errors, COPY, scrolling, LISTEN,
// connections that are kept.
$new = getenv('SHAPE') === 'new';
$column = $new ? 'roles' : 'role';
$role = fn(...$names) => $new ? '{' . implode(',', $names) . '}' : implode(',', $names);
function say($what, ...$values) { echo $what, ' ', json_encode($values), "\n"; }
$total = $new ? 'total' : 'total_cents';
$cents = fn($value) => $new ? sprintf('%.2f', $value / 100) : $value;
$base = (int) getenv('BASE');

// One that is kept is the one of before, whoever had it.
function connect(bool $emulate = false, bool $kept = false): PDO
{
    $dsn = sprintf('pgsql:host=%s;port=%s;dbname=%s', getenv('PGHOST'), getenv('PGPORT'), getenv('PGDATABASE'));
    $ca = getenv('PGSSLROOTCERT');
    $dsn .= $ca ? sprintf(';sslmode=%s;sslrootcert=%s', getenv('PGSSLMODE'), $ca) : '';
    return new PDO($dsn, getenv('PGUSER'), getenv('PGPASSWORD') ?: null, [PDO::ATTR_EMULATE_PREPARES => $emulate,
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC, PDO::ATTR_PERSISTENT => $kept]);
}

function idioms()
{
    global $new, $column, $role;
    foreach ([false, true] as $emulate) {
        $pdo = connect($emulate);
        say('star', $pdo->query('SELECT * FROM users ORDER BY id')->fetchAll());
        $select = $pdo->prepare("SELECT id, $column FROM users WHERE $column = ?");
        foreach (['viewer', 'admin', 'nobody'] as $name) {
            $select->execute([$role($name)]);
            say('prepared', $select->fetchAll(), $select->getColumnMeta(1)['native_type'],
                $select->getColumnMeta(1)['table'] ?? null);
        }
        $pdo->beginTransaction();
        $update = $pdo->prepare("UPDATE users SET $column = :role WHERE id = :id");
        foreach ([1, 2] as $id) $update->execute(['role' => $role('php', (string)$id), 'id' => $id]);
        say('updated', $update->rowCount());
        $pdo->commit();
        $pdo->beginTransaction();
        try {
            $update->execute(['role' => $role('undone'), 'id' => 3]);
            $pdo->exec('INSERT INTO users (id) VALUES (1)');
        } catch (PDOException $error) {
            say('unique', $error->getCode());
        }
        $pdo->rollBack();
        say('after', $pdo->query("SELECT id, $column FROM users ORDER BY id")->fetchAll(PDO::FETCH_KEY_PAIR));
        $scrolled = $pdo->prepare("SELECT id, $column FROM users ORDER BY id",
            [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
        $pdo->beginTransaction();
        $scrolled->execute();
        say('scrolled', $scrolled->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST),
            $scrolled->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_FIRST));
        $pdo->commit();
        $pdo->pgsqlCopyFromArray('users', ["170\tcopied\t" . ($new ? '{x,y}' : 'x,y')], "\t", '\\\\N',
            "id,name,$column");
        $copied = $pdo->pgsqlCopyToArray('users', "\t", '\\\\N', "id,$column");
        sort($copied);
        say('copied', $copied, $pdo->exec('DELETE FROM users WHERE id = 170'));
        $pdo->exec('LISTEN news');
        $pdo->exec("NOTIFY news, 'hello'");
        say('heard', $pdo->pgsqlGetNotify(PDO::FETCH_ASSOC, 10000)['payload']);
        time_out_and_go_on($pdo);
    }
    kept();
}

// What its last owner has left open is rolled back, his settings stay.
function kept()
{
    global $column;
    $pdo = connect(kept: true);
    $pdo->exec("SET application_name = 'kept'");
    $pdo->beginTransaction();
    $pdo->exec("UPDATE users SET $column = NULL");
    unset($pdo);
    $pdo = connect(kept: true);
    say('kept', $pdo->inTransaction(), $pdo->query('SHOW application_name')->fetchColumn(),
        $pdo->query('SELECT * FROM users ORDER BY id')->fetchAll());
}

// PDO has no cancel request, nor another thread to send it from: its users set a time-out.
function time_out_and_go_on(PDO $pdo)
{
    global $column, $base;
    $id = $base ?: 1;
    $pdo->exec("SET statement_timeout = '50ms'");
    try {
        $pdo->exec("UPDATE users SET $column = NULL, name = nap($id) WHERE id = $id");
    } catch (PDOException $error) {
        say('canceled', $error->getCode());
    }
    $pdo->exec('RESET statement_timeout');
    say('after it', $pdo->query("SELECT $column, name FROM users WHERE id = $id")->fetchAll());
}

function one_round(PDO $pdo, PDO $emulated, array $statements, int $number)
{
    global $column, $role, $total, $cents, $base;
    $at = $base + $number % 10;
    $change = connect(kept: true)->prepare("UPDATE users SET $column = ? WHERE id = ?");
    $change->execute([$role("p$number", 'x'), $at]);
    $statements['by id']->execute([$at]);
    say('role', $statements['by id']->fetchAll(), $statements['by id']->getColumnMeta(1)['native_type']);
    $pay = $emulated->prepare('UPDATE transactions SET amount = ? WHERE id = ?');
    $pay->execute(["$number.25", $at]);
    say('amount', $emulated->query("SELECT * FROM transactions WHERE id = $at")->fetchAll());
    foreach ([0, 1, 2, 3] as $i) {
        $statements['order']->execute([$base + 20 + $i, $i, $cents(100 * $number + $i)]);
        say('returned', $statements['order']->fetchAll());
    }
    $pdo->beginTransaction();
    $pdo->exec("UPDATE orders SET $total = $total + 1 WHERE id = $at");
    $pdo->exec('SAVEPOINT here');
    try {
        $pdo->exec("INSERT INTO orders (id) VALUES ($at)");
    } catch (PDOException $error) {
        say('unique', $error->getCode());
    }
    $pdo->exec('ROLLBACK TO here');
    $pdo->commit();
    $pdo->pgsqlCopyFromArray('orders', [($base + 30) . "\t$number", ($base + 31) . "\t\\N"], "\t", '\\\\N',
        "id,$total");
    $mine = "SELECT * FROM orders WHERE id BETWEEN $base AND $base + 99 ORDER BY id";
    $emulated->exec("UPDATE orders SET $total = $total + 1 WHERE id = $at; UPDATE users SET name = 'n$number' WHERE id = $at");
    say('orders', $pdo->query($mine)->fetchAll(), $pdo->pgsqlCopyToArray("($mine)"));
    $pdo->exec("DELETE FROM orders WHERE id BETWEEN $base + 20 AND $base + 39");
    $pdo->exec("NOTIFY news_$base, '$number'");
    say('heard', $pdo->pgsqlGetNotify(PDO::FETCH_ASSOC, 30000)['payload']);
    time_out_and_go_on($emulated);
}

function rounds()
{
    global $column, $base;
    [$pdo, $emulated, $reader] = [connect(), connect(true), connect()];
    $statements = [
        'by id' => $pdo->prepare("SELECT id, $column FROM users WHERE id = ?"),
        'order' => $pdo->prepare('INSERT INTO orders VALUES (?, ?, ?) RETURNING *'),
    ];
    $pdo->exec("LISTEN news_$base");
    while (($line = fgets(STDIN)) !== false) {
        if ($reader->inTransaction()) {
            say('rest', $reader->query('FETCH ALL FROM chunks')->fetchAll());
            $reader->commit();
        }
        if ((int) $line !== 0) {
            one_round($pdo, $emulated, $statements, (int) $line);
            $reader->beginTransaction();
            $reader->exec("DECLARE chunks CURSOR FOR SELECT id, $column FROM users"
                . " WHERE id BETWEEN $base AND $base + 9 ORDER BY id");
            say('chunk', $reader->query('FETCH 3 FROM chunks')->fetchAll());
        }
        echo ".\n";
    }
}

$argv[1] === 'idioms' ? idioms() : rounds();
