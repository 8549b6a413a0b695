//! Rust's tokio-postgres: prepared and binary throughout, pipelined futures, portals, COPY, simple
//! queries, savepoints, LISTEN, cancel tokens, a pool, TLS.

mod pool;
mod tls;

use futures_util::{future, pin_mut, stream, SinkExt, StreamExt, TryStreamExt};
use pool::Pool;
use std::env;
use std::error::Error;
use std::fmt::Debug;
use std::io::BufRead;
use tls::Tls;
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver};
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Row, SimpleQueryMessage};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn is_new() -> bool {
    env::var("SHAPE").as_deref() == Ok("new")
}

fn column() -> &'static str {
    if is_new() { "roles" } else { "role" }
}

fn total() -> &'static str {
    if is_new() { "total" } else { "total_cents" }
}

fn say(what: &str, value: impl Debug) {
    println!("{what} {value:?}");
}

/// The bytes of any value, whatever its type: as they came.
#[derive(Debug)]
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn rows(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .map(|row| {
            row.columns()
                .iter()
                .enumerate()
                .map(|(i, c)| format!("{}:{}={:?} ", c.name(), c.type_(), row.get::<_, Option<Raw>>(i)))
                .collect()
        })
        .collect()
}

/// A role as a parameter: a text in the old shape, an array in the new one.
fn role(names: &[&str]) -> Box<dyn ToSql + Sync> {
    if is_new() {
        Box::new(names.iter().map(|name| name.to_string()).collect::<Vec<_>>())
    } else {
        Box::new(names.join(","))
    }
}

fn role_text(names: &[&str]) -> String {
    let list = names.join(",");
    if is_new() { format!("{{{list}}}") } else { list }
}

/// The driver has no numeric: in the new shape money goes in as text that the server casts.
fn money(parameter: &str) -> String {
    if is_new() { format!("({parameter}::text)::numeric") } else { format!("({parameter}::text)::bigint") }
}

fn state(error: tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{} {:?}", error.code().code(), error.constraint()),
        None => format!("not the server's: {error}"),
    }
}

async fn connect() -> Result<(Client, UnboundedReceiver<String>)> {
    let variable = |name| env::var(name).unwrap_or_default();
    let mut config = Config::new();
    config
        .host(&variable("PGHOST"))
        .port(variable("PGPORT").parse()?)
        .user(&variable("PGUSER"))
        .password(variable("PGPASSWORD"))
        .dbname(&variable("PGDATABASE"));
    let tls = Tls::configure(&mut config)?;
    let (client, mut connection) = config.connect(tls).await?;
    let (told, heard) = unbounded_channel();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(message) = messages.next().await {
            match message {
                // nobody listens any more when the program ends
                Ok(AsyncMessage::Notification(event)) => drop(told.send(event.payload().to_string())),
                Ok(_) => {}
                Err(error) => {
                    eprintln!("connection: {error}");
                    return;
                }
            }
        }
    });
    Ok((client, heard))
}

async fn copy_in(client: &Client, sql: &str, lines: String) -> Result<u64> {
    let sink = client.copy_in(sql).await?;
    pin_mut!(sink);
    sink.send(bytes::Bytes::from(lines)).await?;
    Ok(sink.finish().await?)
}

async fn copy_out(client: &Client, sql: &str) -> Result<String> {
    let parts: Vec<bytes::Bytes> = client.copy_out(sql).await?.try_collect().await?;
    Ok(String::from_utf8(parts.concat())?)
}

async fn prepared(client: &Client) -> Result<()> {
    let column = column();
    let select = client.prepare(&format!("SELECT id, {column} FROM users WHERE {column} = $1")).await?;
    say("parameters", select.params());
    say("columns", select.columns());
    for name in ["admin", "viewer", "none"] {
        say("prepared", rows(&client.query(&select, &[&*role(&[name])]).await?));
    }
    let update = client.prepare(&format!("UPDATE users SET {column} = $1 WHERE id = $2")).await?;
    let futures = (1..6).map(|id: i32| {
        let update = &update;
        async move { client.execute(update, &[&*role(&["rust", "x"]), &id]).await }
    });
    say("pipelined", future::try_join_all(futures).await?);
    say("typed", rows(&client.query(&client.prepare_typed(
        &format!("SELECT id FROM users WHERE id = $1 AND {column} IS NOT NULL"), &[Type::INT4]).await?,
        &[&1i32]).await?));
    Ok(())
}

