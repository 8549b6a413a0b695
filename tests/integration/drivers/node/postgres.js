// node's postgres: tagged texts that are prepared by default, helpers, begin and savepoint, cursors,
// COPY streams, LISTEN, cancel, describe.
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import { afterNap, amount, base, column, isNew, nap, orderRows, role, run, say, server, total, totalColumn,
  userRows, waitForNap } from './common.js';

const connect = (more) => postgres({ ...server, max: 3, onnotice: () => {}, ...more });

async function reading(sql) {
  say('star', await sql`SELECT * FROM users ORDER BY id`);
  for (const id of [1, 2, 3]) {
    const rows = await sql`SELECT id, ${sql(column)} FROM users WHERE id = ${id}`;
    say('prepared', rows, rows.columns.map((each) => [each.name, each.type]));
  }
  say('by role', await sql`SELECT id FROM users WHERE ${sql(column)} = ${role('admin')} ORDER BY id`);
  const described = await sql`SELECT id, ${sql(column)} FROM users WHERE ${sql(column)} = ${role('x')}`.describe();
  say('described', described.types, described.columns.map((each) => [each.name, each.type]));
  for await (const rows of sql`SELECT id, ${sql(column)} FROM users ORDER BY id`.cursor(2)) {
    say('chunk', rows);
  }
  await sql`SELECT * FROM users ORDER BY id`.forEach((row) => say('each', row));
  say('values', await sql`SELECT id, ${sql(column)} FROM users ORDER BY id`.values());
  say('raw', (await sql`SELECT ${sql(column)} FROM users WHERE id = 1`.raw())[0].map(String));
  say('simple', await sql`SELECT ${sql(column)} FROM users WHERE id = 1; SELECT count(*) FROM users`.simple());
}

async function writing(sql) {
  const rows = [1, 2, 3].map((i) => ({ id: 300 + i, name: `j${i}`, [column]: role('j', String(i)) }));
  say('helper', await sql`INSERT INTO users ${sql(rows, 'id', 'name', column)} RETURNING *`);
  say('updated', await sql`UPDATE users SET ${sql({ [column]: role('set') }, column)} WHERE id = 301 RETURNING *`);
  await sql.begin(async (tx) => {
    await tx`UPDATE orders SET ${tx(totalColumn)} = ${total(4200)} WHERE id = 1`;
    await tx.savepoint((inner) => inner`INSERT INTO users (id) VALUES (1)`).catch((error) =>
      say('unique', error.code, error.constraint_name));
    say('inside', await tx`SELECT * FROM orders WHERE id = 1`);
  });
  say('pipelined', await sql.begin((tx) => [1, 2, 3].map((i) =>
    tx`INSERT INTO orders VALUES (${310 + i}, ${i}, ${total(i)}) RETURNING *`)));
  const into = await sql`COPY users (id, name, ${sql(column)}) FROM STDIN`.writable();
  await pipeline(Readable.from([isNew ? '320\tc\t{a,b}\n' : '320\tc\ta,b\n']), into);
  const out = await sql`COPY (SELECT id, ${sql(column)} FROM users ORDER BY id) TO STDOUT`.readable();
  say('copied', await text(out));
}

async function heard(sql, channel, payload) {
  let listener;
  const event = new Promise((resolve) => { listener = resolve; });
  const { unlisten } = await sql.listen(channel, listener);
  await sql.notify(channel, payload);
  const said = await event;
  await unlisten();
  return said;
}

async function canceled(sql) {
  const napping = sql.unsafe(nap);
  const end = napping.then(() => say('not canceled'), (error) => say('canceled', error.code));
  await sql.unsafe(waitForNap);
  napping.cancel();
  await end;
  say('after it', await sql.unsafe(afterNap));
}

async function idioms() {
  for (const prepare of [true, false]) {
    const sql = connect({ prepare });
    await reading(sql);
    if (prepare) {
      await writing(sql);
    }
    say('heard', await heard(sql, 'news', 'hello'));
    await canceled(sql);
    await sql.end();
  }
}

async function rounds() {
  const sql = connect({});
  const reader = await sql.reserve();
  let listener = () => {};
  await sql.listen(`news_${base}`, (payload) => listener(payload));
  let cursor = null;
  async function round(number) {
    if (cursor) {
      for (let next = await cursor.next(); !next.done; next = await cursor.next()) {
        say('rest', next.value);
      }
      await reader`COMMIT`;
      cursor = null;
    }
    if (number === 0) {
      return;
    }
    const at = base + number % 10;
    await sql`UPDATE users SET ${sql(column)} = ${role(`p${number}`, 'x')} WHERE id = ${at}`;
    say('role', await sql`SELECT id, ${sql(column)} FROM users WHERE id = ${at}`);
    await sql`UPDATE transactions SET amount = ${amount(number)} WHERE id = ${at}`;
    const paid = await sql`SELECT * FROM transactions WHERE id = ${at}`;
    say('amount', paid, paid.columns.map((each) => [each.name, each.type]));
    say('pipelined', await sql.begin((tx) => [0, 1, 2, 3].map((i) =>
      tx`INSERT INTO orders VALUES (${base + 20 + i}, ${i}, ${total(100 * number + i)}) RETURNING *`)));
    await sql.begin(async (tx) => {
      await tx`UPDATE orders SET ${tx(totalColumn)} = ${tx(totalColumn)} + 1 WHERE id = ${at}`;
      await tx.savepoint((inner) => inner`INSERT INTO orders (id) VALUES (${at})`).catch((error) =>
        say('unique', error.code));
    });
    const into = await sql`COPY orders (id, ${sql(totalColumn)}) FROM STDIN`.writable();
    await pipeline(Readable.from([`${base + 30}\t${number}\n${base + 31}\t\\N\n`]), into);
    say('orders', await text(await sql`COPY (SELECT * ${sql.unsafe(orderRows)}) TO STDOUT`.readable()));
    await sql`DELETE FROM orders WHERE id BETWEEN ${base + 20} AND ${base + 39}`;
    const event = new Promise((resolve) => { listener = resolve; });
    await sql.notify(`news_${base}`, String(number));
    say('heard', await event);
    await canceled(sql);
    await reader`BEGIN`;
    cursor = reader`SELECT id, ${reader(column)} ${reader.unsafe(userRows)}`.cursor(3)[Symbol.asyncIterator]();
    say('chunk', (await cursor.next()).value);
  }
  async function end() {
    await cursor?.return();
    reader.release();
    await sql.end({ timeout: 5 });
  }
  return { round, end };
}

await run(idioms, rounds);
