// What both programs for node share: how things look in a shape, the transcript, and being led.
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';

const env = process.env;
export const isNew = env.SHAPE === 'new';
export const column = isNew ? 'roles' : 'role';
export const totalColumn = isNew ? 'total' : 'total_cents';
export const base = Number(env.BASE ?? 0);
export const userRows = `FROM users WHERE id BETWEEN ${base} AND ${base + 9} ORDER BY id`;
export const orderRows = `FROM orders WHERE id BETWEEN ${base} AND ${base + 99} ORDER BY id`;
// whose row a statement sleeps in until it is canceled, and one that waits until it does
const napper = base || 1;
export const nap = `UPDATE users SET ${column} = NULL, name = nap(${napper}) WHERE id = ${napper}`;
export const waitForNap = `SELECT wait_for_nap(${napper})`;
export const afterNap = `SELECT ${column}, name FROM users WHERE id = ${napper}`;
export const role = (...names) => (isNew ? names : names.join(','));
export const total = (cents) => (isNew ? (cents / 100).toFixed(2) : cents);
export const amount = (number) => `${number}.25`;

export const server = {
  host: env.PGHOST, port: Number(env.PGPORT), database: env.PGDATABASE, user: env.PGUSER,
  password: env.PGPASSWORD,
  ssl: env.PGSSLROOTCERT ? { ca: readFileSync(env.PGSSLROOTCERT), servername: 'localhost' } : false,
};

export function say(what, ...values) {
  console.log(what, ...values.map((value) => JSON.stringify(value)));
}

export async function run(idioms, rounds) {
  if (process.argv[2] === 'idioms') {
    await idioms();
    return;
  }
  const { round, end } = await rounds();
  for await (const line of createInterface({ input: process.stdin })) {
    await round(Number(line));
    console.log('.');
  }
  await end();
}
