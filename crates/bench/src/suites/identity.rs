//! `identity`: what the authorization server costs, case by case, each answer checked, beside servers by others.

mod limits;
mod million;
mod ours;
mod place;
mod scripts;

use super::{Columns, Effort, Measured, Subjects, Suite};
use crate::Failed;
use crate::clients::{AUDIENCE, SCOPE, now};
use crate::peers::{GLEWLWYD, GLEWLWYD_CLIENT, Glewlwyd, OIDC_PROVIDER, Peer};
use crate::report::{Row, Run};
use crate::running::{Running, measure as measured};
use place::{Place, Scripts};
use std::sync::Arc;
use std::time::Duration;

pub(super) const SUITE: Suite = Suite {
    name: "identity",
    about: ABOUT,
    measure: |subjects, effort| -> Measured<'_> { Box::pin(measure(subjects, effort)) },
};

const ABOUT: &str = "\
Sixteen kept connections (TLS 1.3, HTTP/1.1) on loopback, one load generator for all. A value is answers per second of the server's own CPU time (user and
system, all its threads), which stays comparable whatever else the machine does. The runs of all rows alternate. Every answer is checked: issuer, audience,
client, scope, subject, expiry and a `jti` of its own, and the signature of one in sixteen; a wrong answer fails its row.

What is compared is not the same work. Countersign decides each request by the shipped policies and writes its event durably (SQLite, `synchronous=FULL`)
before it answers; oidc-provider (one Node process) keeps everything in memory, decides by no policy and records nothing; Glewlwyd (SQLite, its defaults)
decides by no policy and inserts a row for each token.

- `cc-secret-es256`, `cc-private-key-jwt`: client credentials for a JWT signed with ES256. `limit` is the cryptography alone, on one thread: one signature; one
  verification of the client's assertion and one signature.
- `refresh`: sixteen families of refresh tokens, each refreshed again and again with rotation.
- `introspect-opaque`: a resource server asks about a thousand opaque tokens of another client, at random. The event of an introspection is queued, not awaited.
- `code-flow`: a person who is signed in, `/authorize` and `/token` with PKCE; access, ID and refresh token. The two requests count as one.
- `exchange`: a service exchanges a person's token for one of another audience, in which it stands as `act` (RFC 8693).
- `cc-1m-grants`: `cc-secret-es256` by sixteen clients in a store with 1,000,000 active grants, each with its refresh tokens, and 100,000 clients, while 100,000
  further grants come due to be swept. `rss-1m-grants`: resident memory of that server after each run.";

/// Connections of every case.
const CONNECTIONS: usize = 16;
/// Opaque tokens that are asked about.
const OPAQUE_TOKENS: usize = 1000;
/// How long connections, caches and code of each row are warmed up before a run counts.
const WARM_UP: Duration = Duration::from_millis(500);
const UNIT: &str = "req/cpu-s";

/// One row while it is measured: which server, and what its connections do next; or why it cannot be.
struct Lane {
    case: &'static str,
    subject: String,
    unit: &'static str,
    load: Result<(Arc<dyn Running>, Scripts), String>,
}

impl Lane {
    fn new(case: &'static str, place: &Place, scripts: Result<Scripts, Failed>) -> Self {
        let running = Arc::clone(place.running());
        Self {
            case,
            subject: running.subject(),
            unit: if case == "code-flow" {
                "flow/cpu-s"
            } else {
                UNIT
            },
            load: scripts
                .map(|scripts| (running, scripts))
                .map_err(|problem| problem.to_string()),
        }
    }

    fn absent(case: &'static str, subject: &str, reason: &str) -> Self {
        Self {
            case,
            subject: subject.to_owned(),
            unit: UNIT,
            load: Err(reason.to_owned()),
        }
    }

    /// One run. After a failure there is no other.
    async fn run(&mut self, duration: Duration) -> Result<Run, Failed> {
        let (running, scripts) = std::mem::replace(&mut self.load, Err(String::new()))
            .inspect_err(|reason| self.load = Err(reason.clone()))?;
        match measured(running.as_ref(), scripts, duration).await {
            Ok((run, scripts)) => {
                self.load = Ok((running, scripts));
                Ok(run)
            }
            Err(problem) => {
                self.load = Err(problem.to_string());
                Err(problem)
            }
        }
    }
}

