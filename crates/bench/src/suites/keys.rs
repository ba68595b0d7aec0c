//! `keys`: what sealing, the vault and the keys of people cost, beside raw AES-256-GCM and RustyVault.

mod database;
mod envelopes;
mod lane;
mod leases;
mod people;
mod place;
mod scripts;

use super::{Columns, Effort, Measured, Subjects, Suite};
use crate::Failed;
use crate::peers::{Foreign, RUSTY_VAULT};
use crate::report::{Row, Run};
use envelopes::{Direction, Message};
use lane::Lane;
use place::Place;
use scripts::{BATCH, Engine};
use std::time::Duration;

pub(super) const SUITE: Suite = Suite {
    name: "keys",
    about: ABOUT,
    measure: |subjects, effort| -> Measured<'_> { Box::pin(measure(subjects, effort)) },
};

const ABOUT: &str = "\
Over HTTP: sixteen kept connections (TLS 1.3, HTTP/1.1) on loopback, one load generator for all. A value is answers per second of the server's own CPU time (user
and system, all its threads), which stays comparable whatever else the machine does. The runs of all rows alternate, and every answer is looked at: a wrong one
fails its row.

What is compared is not the same work. Countersign takes a token with one ACL policy, decides each call by Cedar and records it; a secret is KV version 2 with ten
versions kept and stands in SQLite (`synchronous=FULL`): a write is answered once it is on disk together with its record. RustyVault takes its root token; a secret
is KV version 1 (its version 2 does not work), a file that is written over and never synced, and nothing is recorded. Both seal what they store.

- `seal-64b`, `open-64b`, `seal-1mib`, `open-1mib`: envelopes as everything here is sealed in (suite 1: a key for each message by HKDF-SHA-256, a commitment to the
  key), in one process on one thread. `limit` is AES-256-GCM alone on the same message and context, in place, with one key that is made once and nonces that count up.
- `kv-read`, `kv-write`: 1,000 secrets of two members and about 100 bytes, asked for at random.
- `transit-encrypt`: 64 bytes a call; `transit-batch`: a hundred times 64 bytes a call, counted one by one.
- `dynamic-credential`: a user of PostgreSQL is made with its lease, and taken back. The two calls count as one. What PostgreSQL itself spends is not counted.
- `restart-100k-leases`: from starting the program on a store with 100,000 live leases until it has answered what it knows of one of them, in milliseconds. The leases
  are given by the vault's own step, sealed and committed as always; that all of them are there is counted after each start.
- `subject-keys-1m`: keys of people, read from a store of 1,000,000 and unwrapped, at random, in one process on one thread. `limit` is the same with 1,000 people:
  with a cost that does not grow, both are equal.

**Published by others, not measured here** (no server of theirs can be installed by name):

