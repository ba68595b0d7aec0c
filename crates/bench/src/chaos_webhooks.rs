//! The crash test of webhooks: the real program and the receivers are killed (`kill -9`) at random instants, also at the very moment of an answer, while messages are
//! published and webhooks come in; then they are started again.
//!
//! Every message that was acknowledged comes to every endpoint, and every webhook that was answered 2xx to the service behind the gateway, at least once and always under
//! its one id; an endpoint that asked for order gets the messages of each key in theirs. Receivers refuse some deliveries and leave some without an answer. What was
//! under way at a crash is sent again, or given up and may come or not. At the end every check is shown a ledger that lies, and has to say so.

mod journal;
mod ledger;
pub mod receiver;
mod receivers;
mod whereabouts;
mod workers;

use crate::Failed;
use crate::admin::Admin;
use crate::chaos::sync_order::{Answer, Watch};
use crate::chaos::tally::Tallies;
use crate::chaos::{Ground, Signal};
use crate::load::Destination;
use crate::server::Server;
use crate::zipf::Dice;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use ledger::{Ledger, Place, falsified};
use receivers::Receivers;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::process::Child;
use tokio::sync::watch;
use workers::{Line, Part, Provider, Shared, Way};

const COMES: &str = "every message that was acknowledged comes to every endpoint";
const FALSE: &str = "each check tells a ledger that lies";
const IDS: &str = "a message has one id, however often it comes";
const INSIDE: &str = "every webhook that was answered 2xx comes to the service";
const LOG: &str = "the audit log verifies";
const ORDER: &str = "where order is promised, the messages of a key come in theirs";
const SIGNED: &str = "whatever comes is signed for its place, and to the service with its key";
const SYNCED: &str = "a webhook is answered after the sync of what it promises";
const WORK: &str = "no message is refused before the crash";

/// Every check. One that never ran fails the crash test.
const NAMES: &[&str] = &[COMES, FALSE, IDS, INSIDE, LOG, ORDER, SIGNED, SYNCED, WORK];

/// Where messages come as they come.
const ANYHOW: &str = "/anyhow";
/// Where they come in the order of their keys.
const ORDERED: &str = "/ordered";
/// The service behind the gateway.
const SERVICE: &str = "/service";
/// Workers of each way.
const WORKERS: usize = 3;
/// How long it may take until the next of what was acknowledged comes, once everything is up: longer than any pause of the schedule, a lease, and a circuit breaker that is open.
const NEXT_WITHIN: Duration = Duration::from_secs(120);
/// How often it is looked what has come.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Webhooks that are sent in while the kernel is watched.
const WATCHED: usize = 12;

/// A run.
struct Run {
    ground: Ground,
    receivers: Receivers,
    tallies: Arc<Tallies>,
    acknowledged: Arc<AtomicU64>,
    /// The provider's secret.
    secret: String,
}

/// Runs for about `minutes`, and then until what was acknowledged has come, and says whether everything held.
///
/// # Errors
/// When the program cannot be started or prepared at all.
pub async fn run(program: &Path, minutes: f64, seed: Option<u64>) -> Result<bool, Failed> {
    let seed = seed.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(1, |since| u64::from(since.subsec_nanos()))
    });
    println!("chaos-webhooks: seed {seed}");
    let mut dice = Dice::new(seed);
    let run = Run::prepare(program)?;
    let mut child = run.receivers.start().await?;
    let mut server = run.ground.start().await?;
    run.endpoints(&server).await?;
    let mut parts = parts();
    let begun = Instant::now();
    let lasts = Duration::from_secs_f64(minutes * 60.0);
    let (mut crashes, mut falls) = (0, 0);
    while begun.elapsed() < lasts || crashes < 2 {
        crashes += 1;
        (server, parts) = run.life(server, parts, &mut dice).await?;
        if dice.next().is_multiple_of(3) {
            falls += 1;
            let away = Duration::from_millis(dice.next() % 1500);
            child = run.receivers.fall(child, away).await?;
        }
    }
    let synced = run.answers_follow_syncs(&server).await;
    run.tallies.check(SYNCED, synced);
    run.at_the_end(server, child, &parts).await?;
    Ok(run.summary(crashes, falls, &parts))
}

fn parts() -> Vec<Part> {
    let of = |way, name: &'static str| {
        (0..WORKERS).map(move |number| Part::new(format!("{name}{number}"), way))
    };
    of(Way::Out, "out").chain(of(Way::In, "in")).collect()
}

fn ledger(parts: &[Part], way: Way) -> Ledger {
    let parts = parts.iter().filter(|part| part.way == way);
    parts.map(|part| (part.key.clone(), part.known())).collect()
}

