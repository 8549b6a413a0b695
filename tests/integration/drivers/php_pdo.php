<?php
// PHP PDO: native and emulated preparation, transactions, errors.
$new = getenv('SHAPE') === 'new';
$column = $new ? 'roles' : 'role';
$role = fn(...$names) => $new ? '{' . implode(',', $names) . '}' : implode(',', $names);
function say($what, ...$values) { echo $what, ' ', json_encode($values), "\n"; }

$dsn = sprintf('pgsql:host=%s;port=%s;dbname=%s;user=%s', getenv('PGHOST'), getenv('PGPORT'),
    getenv('PGDATABASE'), getenv('PGUSER'));
foreach ([false, true] as $emulate) {
    $pdo = new PDO($dsn, null, null, [PDO::ATTR_EMULATE_PREPARES => $emulate,
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC]);
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
}