async fn transaction(client: &mut Client) -> Result<()> {
    let mut transaction = client.transaction().await?;
    transaction.execute(&format!("UPDATE orders SET {} = {} WHERE id = 1", total(), money("$1")), &[&"42"]).await?;
    let inner = transaction.savepoint("here").await?;
    if let Err(error) = inner.execute("INSERT INTO users (id) VALUES (1)", &[]).await {
        say("unique", state(error));
    }
    inner.rollback().await?;
    let portal = transaction.bind(&format!("SELECT id, {} FROM users ORDER BY id", column()), &[]).await?;
    for _ in 0..3 {
        say("portal", rows(&transaction.query_portal(&portal, 2).await?));
    }
    transaction.commit().await?;
    Ok(())
}

async fn simple(client: &Client) -> Result<()> {
    let text = format!("SELECT {} FROM users WHERE id = 1; SELECT count(*) FROM users", column());
    for message in client.simple_query(&text).await? {
        match message {
            SimpleQueryMessage::Row(row) => say("simple", row.get(0)),
            SimpleQueryMessage::CommandComplete(count) => say("complete", count),
            _ => say("another message", ()),
        }
    }
    Ok(())
}

/// Two clients for four who come at once.
async fn pooled() -> Result<()> {
    let pool = Pool::open(2).await?;
    let sql = format!("SELECT id, {} FROM users WHERE id = $1", column());
    let all = (1..5).map(|id: i32| {
        let (pool, sql) = (&pool, &sql);
        async move {
            let mut client = pool.take().await?;
            let by_id = client.prepare_cached(sql).await?;
            Result::Ok(rows(&client.query(&by_id, &[&id]).await?))
        }
    });
    say("pooled", future::try_join_all(all).await?);
    Ok(())
}

/// A statement sleeps in its row until the other connection has seen it sleep.
async fn cancel_and_go_on(client: &Client, other: &Client, id: i32) -> Result<()> {
    let column = column();
    let nap = format!("UPDATE users SET {column} = NULL, name = nap({id}) WHERE id = {id}");
    let token = client.cancel_token();
    let (napped, canceled) = future::join(client.execute(&nap, &[]), async {
        other.query("SELECT wait_for_nap($1)", &[&id]).await?;
        Result::Ok(token.cancel_query(Tls::configure(&mut Config::new())?).await?)
    })
    .await;
    canceled?;
    say("canceled", napped.map_err(state));
    say("after it", rows(&client.query(&format!("SELECT {column}, name FROM users WHERE id = $1"), &[&id]).await?));
    Ok(())
}

async fn idioms() -> Result<()> {
    let (mut client, mut heard) = connect().await?;
    let column = column();
    say("star", rows(&client.query("SELECT * FROM users ORDER BY id", &[]).await?));
    prepared(&client).await?;
    transaction(&mut client).await?;
    simple(&client).await?;
    let lines = format!("800\tc\t{}\n801\td\t\\N\n", role_text(&["a", "b"]));
    say("copied", copy_in(&client, &format!("COPY users (id, name, {column}) FROM STDIN"), lines).await?);
    say("copy", copy_out(&client, &format!("COPY (SELECT id, {column} FROM users ORDER BY id) TO STDOUT")).await?);
    client.batch_execute("LISTEN news; NOTIFY news, 'hello'").await?;
    say("heard", heard.recv().await.ok_or("the connection is gone")?);
    pooled().await?;
    let (other, _) = connect().await?;
    cancel_and_go_on(&client, &other, 1).await
}