| Server | What | Figure | Conditions |
|---|---|---|---|
| OpenBao 2.0.2 | KV v2 read | 27,385 requests/s, mean 1.10 ms | 32 workers on loopback, hardware unstated (the host's name suggests 16 cores); openbao#634 |
| OpenBao 2.0.2 | KV v2 write | 139 requests/s, mean 228 ms, p99 668 ms | the same |
| OpenBao 2.5.1 | KV v1, 500 requests/s, 90 % reads | reads mean 5.75 ms, p99 36.9 ms; writes mean 58 ms, p99 239 ms | three nodes on Azure, 30 to 35 % CPU each; OpenBao's blog, 2026-03-25 |
| Vault | transit | mean 1.63 s, p99 5.5 s | five replicas on AKS, 1,300 workers; docs.edgeless.systems |

None says what CPU time a request cost, so none can be held against the values here.";

/// Connections of every case over HTTP.
const CONNECTIONS: usize = 16;
/// How long connections, caches and code of each row are warmed up before a run counts.
const WARM_UP: Duration = Duration::from_millis(500);
const UNIT: &str = "req/cpu-s";

const KV: [&str; 2] = ["kv-read", "kv-write"];
const TRANSIT: [&str; 2] = ["transit-encrypt", "transit-batch"];
const DYNAMIC: &str = "dynamic-credential";
const RESTART: &str = "restart-100k-leases";
const PEOPLE: &str = "subject-keys-1m";

async fn measure(subjects: &Subjects, effort: Effort) -> Result<Vec<Row>, Failed> {
    let mut columns = Columns::default();
    let mut envelopes = envelope_lanes()?;
    alternate(subjects, effort, &mut envelopes, &mut columns).await;
    if wants(subjects, &KV) || wants(subjects, &TRANSIT) || subjects.wants(DYNAMIC) {
        progress("starting the servers");
        let mut lanes = served_lanes(subjects).await;
        alternate(subjects, effort, &mut lanes, &mut columns).await;
    }
    if subjects.wants(RESTART) {
        progress("giving leases");
        let starts = leases::starts(&subjects.server, effort.leases).await;
        for number in 1..=effort.runs {
            let run = starts.run().await;
            say(number, effort, RESTART, "countersign", &run);
            columns.add(RESTART, "countersign", "ms", run);
        }
    }
    if subjects.wants(PEOPLE) {
        progress("making keys of people");
        let mut lanes = people::lanes(PEOPLE, effort.subject_keys).await;
        alternate(subjects, effort, &mut lanes, &mut columns).await;
    }
    Ok(columns.rows())
}

fn wants(subjects: &Subjects, cases: &[&str]) -> bool {
    cases.iter().any(|case| subjects.wants(case))
}

fn envelope_lanes() -> Result<Vec<Lane>, Failed> {
    let mut lanes = Vec::new();
    for (case, direction, bytes) in [
        ("seal-64b", Direction::Seal, 64),
        ("open-64b", Direction::Open, 64),
        ("seal-1mib", Direction::Seal, 1024 * 1024),
        ("open-1mib", Direction::Open, 1024 * 1024),
    ] {
        let (ours, raw) = (Message::new(bytes)?, Message::new(bytes)?);
        lanes.push(Lane::here(case, "countersign", move |duration| {
            ours.enveloped(direction, duration)
        }));
        lanes.push(Lane::here(case, "limit", move |duration| {
            raw.raw(direction, duration)
        }));
    }
    Ok(lanes)
}

/// The cases that go to a server, ours and the peer's.
async fn served_lanes(subjects: &Subjects) -> Vec<Lane> {
    let mut lanes = match Place::ours(&subjects.server).await {
        Ok(ours) => {
            let mut lanes = Vec::new();
            for (case, engine) in [
                (KV[0], Engine::Read),
                (KV[1], Engine::Write),
                (TRANSIT[0], Engine::Encrypt),
                (TRANSIT[1], Engine::Batch),
            ] {
                let lane = Lane::requests(case, ours.running(), ours.scripts(engine));
                lanes.push(match engine {
                    Engine::Batch => lane.of_batches(BATCH),
                    Engine::Encrypt | Engine::Read | Engine::Write => lane,
                });
            }
            if subjects.wants(DYNAMIC) {
                let prepared = database::scripts(&ours, subjects).await;
                lanes.push(Lane::prepared(DYNAMIC, ours.running(), prepared));
            }
            lanes
        }
        Err(problem) => KV
            .into_iter()
            .chain(TRANSIT)
            .chain([DYNAMIC])
            .map(|case| Lane::absent(case, "countersign", &problem))
            .collect(),
    };
    if wants(subjects, &KV) {
        let theirs = async { Place::theirs(Foreign::rusty_vault(&subjects.peers).await?).await };
        match theirs.await {
            Ok(theirs) => {
                let read = theirs.scripts(Engine::Read);
                let write = theirs.scripts(Engine::Write);
                lanes.push(Lane::requests(KV[0], theirs.running(), read));
                lanes.push(Lane::requests(KV[1], theirs.running(), write));
            }
            Err(problem) => {
                lanes.extend(KV.map(|case| Lane::absent(case, RUSTY_VAULT, &problem)));
            }
        }
    }
    lanes
}

/// The runs of these rows in turn.
async fn alternate(
    subjects: &Subjects,
    effort: Effort,
    lanes: &mut Vec<Lane>,
    columns: &mut Columns,
) {
    lanes.retain(|lane| subjects.wants(lane.case));
    for lane in &mut *lanes {
        progress(&format!("warming up {} of {}", lane.case, lane.subject));
        // Why it fails is said by its first run.
        let _warm = lane.run(WARM_UP.min(effort.duration)).await;
    }
    for number in 1..=effort.runs {
        for lane in &mut *lanes {
            let run = lane.run(effort.duration).await;
            say(number, effort, lane.case, &lane.subject, &run);
            columns.add(lane.case, &lane.subject, lane.unit, run);
        }
    }
}

fn say(number: usize, effort: Effort, case: &str, subject: &str, run: &Result<Run, Failed>) {
    let came = match run {
        Ok(run) => format!("{:.0}", run.value),
        Err(problem) => problem.to_string(),
    };
    let runs = effort.runs;
    progress(&format!(
        "run {number} of {runs}: {case}, {subject}: {came}"
    ));
}

/// Said while it goes on, beside the results on standard output.
fn progress(text: &str) {
    eprintln!("keys: {text}");
}
