// node's pg: texts and parameters, named statements, a pool, pg-cursor, COPY streams, LISTEN.
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import pg from 'pg';
import copyStreams from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import { afterNap, amount, base, column, isNew, nap, orderRows, role, run, say, server, total, totalColumn,
  userRows, waitForNap } from './common.js';

const copied = (client, sql) => text(client.query(copyStreams.to(sql)));
const copyIn = (client, sql, lines) => pipeline(Readable.from([lines]), client.query(copyStreams.from(sql)));

async function prepared(client) {
  for (let id = 1; id <= 4; id++) {
    const result = await client.query({
      name: 'by id', text: `SELECT id, ${column} FROM users WHERE id = $1`, values: [id] });
    say('prepared', result.rows, result.fields.map((field) => [field.name, field.dataTypeID, field.format]));
  }
  const changed = await client.query(
    `UPDATE users SET ${column} = $1 WHERE ${column} = $2 RETURNING *`, [role('node', 'x'), role('viewer')]);
  say('changed', changed.rowCount, changed.rows);
  const array = await client.query({
    text: `SELECT id, ${column} FROM users WHERE id = ANY ($1) ORDER BY id`,
    values: [[1, 2]], rowMode: 'array' });
  say('array', array.rows);
  const binary = await client.query({
    text: `SELECT ${totalColumn} FROM orders WHERE id = 1`,
    binary: true, types: { getTypeParser: () => (v) => v } });
  say('binary', binary.rows, binary.fields[0].format, binary.fields[0].dataTypeModifier);
}

async function transaction(client) {
  await client.query('BEGIN');
  await client.query(`UPDATE orders SET ${totalColumn} = $1 WHERE id = 1`, [total(4200)]);
  await client.query('SAVEPOINT here');
  await client.query('INSERT INTO users (id) VALUES (1)').catch((error) =>
    say('unique', error.code, error.constraint, error.table));
  await client.query('SELECT 1').catch((error) => say('failed', error.code));
  await client.query('ROLLBACK TO here');
  const cursor = client.query(new Cursor(`SELECT id, ${column} FROM users ORDER BY id`));
  say('cursor', await cursor.read(2), await cursor.read(100));
  await cursor.close();
  await client.query('COMMIT');
}

async function canceled(pool) {
  const client = await pool.connect();
  const napping = client.query(nap).then(() => say('not canceled'), (error) => say('canceled', error.code));
  await pool.query(waitForNap);
  // as the driver does it: a connection of its own, with the key of the first; over TLS it forgets to
  const canceler = new pg.Client({ ...server, ssl: false });
  canceler.cancel(client, client.activeQuery ?? client._activeQuery);
  await napping;
  say('after it', (await client.query(afterNap)).rows);
  client.release();
}

async function heard(client, channel, payload) {
  const event = new Promise((resolve) => client.once('notification', resolve));
  await client.query(`NOTIFY ${channel}, '${payload}'`);
  return (await event).payload;
}

async function idioms() {
  const pool = new pg.Pool({ ...server, max: 3 });
  const client = await pool.connect();
  say('star', (await client.query('SELECT * FROM users ORDER BY id')).rows);
  await prepared(client);
  await transaction(client);
  const [one, two] = await client.query(`SELECT ${column} FROM users WHERE id = 1; SELECT count(*) FROM users`);
  say('two statements', one.rows, two.rows);
  const side = await Promise.all([1, 2, 3, 4, 5, 6].map((id) =>
    pool.query(`INSERT INTO orders VALUES ($1, $2, $3) RETURNING *`, [200 + id, id, total(id)])));
  say('pool', side.map((result) => result.rows));
  await copyIn(client, `COPY users (id, name, ${column}) FROM STDIN`,
    isNew ? '210\tc\t{a,b}\n211\td\t\\N\n' : '210\tc\ta,b\n211\td\t\\N\n');
  say('copied', await copied(client, `COPY (SELECT id, ${column} FROM users ORDER BY id) TO STDOUT`));
  await client.query('LISTEN news');
  say('heard', await heard(client, 'news', 'hello'));
  await canceled(pool);
  client.release();
  await pool.end();
}

async function rounds() {
  const pool = new pg.Pool({ ...server, max: 4 });
  const client = await pool.connect();
  const reader = await pool.connect();
  await client.query(`LISTEN news_${base}`);
  let cursor = null;
  async function round(number) {
    if (cursor) {
      say('rest', await cursor.read(100));
      await cursor.close();
      await reader.query('COMMIT');
      cursor = null;
    }
    if (number === 0) {
      return;
    }
    const at = base + number % 10;
    await pool.query({ name: 'change', text: `UPDATE users SET ${column} = $1 WHERE id = $2`,
      values: [role(`p${number}`, 'x'), at] });
    say('role', (await client.query({ name: 'by id', text: `SELECT id, ${column} FROM users WHERE id = $1`,
      values: [at] })).rows);
    await client.query('UPDATE transactions SET amount = $1 WHERE id = $2', [amount(number), at]);
    const paid = await client.query({ name: 'paid', values: [at],
      text: 'SELECT * FROM transactions WHERE id = $1' });
    say('amount', paid.rows, paid.fields.map((field) => [field.dataTypeID, field.dataTypeModifier]));
    const all = [0, 1, 2, 3].map((i) => client.query({ name: 'order',
      text: 'INSERT INTO orders VALUES ($1, $2, $3) RETURNING *',
      values: [base + 20 + i, i, total(100 * number + i)] }));
    say('queued', (await Promise.all(all)).map((result) => result.rows));
    await client.query('BEGIN');
    await client.query(`UPDATE orders SET ${totalColumn} = ${totalColumn} + 1 WHERE id = $1`, [at]);
    await client.query('SAVEPOINT here');
    await client.query('INSERT INTO orders (id) VALUES ($1)', [at]).catch((error) => say('unique', error.code));
    await client.query('ROLLBACK TO here; COMMIT');
    await copyIn(client, `COPY orders (id, ${totalColumn}) FROM STDIN`,
      `${base + 30}\t${number}\n${base + 31}\t\\N\n`);
    say('orders', await copied(client, `COPY (SELECT * ${orderRows}) TO STDOUT`));
    await client.query('DELETE FROM orders WHERE id BETWEEN $1 AND $2', [base + 20, base + 39]);
    say('heard', await heard(client, `news_${base}`, String(number)));
    await canceled(pool);
    await reader.query('BEGIN');
    cursor = reader.query(new Cursor(`SELECT id, ${column} ${userRows}`));
    say('chunk', await cursor.read(3));
  }
  async function end() {
    await cursor?.close();
    client.release();
    reader.release();
    await pool.end();
  }
  return { round, end };
}

await run(idioms, rounds);