impl Run {
    fn prepare(program: &Path) -> Result<Self, Failed> {
        let ground = Ground::new(program)?;
        let (receivers, authority) = Receivers::prepare(ground.home())?;
        let secret = secret();
        ground.configure("provider.secret", &secret)?;
        ground.also(&configuration(&receivers, &authority))?;
        Ok(Self {
            ground,
            receivers,
            tallies: Arc::default(),
            acknowledged: Arc::default(),
            secret,
        })
    }

    async fn admin(&self, server: &Server) -> Result<Admin, Failed> {
        let control = Destination::new(&server.addresses.control, &server.roots()?)?;
        Admin::connect(&control, &self.ground.data()).await
    }

    async fn provider(&self, server: &Server) -> Result<Provider, Failed> {
        let gateway = Destination::new(&server.addresses.gateway, &server.roots()?)?;
        Provider::connect(&gateway, &self.secret).await
    }

    /// An event type, and two endpoints that want it.
    async fn endpoints(&self, server: &Server) -> Result<(), Failed> {
        let mut admin = self.admin(server).await?;
        let kind = json!({
            "name": "chaos.message", "description": "a message of the crash test", "schema": { "type": "object" },
        });
        admin
            .must(&Method::POST, "webhooks/event-types", &kind)
            .await?;
        for (place, order) in [(ANYHOW, "any"), (ORDERED, "per_key")] {
            let endpoint = json!({
                "partner": "chaos",
                "url": self.receivers.url(place),
                "events": ["chaos.*"],
                "order": order,
                // Seconds, where the usual pauses are minutes and hours.
                "retries": "service",
            });
            let added = admin
                .must(&Method::POST, "webhooks/endpoints", &endpoint)
                .await?;
            let secret = added.text("/secret").ok_or("no secret")?;
            self.receivers.knows(place, &secret)?;
        }
        Ok(())
    }

    /// Loads the server, kills it at some moment or at an answer, and starts it again on the same data.
    async fn life(
        &self,
        server: Server,
        parts: Vec<Part>,
        dice: &mut Dice,
    ) -> Result<(Server, Vec<Part>), Failed> {
        let (stop, signal) = watch::channel(Signal::Go);
        let shared = Shared {
            tallies: Arc::clone(&self.tallies),
            signal,
            acknowledged: Arc::clone(&self.acknowledged),
        };
        let mut workers = Vec::new();
        for part in parts {
            let line = match part.way {
                Way::In => Line::In(self.provider(&server).await?),
                Way::Out => Line::Out(Box::new(self.admin(&server).await?)),
            };
            let dice = Dice::new(dice.next());
            workers.push(tokio::spawn(part.work(line, dice, shared.clone())));
        }
        self.moment(dice).await;
        let at = Instant::now();
        server.kill().await?;
        stop.send_replace(Signal::Stop);
        let mut parts = Vec::new();
        for worker in workers {
            let (part, broke) = tokio::time::timeout(Duration::from_secs(90), worker).await??;
            // What broke before the kill was no crash.
            if let Some((broke, error)) = broke
                && broke < at
            {
                self.tallies.check(WORK, Err(error));
            }
            parts.push(part);
        }
        self.tallies.check(LOG, self.ground.verify_log().await);
        Ok((self.ground.start().await?, parts))
    }

    /// Waits for a moment to kill at: any, or as soon as one more message is acknowledged.
    async fn moment(&self, dice: &mut Dice) {
        tokio::time::sleep(Duration::from_millis(200 + dice.next() % 2500)).await;
        if dice.next().is_multiple_of(2) {
            return;
        }
        let before = self.acknowledged.load(Ordering::SeqCst);
        let patience = Instant::now() + Duration::from_secs(2);
        while self.acknowledged.load(Ordering::SeqCst) == before && Instant::now() < patience {
            tokio::task::yield_now().await;
        }
    }

    /// Between the arrival of a webhook and its answer, the kernel sees a write to the database and its sync.
    async fn answers_follow_syncs(&self, server: &Server) -> Result<(), Failed> {
        let mut provider = self.provider(server).await?;
        let send = |number| {
            (
                format!("watched-{number}"),
                json!({ "key": "watched", "number": number }),
            )
        };
        let (id, body) = send(0);
        provider.send(&id, &body).await?;
        let watch = Watch::attach(server.pid()?, "webhooks").await?;
        for number in 1..=WATCHED {
            let (id, body) = send(number);
            let status = provider.send(&id, &body).await?;
            if status != 202 {
                return Err(format!("{id}: status {status}").into());
            }
        }
        let answers = watch.detach().await?;
        let synced = answers.iter().filter(|answer| **answer == Answer::Synced);
        let synced = synced.count();
        if synced < WATCHED {
            return Err(format!("only {synced} of {WATCHED} answers left after a sync").into());
        }
        Ok(())
    }