async fn rounds() -> Result<()> {
    let base: i32 = env::var("BASE")?.parse()?;
    let (column, total) = (column(), total());
    let ((mut client, mut heard), (mut reader, _), pool) =
        (connect().await?, connect().await?, Pool::open(2).await?);
    client.batch_execute(&format!("LISTEN news_{base}")).await?;
    let change = format!("UPDATE users SET {column} = $1 WHERE id = $2");
    let select = client.prepare(&format!("SELECT id, {column} FROM users WHERE id = $1")).await?;
    let pay = client.prepare(&format!("UPDATE transactions SET amount = {} WHERE id = $2",
        if is_new() { "($1::text)::numeric" } else { "$1" })).await?;
    let paid = client.prepare("SELECT * FROM transactions WHERE id = $1").await?;
    let order = client.prepare(&format!("INSERT INTO orders VALUES ($1, $2, {}) RETURNING *", money("$3"))).await?;
    let chunks = reader.prepare(&format!(
        "SELECT id, {column} FROM users WHERE id BETWEEN $1 AND $2 ORDER BY id")).await?;
    let mut lines = std::io::stdin().lock().lines();
    let mut next = lines.next();
    while next.is_some() {
        if let Some(Ok("0")) = next.as_ref().map(|line| line.as_deref()) {
            println!(".");
            next = lines.next();
            continue;
        }
        // the portal stays open from one round to the next
        let open = reader.transaction().await?;
        let portal = open.bind(&chunks, &[&base, &(base + 9)]).await?;
        say("chunk", rows(&open.query_portal(&portal, 3).await?));
        while let Some(line) = next.take() {
            let number: i32 = line?.parse()?;
            let at = base + number % 10;
            let name = format!("p{number}");
            let mut other = pool.take().await?;
            let change = other.prepare_cached(&change).await?;
            other.execute(&change, &[&*role(&[&name, "x"]), &at]).await?;
            say("role", rows(&client.query(&select, &[&at]).await?));
            client.execute(&pay, &[&format!("{number}.25"), &at]).await?;
            say("amount", rows(&client.query(&paid, &[&at]).await?));
            let money: Vec<String> = (0..4).map(|i| (100 * number + i).to_string()).collect();
            let futures = (0..4i32).map(|i| {
                let (client, order, money) = (&client, &order, &money);
                async move { client.query(order, &[&(base + 20 + i), &i, &money[i as usize]]).await }
            });
            for result in future::try_join_all(futures).await? {
                say("pipelined", rows(&result));
            }
            let mut transaction = client.transaction().await?;
            transaction.execute(&format!("UPDATE orders SET {total} = {total} + 1 WHERE id = $1"), &[&at]).await?;
            let inner = transaction.savepoint("here").await?;
            if let Err(error) = inner.execute("INSERT INTO orders (id) VALUES ($1)", &[&at]).await {
                say("unique", state(error));
            }
            inner.rollback().await?;
            transaction.commit().await?;
            copy_in(&client, &format!("COPY orders (id, {total}) FROM STDIN"),
                format!("{}\t{number}\n{}\t\\N\n", base + 30, base + 31)).await?;
            let mine = format!("SELECT * FROM orders WHERE id BETWEEN {base} AND {} ORDER BY id", base + 99);
            say("orders", copy_out(&client, &format!("COPY ({mine}) TO STDOUT")).await?);
            client.execute("DELETE FROM orders WHERE id BETWEEN $1 AND $2", &[&(base + 20), &(base + 39)]).await?;
            client.batch_execute(&format!("NOTIFY news_{base}, '{number}'")).await?;
            say("heard", heard.recv().await.ok_or("the connection is gone")?);
            cancel_and_go_on(&client, &other, base).await?;
            println!(".");
        }
        next = lines.next();
        if next.is_some() {
            say("rest", rows(&open.query_portal(&portal, 100).await?));
            open.commit().await?;
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    if env::args().nth(1).as_deref() == Some("idioms") { idioms().await } else { rounds().await }
}