async fn measure(subjects: &Subjects, effort: Effort) -> Result<Vec<Row>, Failed> {
    progress("starting the servers");
    let mut lanes = our_lanes(&ours::start(&subjects.server).await?).await;
    progress("filling a store");
    lanes.push(filled_lane(subjects).await);
    lanes.extend(oidc_provider_lanes(subjects).await);
    lanes.push(glewlwyd_lane(subjects).await);
    for lane in &mut lanes {
        progress(&format!("warming up {} of {}", lane.case, lane.subject));
        // Why it fails is said by its first run.
        let _warm = lane.run(WARM_UP).await;
    }
    let mut columns = Columns::default();
    for number in 1..=effort.runs {
        for lane in &mut lanes {
            let run = lane.run(effort.duration).await;
            say(number, effort, lane.case, &lane.subject, &run);
            let memory = (lane.case == FILLED).then(|| memory(&run));
            columns.add(lane.case, &lane.subject, lane.unit, run);
            if let Some(memory) = memory {
                columns.add(FILLED_MEMORY, &lane.subject, "MiB", memory);
            }
        }
        for (case, limit) in LIMITS {
            let run = limit(effort.duration / 4);
            say(number, effort, case, "limit", &run);
            columns.add(case, "limit", UNIT, run);
        }
    }
    Ok(columns.rows())
}

const FILLED: &str = "cc-1m-grants";
const FILLED_MEMORY: &str = "rss-1m-grants";

async fn filled_lane(subjects: &Subjects) -> Lane {
    match million::start(&subjects.server).await {
        Ok(place) => Lane::new(
            FILLED,
            &place,
            place.client_credentials_each(million::asking),
        ),
        Err(problem) => Lane::absent(FILLED, "countersign", &problem.to_string()),
    }
}

/// The memory that a run left behind, as a run of its own.
fn memory(run: &Result<Run, Failed>) -> Result<Run, Failed> {
    let run = run.as_ref().map_err(ToString::to_string)?;
    let value = run.rss_mib.ok_or("no memory was measured")?;
    Ok(Run {
        value,
        p50_us: None,
        p99_us: None,
        rss_mib: Some(value),
        rate: None,
    })
}

type Limit = fn(Duration) -> Result<Run, Failed>;

const LIMITS: [(&str, Limit); 2] = [
    ("cc-secret-es256", limits::signature),
    ("cc-private-key-jwt", limits::assertion),
];

async fn our_lanes(place: &Place) -> Vec<Lane> {
    let mut lanes = common_lanes(place).await;
    lanes.push(Lane::new("exchange", place, place.exchanges().await));
    lanes
}

/// The cases that every complete server has.
async fn common_lanes(place: &Place) -> Vec<Lane> {
    vec![
        Lane::new(
            "cc-secret-es256",
            place,
            place.client_credentials("with-secret", AUDIENCE),
        ),
        Lane::new(
            "cc-private-key-jwt",
            place,
            place.client_credentials("with-key", AUDIENCE),
        ),
        Lane::new("refresh", place, place.refresh().await),
        Lane::new("introspect-opaque", place, place.introspections().await),
        Lane::new("code-flow", place, place.code_flow().await),
    ]
}

async fn oidc_provider_lanes(subjects: &Subjects) -> Vec<Lane> {
    let started = Peer::oidc_provider(&subjects.peers, now()).await;
    let place = match started {
        Ok(peer) => {
            let (credentials, person) = (peer.credentials(), peer.person());
            Place::new(Arc::new(peer), credentials, person).await
        }
        Err(problem) => Err(problem),
    };
    match place {
        Ok(place) => {
            let mut lanes = common_lanes(&place).await;
            let subject = place.running().subject();
            let reason = "not run: it has no token exchange (RFC 8693)";
            lanes.push(Lane::absent("exchange", &subject, reason));
            lanes
        }
        Err(problem) => [
            "cc-secret-es256",
            "cc-private-key-jwt",
            "refresh",
            "introspect-opaque",
            "code-flow",
        ]
        .into_iter()
        .map(|case| Lane::absent(case, OIDC_PROVIDER, &problem.to_string()))
        .collect(),
    }
}

async fn glewlwyd_lane(subjects: &Subjects) -> Lane {
    const CASE: &str = "cc-secret-es256";
    let place = match Glewlwyd::start(&subjects.peers, now()).await {
        Ok(peer) => {
            let (credentials, nobody) = (peer.credentials(), million::nobody());
            Place::new(Arc::new(peer), credentials, nobody).await
        }
        Err(problem) => Err(problem),
    };
    match place {
        // It puts the scope into `aud`.
        Ok(place) => Lane::new(
            CASE,
            &place,
            place.client_credentials(GLEWLWYD_CLIENT, SCOPE),
        ),
        Err(problem) => Lane::absent(CASE, GLEWLWYD, &problem.to_string()),
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
    eprintln!("identity: {text}");
}
