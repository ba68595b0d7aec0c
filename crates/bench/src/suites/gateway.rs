//! `gateway`: what a request through the gateway costs, case by case, beside servers by others on the same upstream with the same tokens.

mod callers;
mod cases;
mod idle;
mod lane;
mod limits;
mod ours;
mod policies;

use super::{Columns, Effort, Measured, Subjects, Suite};
use crate::Failed;
use crate::peers::Upstream;
use crate::report::Row;
use cases::GROUPS;
use lane::Lane;
use std::time::Duration;

pub(super) const SUITE: Suite = Suite {
    name: "gateway",
    about: ABOUT,
    measure: |subjects, effort| -> Measured<'_> { Box::pin(measure(subjects, effort)) },
};

const ABOUT: &str = "\
Sixty-four kept connections (TLS 1.3, HTTP/1.1, a certificate on P-256) on loopback, one load generator for all. Behind every gateway stands the same upstream,
a process of its own (nginx, one worker) that answers each request with the same kibibyte over plain HTTP on kept connections. A value is answers per second of
the gateway's own CPU time (user and system, all its threads and children), which stays comparable whatever else the machine does; connecting does not count.
The latencies are those of a second load at a constant rate, counted from when a request was due, so that a stall costs all who wait for it. The rate is the
same for all of a case: half of what the slowest of them answered while it was warmed up. The runs of a case alternate. Every answer is looked at, and before a
row counts, its server has to refuse a request without a token, one with a token for another audience and one with a forged signature.

All are built as they are shipped (Countersign in the profile `dist`).

What is compared is not the same work. Countersign runs as a whole (identity, gateway, decision point and log in one process, a thread a core) and does with
each request what its configuration says: canonical form, route, audience, issuer, expiry, revocation, scope, a decision by Cedar policies (twenty beside the
built-in ones, unless the case says otherwise) and a record of it in the audit log, queued. HAProxy, nginx and Envoy (one thread each, no access log, no
telemetry) check the signature, algorithm, issuer, audience and expiry where they check tokens at all; they know no revocation, ask no policy and record nothing.

- `plain`: no token, on a route that is open to anyone. Countersign decides and records all the same.
- `jwt-es256-mixed`, `jwt-rs256-mixed`: 10,000 tokens of forty clients chosen by Zipf's law, one request in a hundred with a token never seen before. Countersign remembers
  32,768 verified tokens, as without a setting; Envoy's cache (`jwt_cache_config`) holds as many; HAProxy has none.
- `jwt-es256-uncached`: the same with `[gateway] verified_tokens = 0`, and Envoy as it comes. `limit` is one verification on one thread and nothing else.
- `dpop`: a token bound to a key of each connection, and a fresh proof with each request; the proof's signature cannot be remembered. `dpop-bare`: the same
  with the built-in policies alone, by which the route's scope is enough. `limit` as above. Records stay queued in both: they cannot be turned off.
- `policies-20`, `policies-1000`: `jwt-es256-mixed` with so many policies. Of 20, 2 are about everything, 10 about the action that is asked for; of 1,000, 100 and 10.
- `routes-10000`: `jwt-es256-mixed` with so many routes, beside ten.
- `waf`: a browser's searches and, one in four, its forms, on the open route, with the rules of Debian's OWASP Core Rule Set in blocking mode at paranoia level 1. ModSecurity
  runs in nginx with its recommended configuration; answers are looked into on neither side. Before a row counts, its server has to refuse an SQL injection and a script.
- `authzen`: one evaluation over `/access/v1/evaluation` (OpenID AuthZEN 1.0) by twenty policies. Countersign asks for a token, looks the person up in its directory and has the
  decision in its log, durably, before it answers; Cerbos (`GOMAXPROCS=1`) takes the caller's word for the person's roles and records nothing.
- `rss-idle-connection`: resident memory by which a fresh server grows for each of 2,000 connections that are opened, used for one request and kept
  (`[listeners] connections_per_peer` is raised for it, because they all come from one address).";

