//! A steady stream to very many endpoints, of which some never answer.

use super::place::{Database, Place, Spent, TYPES, event_type, partner, url};
use crate::Failed;
use crate::load::at;
use crate::report::Run;
use crate::suites::Effort;
use crate::tls_receiver::{Receive, Reply};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Messages a second.
const RATE: u32 = 100;
/// How long what is under way at the end may take.
const LATE: Duration = Duration::from_secs(5);

/// Which endpoints never answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hang {
    None,
    OneInAHundred,
}

/// Publishes at a constant rate, and gives the latencies at endpoints that answer.
pub(super) async fn steady(program: &Path, effort: Effort, hang: Hang) -> Result<Run, Failed> {
    let arrivals = Arrivals::default();
    let place = Place::new(program, &Database::Embedded, arrivals.clone()).await?;
    let (answers, silent) = (place.receiver, place.also(Silent).await?);
    let server = place.start().await?;
    let hangs = move |number: usize| hang == Hang::OneInAHundred && number % 100 == 99;
    let url = move |number| url(if hangs(number) { silent } else { answers }, number);
    place.endpoints(&server, effort.endpoints, url).await?;
    let mut admin = place.admin(&server).await?;
    let (spent, begun) = (Spent::by(&server)?, Instant::now());
    let mut sent = 0_u32;
    while begun.elapsed() < effort.duration * 2 {
        tokio::time::sleep_until((begun + Duration::from_secs(1) * sent / RATE).into()).await;
        sent += 1;
        // A prime, so that all have their turn.
        let number = usize::try_from(sent)? * 7919 % effort.endpoints;
        let message = json!({
            "type": event_type(number % TYPES), "partner": partner(number), "data": { "at": micros() },
        });
        admin
            .must(&Method::POST, "webhooks/messages", &message)
            .await?;
    }
    tokio::time::sleep(LATE).await;
    let cpu = spent.since()?;
    server.kill().await?;
    let mut took = arrivals.take();
    took.sort_unstable();
    let count = f64::from(u32::try_from(took.len())?);
    Ok(Run {
        value: count / cpu.as_secs_f64().max(0.001),
        p50_us: Some(at(&took, 0.5)),
        p99_us: Some(at(&took, 0.99)),
        rss_mib: None,
        rate: Some(f64::from(RATE)),
    })
}

fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

/// Answers everything, and notes how long each took.
#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<Vec<u32>>>);

#[derive(Deserialize)]
struct Sent {
    data: Published,
}

/// What was published: when.
#[derive(Deserialize)]
struct Published {
    at: u64,
}

impl Arrivals {
    fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Receive for Arrivals {
    async fn receive(&self, _head: &Parts, body: Bytes) -> Reply {
        let Ok(sent) = serde_json::from_slice::<Sent>(&body) else {
            return Reply::Status(StatusCode::BAD_REQUEST);
        };
        let took = u32::try_from(micros().saturating_sub(sent.data.at)).unwrap_or(u32::MAX);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(took);
        Reply::Status(StatusCode::OK)
    }
}

/// Never answers.
#[derive(Clone)]
struct Silent;

impl Receive for Silent {
    async fn receive(&self, _head: &Parts, _body: Bytes) -> Reply {
        std::future::pending().await
    }
}