    /// Waits until everything has come, and judges what came.
    async fn at_the_end(&self, server: Server, child: Child, parts: &[Part]) -> Result<(), Failed> {
        let (out, mut inside) = (ledger(parts, Way::Out), ledger(parts, Way::In));
        let watched = inside.entry("watched".to_owned()).or_default();
        let numbers = (0..=u64::try_from(WATCHED)?).map(|number| (number, None));
        watched.acknowledged.extend(numbers);
        self.all_come(&out, &inside).await?;
        server.stop().await?;
        self.tallies.check(LOG, self.ground.verify_log().await);
        drop(child);
        let taken = self.receivers.taken()?;
        let [anyhow, ordered, service] =
            [ANYHOW, ORDERED, SERVICE].map(|name| Place::of(name, &taken));
        for (place, ledger, comes) in [
            (&anyhow, &out, COMES),
            (&ordered, &out, COMES),
            (&service, &inside, INSIDE),
        ] {
            self.tallies.count(comes, place.whole(ledger));
            self.tell_of_missing(place, ledger).await?;
            self.tallies.count(IDS, place.same_ids(ledger));
            self.tallies.count(SIGNED, place.signed());
            self.told(comes, place.whole(&falsified(ledger)));
            self.told(IDS, place.same_ids(&Ledger::default()));
        }
        self.tallies.count(ORDER, ordered.in_order());
        let backwards: Vec<_> = taken.iter().rev().cloned().collect();
        self.told(ORDER, Place::of(ORDERED, &backwards).in_order());
        for place in [anyhow, ordered, service] {
            println!(
                "chaos-webhooks: {}: {} deliveries, {} of them again",
                place.name,
                place.taken.len(),
                place.duplicates()
            );
        }
        Ok(())
    }

    /// Waits until everything has come, or nothing more does.
    async fn all_come(&self, out: &Ledger, inside: &Ledger) -> Result<(), Failed> {
        let begun = Instant::now();
        let (mut least, mut patience) = (usize::MAX, begun + NEXT_WITHIN);
        loop {
            let missing = missing(&self.receivers.taken()?, out, inside);
            if missing == 0 || Instant::now() >= patience {
                println!(
                    "chaos-webhooks: {:.0} s after the last crash, {missing} have not come",
                    begun.elapsed().as_secs_f64()
                );
                return Ok(());
            }
            if missing < least {
                (least, patience) = (missing, Instant::now() + NEXT_WITHIN);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Says where the program has the messages that did not come.
    async fn tell_of_missing(&self, place: &Place<'_>, ledger: &Ledger) -> Result<(), Failed> {
        let ids: Vec<String> = place
            .missing(ledger)
            .into_iter()
            .filter_map(|(key, number)| ledger.get(&key)?.acknowledged.get(&number)?.clone())
            .collect();
        if !ids.is_empty() {
            let told = whereabouts::told(&self.ground.data(), &ids).await?;
            println!("chaos-webhooks: {}: {told}", place.name);
        }
        Ok(())
    }

    fn told<T>(&self, name: &str, result: Result<T, Failed>) {
        let told = match result {
            Ok(_) => Err(format!("`{name}` holds of a ledger that lies").into()),
            Err(_) => Ok(()),
        };
        self.tallies.check(FALSE, told);
    }

    fn summary(&self, crashes: u32, falls: u32, parts: &[Part]) -> bool {
        let (passed, failed) = self.tallies.summary(NAMES);
        let sum = |way| {
            let of_it = parts.iter().filter(|part| part.way == way);
            of_it
                .map(|part| part.known().acknowledged.len())
                .sum::<usize>()
        };
        println!(
            "chaos-webhooks: {crashes} crashes of the server, {falls} of the receivers; {} messages out, {} webhooks in",
            sum(Way::Out),
            sum(Way::In)
        );
        println!("chaos-webhooks: {passed} passed, {failed} failed, 0 skipped");
        failed == 0
    }
}

/// How many of what was acknowledged have not come where they belong.
fn missing(taken: &[journal::Taken], out: &Ledger, inside: &Ledger) -> usize {
    [(ANYHOW, out), (ORDERED, out), (SERVICE, inside)]
        .into_iter()
        .map(|(name, ledger)| Place::of(name, taken).missing(ledger).len())
        .sum()
}

/// A new secret as Standard Webhooks writes it.
fn secret() -> String {
    let bytes: [u8; 32] = countersign_crypto::random::Random::system().bytes();
    format!("whsec_{}", STANDARD.encode(bytes))
}

/// The receivers' authority and address, a source of webhooks, and the route that they come in by.
fn configuration(receivers: &Receivers, authority: &Path) -> String {
    let (authority, service) = (authority.display(), receivers.url(""));
    format!(
        r#"
[egress]
ca = "{authority}"
allow = ["localhost"]

[[upstreams]]
name = "service"
url = "{service}"
ca = "{authority}"

[[webhook_sources]]
name = "provider"
scheme = "standard-webhooks"
secrets = [{{ file = "provider.secret" }}]
deliver = {{ upstream = "service", path = "{SERVICE}" }}

[[routes]]
name = "in"
path = "/in"
webhook = "provider"
"#
    )
}
