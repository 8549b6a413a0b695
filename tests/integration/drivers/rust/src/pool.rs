//! A pool, as tokio-postgres' users have it from crates that Debian does not have: a client is cleaned as it
//! is taken, but for its prepared statements, which it keeps by their texts.

use crate::{connect, Result};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::{Client, Statement};

/// DISCARD ALL without what deallocates prepared statements.
const CLEAN: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *;
    SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

struct Member {
    client: Client,
    prepared: HashMap<String, Statement>,
}

pub struct Pool {
    free: Mutex<Vec<Member>>,
    places: Semaphore,
}

impl Pool {
    pub async fn open(size: usize) -> Result<Pool> {
        let mut free = Vec::new();
        for _ in 0..size {
            free.push(Member { client: connect().await?.0, prepared: HashMap::new() });
        }
        Ok(Pool { free: Mutex::new(free), places: Semaphore::new(size) })
    }

    /// Waits until one is free; it goes back when it is dropped.
    pub async fn take(&self) -> Result<Taken<'_>> {
        let place = self.places.acquire().await?;
        let member = self.free.lock().unwrap().pop();
        let taken = Taken { member, pool: self, _place: place };
        taken.batch_execute(CLEAN).await?;
        Ok(taken)
    }
}

pub struct Taken<'a> {
    member: Option<Member>, // until it is dropped
    pool: &'a Pool,
    _place: SemaphorePermit<'a>,
}

impl Taken<'_> {
    pub async fn prepare_cached(&mut self, sql: &str) -> Result<Statement> {
        let member = self.member.as_mut().expect("a place in the pool is a client's");
        if let Some(statement) = member.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = member.client.prepare(sql).await?;
        member.prepared.insert(sql.to_string(), statement.clone());
        Ok(statement)
    }
}

impl Deref for Taken<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.member.as_ref().expect("a place in the pool is a client's").client
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.pool.free.lock().unwrap().extend(self.member.take());
    }
}