/// Connections of every case.
const CONNECTIONS: usize = 64;
const UNIT: &str = "req/cpu-s";
const IDLE: &str = "rss-idle-connection";
/// The share of what the slowest answers at which latencies are measured.
const PACE: f64 = 0.5;
/// A rate for a case whose warming up failed.
const PACE_MIN: f64 = 10.0;
/// More requests a second than any gateway answers here, to make enough tokens that are shown once.
const RATE_MAX: f64 = 30_000.0;

/// What all cases share.
struct World<'a> {
    subjects: &'a Subjects,
    effort: Effort,
    upstream: Upstream,
}

impl World<'_> {
    /// How long connections, caches and code of each row are warmed up before a run counts.
    fn warm_up(&self) -> Duration {
        self.effort.duration / 2
    }

    /// Tokens to be shown once: one in a hundred of all requests to one server.
    fn fresh(&self) -> Result<usize, Failed> {
        let runs = u32::try_from(self.effort.runs)?;
        let seconds = self.warm_up() + self.effort.duration * runs * 2;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number far below the largest"
        )]
        let count = (seconds.as_secs_f64() * RATE_MAX * 0.01) as usize;
        Ok(count)
    }
}

async fn measure(subjects: &Subjects, effort: Effort) -> Result<Vec<Row>, Failed> {
    let world = World {
        upstream: Upstream::start(&subjects.peers).await?,
        subjects,
        effort,
    };
    progress(&format!("the upstream is {}", world.upstream.about));
    let mut columns = Columns::default();
    for group in GROUPS {
        if group.cases.iter().any(|case| subjects.wants(case)) {
            progress(&format!("preparing {}", group.cases.join(", ")));
            let mut lanes = (group.prepare)(&world).await;
            lanes.retain(|lane| subjects.wants(lane.case));
            alternate(&world, &mut lanes, &mut columns).await;
        }
    }
    if subjects.wants(IDLE) {
        for number in 1..=effort.runs {
            let run = idle::measure(&world).await;
            let came = run
                .as_ref()
                .map_or_else(ToString::to_string, |run| format!("{:.1}", run.value));
            progress(&format!(
                "run {number} of {}: {IDLE}, countersign: {came}",
                effort.runs
            ));
            columns.add(IDLE, "countersign", "KiB/conn", run);
        }
    }
    Ok(columns.rows())
}

/// The runs of a group in turn.
async fn alternate(world: &World<'_>, lanes: &mut [Lane], columns: &mut Columns) {
    let rate = warmed_up(world, lanes).await;
    for number in 1..=world.effort.runs {
        for lane in &mut *lanes {
            let run = lane.run(rate, world.effort.duration).await;
            let came = match &run {
                Ok(run) => format!("{:.0}", run.value),
                Err(problem) => problem.to_string(),
            };
            let (runs, case, subject) = (world.effort.runs, lane.case, &lane.subject);
            progress(&format!(
                "run {number} of {runs}: {case}, {subject}: {came}"
            ));
            let again = run.as_ref().copied().map_err(ToString::to_string);
            columns.add(case, subject, UNIT, run);
            if let Some((case, subject)) = lane.also {
                columns.add(case, subject, UNIT, again.map_err(Into::into));
            }
        }
    }
}

/// The rate at which the latencies of a group are measured.
async fn warmed_up(world: &World<'_>, lanes: &mut [Lane]) -> f64 {
    let mut slowest = f64::INFINITY;
    for lane in lanes {
        progress(&format!("warming up {} of {}", lane.case, lane.subject));
        // Why it fails is said by its first run.
        if let Ok(Some(rate)) = lane.warm_up(world.warm_up()).await {
            slowest = slowest.min(rate);
        }
    }
    if slowest.is_finite() {
        (slowest * PACE).max(PACE_MIN).floor()
    } else {
        PACE_MIN
    }
}

/// Said while it goes on, beside the results on standard output.
fn progress(text: &str) {
    eprintln!("gateway: {text}");
}
