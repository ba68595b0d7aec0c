//! Webhooks that come in, in a whole process over real TLS: every way to forge one is refused under its own name, and its twin without the flaw is taken in; what came
//! once is known after a restart and at another node.

#![expect(clippy::unwrap_used, reason = "tests")]

mod started;

use countersign::run::Running;
use countersign_audit::Code;
use countersign_base::{Secret, UnixTime};
use countersign_crypto::Random;
use countersign_crypto::digest::{HashAlgorithm, sha256};
use countersign_crypto::hmac::HmacKey;
use countersign_store::audit::tail;
use countersign_store::tables::webhook_messages;
use countersign_testkit::{Answer, FakeClock, system_clock};
use countersign_wire::webhook::standard::{self, SigningSecret};
use http::Method;
use serde_json::Value;
use sqlx::Connection as _;
use started::{caller, parsed, started, url};
use std::os::unix::fs::DirBuilderExt as _;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use url::Url;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const SECRET_BEFORE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const WRONG: &str = "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH";
/// What GitHub's documentation signs, and with what ("Validating webhook deliveries").
const GITHUB: &str = "It's a Secret to Everybody";
const GITHUB_BODY: &str = "Hello, World!";
const GITHUB_SIGNATURE: &str =
    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
const SLACK: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const CHALLENGE: &str = r#"{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}"#;
const BODY: &str = r#"{"type":"invoice.paid","data":{"id":"in_1"}}"#;

const CONFIGURATION: &str = r#"
[[upstreams]]
name = "billing"
url = "https://localhost:1"

[[webhook_sources]]
name = "billing-provider"
scheme = "standard-webhooks"
secrets = [{ file = "new.secret" }, { file = "old.secret" }]
deliver = { upstream = "billing", path = "/webhooks" }

[[webhook_sources]]
name = "forge"
scheme = "github"
secrets = [{ file = "github.secret" }]
deliver = { upstream = "billing", path = "/webhooks/forge" }

[[webhook_sources]]
name = "chat"
scheme = "slack"
secrets = [{ file = "slack.secret" }]
deliver = { upstream = "billing", path = "/webhooks/chat" }

[[routes]]
name = "chat-hooks"
path = "/hooks/chat"
webhook = "chat"

[[routes]]
name = "hooks"
path = "/hooks/billing"
webhook = "billing-provider"

[[routes]]
name = "forge-hooks"
path = "/hooks/forge"
webhook = "forge"
"#;

/// A process with the receiver, and its directory.
struct Hooks {
    running: Running,
    directory: TempDir,
}

type Fields = Vec<(&'static str, String)>;

impl Hooks {
    async fn start(clock: countersign_base::Clock) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), None, clock).await
    }

    async fn start_in(
        directory: TempDir,
        store: Option<&str>,
        clock: countersign_base::Clock,
    ) -> Self {
        for (name, text) in [
            ("new.secret", SECRET),
            ("old.secret", SECRET_BEFORE),
            ("github.secret", GITHUB),
            ("slack.secret", SLACK),
        ] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let config = parsed(directory.path(), CONFIGURATION);
        Self {
            running: started(directory.path(), config, store, clock).await,
            directory,
        }
    }

    async fn restart(self, clock: countersign_base::Clock) -> Self {
        let Self { running, directory } = self;
        running.stop(Code::of("test")).await;
        Self::start_in(directory, None, clock).await
    }

    async fn end(self) {
        self.running.stop(Code::of("test")).await;
    }

    fn now(&self) -> UnixTime {
        self.running.fabric().now()
    }

    async fn post_to(&self, path: &str, fields: &Fields, body: &str) -> Answer {
        let url = url(self.running.bound().gateway.port(), path);
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let caller = caller(&self.running, None);
        caller
            .send(Method::POST, &url, &fields, body.to_owned())
            .await
    }

    /// The status of a webhook of the billing provider.
    async fn post(&self, fields: &Fields, body: &str) -> u16 {
        let answer = self.post_to("/hooks/billing", fields, body).await;
        answer.status.as_u16()
    }

    /// How many records of this kind have these members.
    async fn records(&self, kind: &str, members: &[(&str, &str)]) -> usize {
        let log = self.running.fabric().audit();
        log.published().await.unwrap();
        let (records, _) = tail(log.directory(), 0).unwrap();
        let records = records
            .iter()
            .map(|(_, record)| serde_json::to_value(record).unwrap());
        let fits = |record: &Value| {
            let detail = &record["detail"];
            let mut all = members.iter();
            record["kind"] == kind && all.all(|(name, value)| detail[*name] == *value)
        };
        records.filter(fits).count()
    }

    /// How often a webhook of the billing provider was refused for this.
    async fn refused(&self, reason: &str) -> usize {
        let members = [
            ("reason", reason),
            ("route", "hooks"),
            ("source", "billing-provider"),
        ];
        self.records("webhook.refused", &members).await
    }

    /// Refused under this name, which was recorded for it.
    async fn is_refused(&self, fields: &Fields, body: &str, status: u16, reason: &str) {
        let before = self.refused(reason).await;
        let answer = self.post_to("/hooks/billing", fields, body).await;
        assert_eq!(answer.status.as_u16(), status, "{reason}: {}", answer.text);
        assert!(!answer.text.contains(reason), "{}", answer.text);
        let soon = Instant::now() + Duration::from_secs(20);
        while self.refused(reason).await == before {
            assert!(Instant::now() < soon, "`{reason}` is not in the log");
            tokio::task::yield_now().await;
        }
        assert_eq!(self.refused(reason).await, before + 1, "{reason}");
    }

    /// So many were taken in, each with the record of its decision.
    async fn has_taken(&self, times: usize) {
        let taken = [
            ("decision", "allowed"),
            ("surface", "webhook"),
            ("route", "hooks"),
            ("action", "receive_webhook"),
        ];
        self.has_recorded("decision", &taken, times).await;
    }

    /// There are so many records of this kind with these members, and not one more.
    async fn has_recorded(&self, kind: &str, members: &[(&str, &str)], times: usize) {
        let soon = Instant::now() + Duration::from_secs(20);
        while self.records(kind, members).await < times {
            assert!(
                Instant::now() < soon,
                "{kind} {members:?} is not in the log"
            );
            tokio::task::yield_now().await;
        }
        assert_eq!(self.records(kind, members).await, times);
    }

    /// An attempt as the provider makes it.
    fn attempt(&self, id: &str) -> Fields {
        signed(SECRET, id, self.now(), BODY)
    }
}

/// The fields of an attempt.
fn signed(secret: &str, id: &str, at: UnixTime, body: &str) -> Fields {
    let secret = SigningSecret::parse(&Secret::new(secret.to_owned())).unwrap();
    let fields = standard::headers(&[secret], id, at, body.as_bytes()).unwrap();
    let json = ("content-type", "application/json".to_owned());
    fields.into_iter().chain([json]).collect()
}

fn with(mut fields: Fields, name: &'static str, value: Option<&str>) -> Fields {
    fields.retain(|(known, _)| *known != name);
    fields.extend(value.map(|value| (name, value.to_owned())));
    fields
}

fn value(fields: &Fields, name: &str) -> String {
    let found = fields.iter().find(|(known, _)| *known == name);
    found.unwrap().1.clone()
}

type Forgery = (&'static str, Fields, &'static str);

/// What differs from a good attempt at `BODY` in the signature alone, and what each is refused as.
fn wrong_signatures(good: &Fields, now: UnixTime) -> Vec<Forgery> {
    let good = || good.clone();
    let (signature, before) = (standard::SIGNATURE, format!("{}", now.0 - 1));
    let stripe = format!("t={now},v1={}", "0".repeat(64));
    let twice = [good(), vec![(signature, value(&good(), signature))]].concat();
    let stripped = with(good(), signature, None);
    let stripes = with(stripped.clone(), "stripe-signature", Some(&stripe));
    let both = with(good(), "stripe-signature", Some(&stripe));
    let moved = with(good(), standard::TIMESTAMP, Some(&before));
    let renamed = with(good(), standard::ID, Some("msg_other"));
    let empty = with(good(), signature, Some("v1,"));
    let wrong = signed(WRONG, "msg_good", now, BODY);
    vec![
        ("wrong secret", wrong, "signature_wrong"),
        ("moved timestamp", moved, "signature_wrong"),
        ("other id", renamed, "signature_wrong"),
        ("stripped signature", stripped, "signature_missing"),
        ("two signatures", twice, "signature_several"),
        ("another scheme's header", stripes, "scheme_other"),
        ("another scheme's beside it", both, "scheme_other"),
        ("no signature in it", empty, "signature_malformed"),
    ]
}

/// The same of its other fields.
fn wrong_fields(good: &Fields) -> Vec<Forgery> {
    let without = |name| with(good.clone(), name, None);
    let soon = with(good.clone(), standard::TIMESTAMP, Some("soon"));
    vec![
        ("no time", without(standard::TIMESTAMP), "timestamp_missing"),
        ("no number of seconds", soon, "timestamp_malformed"),
        ("no id", without(standard::ID), "id_missing"),
    ]
}

/// The rules for webhooks change with the configuration, and not with one that is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_changes_schedules_and_what_is_kept() {
    let hooks = Hooks::start(system_clock()).await;
    let rules = || hooks.running.fabric().webhook_rules();
    assert!(!rules().schedules.knows("patient"));
    let own = format!(
        "{CONFIGURATION}\n[webhooks]\nkept = {{ dead = \"90d\" }}\n[webhooks.schedules]\npatient = [\"1m\"]\n"
    );
    let dir = hooks.directory.path();
    hooks.running.reload(&parsed(dir, &own)).await.unwrap();
    let now = rules();
    assert_eq!(now.schedules.named("patient").attempts(), 2);
    assert_eq!(now.kept.dead, Duration::from_secs(90 * 86_400));
    let without = parsed(dir, CONFIGURATION);
    std::fs::remove_file(dir.join("github.secret")).unwrap();
    assert!(hooks.running.reload(&without).await.is_err());
    assert!(rules().schedules.knows("patient"));
    std::fs::write(dir.join("github.secret"), GITHUB).unwrap();
    hooks.running.reload(&without).await.unwrap();
    assert!(!rules().schedules.knows("patient"));
    hooks.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_signed_like_this_is_refused() {
    let hooks = Hooks::start(system_clock()).await;
    let now = hooks.now();
    let good = hooks.attempt("msg_good");
    let forgeries = wrong_signatures(&good, now);
    for (name, fields, reason) in forgeries.into_iter().chain(wrong_fields(&good)) {
        eprintln!("{name}");
        hooks.is_refused(&fields, BODY, 401, reason).await;
    }
    let swapped = BODY.replace("in_1", "in_2");
    hooks
        .is_refused(&good, &swapped, 401, "signature_wrong")
        .await;
    let form = Some("application/x-www-form-urlencoded");
    let form = with(good.clone(), "content-type", form);
    hooks.is_refused(&form, BODY, 415, "media_type").await;
    let long = "a".repeat(256 * 1024 + 1);
    hooks.is_refused(&good, &long, 413, "too_large").await;
    // The twin of all of them.
    assert_eq!(hooks.post(&good, BODY).await, 202);
    hooks.has_taken(1).await;
    hooks.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_secrets_rotate_one_of_two_signatures_in_a_list_is_enough() {
    let hooks = Hooks::start(system_clock()).await;
    let now = hooks.now();
    let old = signed(SECRET_BEFORE, "msg_rotated", now, BODY);
    let unknown = signed(WRONG, "msg_rotated", now, BODY);
    let of = |fields: &Fields| value(fields, standard::SIGNATURE);
    let both = format!("{} {}", of(&unknown), of(&old));
    let neither = format!("{} {}", of(&unknown), of(&unknown));
    let neither = with(old.clone(), standard::SIGNATURE, Some(&neither));
    hooks
        .is_refused(&neither, BODY, 401, "signature_wrong")
        .await;
    let both = with(old, standard::SIGNATURE, Some(&both));
    assert_eq!(hooks.post(&both, BODY).await, 202);
    hooks.has_taken(1).await;
    hooks.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_may_differ_by_the_tolerance_and_not_by_a_second_more() {
    let clock = FakeClock::at(system_clock().now().0);
    let hooks = Hooks::start(clock.clock()).await;
    let now = hooks.now();
    for (skew, expected) in [
        (-301, Err("timestamp_old")),
        (-300, Ok(())),
        (300, Ok(())),
        (301, Err("timestamp_future")),
    ] {
        let fields = signed(SECRET, &format!("msg_{skew}"), UnixTime(now.0 + skew), BODY);
        match expected {
            Ok(()) => assert_eq!(hooks.post(&fields, BODY).await, 202, "{skew}"),
            Err(reason) => hooks.is_refused(&fields, BODY, 401, reason).await,
        }
    }
    hooks.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_once_is_known_after_a_restart() {
    let hooks = Hooks::start(system_clock()).await;
    let first = hooks.attempt("msg_once");
    assert_eq!(hooks.post(&first, BODY).await, 202);
    hooks.is_refused(&first, BODY, 409, "replayed").await;
    // Nothing was let in a second time, and the log says nothing else.
    hooks.has_taken(1).await;
    let hooks = hooks.restart(system_clock()).await;
    hooks.is_refused(&first, BODY, 409, "replayed").await;
    // The provider tries again: signed anew, the same event.
    let again = signed(SECRET, "msg_once", UnixTime(hooks.now().0 - 7), BODY);
    let answer = hooks.post_to("/hooks/billing", &again, BODY).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    let repeated = [("reason", "duplicate"), ("source", "billing-provider")];
    hooks.has_recorded("webhook.repeated", &repeated, 1).await;
    // The same id for another event.
    let other = BODY.replace("in_1", "in_2");
    let reused = signed(SECRET, "msg_once", hooks.now(), &other);
    hooks.is_refused(&reused, &other, 409, "id_reused").await;
    hooks.has_taken(2).await;
    let fresh = signed(SECRET, "msg_twice", hooks.now(), &other);
    assert_eq!(hooks.post(&fresh, &other).await, 202);
    hooks.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_without_times_takes_the_same_once() {
    let hooks = Hooks::start(system_clock()).await;
    let fields = |delivery: &str| -> Fields {
        vec![
            ("content-type", "application/json".to_owned()),
            ("x-github-delivery", delivery.to_owned()),
            ("x-hub-signature-256", GITHUB_SIGNATURE.to_owned()),
        ]
    };
    let post = async |fields: &Fields, body: &str| {
        let answer = hooks.post_to("/hooks/forge", fields, body).await;
        answer.status.as_u16()
    };
    let first = fields("72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_eq!(post(&first, "Hello, World?").await, 401);
    assert_eq!(post(&first, GITHUB_BODY).await, 202);
    // Whoever recorded it can give it another id, which is not signed: it is the same event all the same.
    let renamed = fields("00000000-cc78-11e3-81ab-4c9367dc0958");
    for again in [&first, &renamed] {
        assert_eq!(post(again, GITHUB_BODY).await, 200);
    }
    let repeated = [("reason", "replayed"), ("source", "forge")];
    hooks.has_recorded("webhook.repeated", &repeated, 2).await;
    hooks.end().await;
}

/// A request as Slack signs it.
fn of_slack(secret: &str, at: UnixTime, body: &str) -> Fields {
    let key = HmacKey::new(HashAlgorithm::Sha2_256, secret.as_bytes());
    let tag = key.tag(&[format!("v0:{}:", at.0).as_bytes(), body.as_bytes()]);
    let digits: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        ("content-type", "application/json".to_owned()),
        ("x-slack-request-timestamp", at.0.to_string()),
        ("x-slack-signature", format!("v0={digits}")),
    ]
}

/// Challenges that are not told their word, and what each is refused as.
fn refused_challenges(good: &Fields, now: UnixTime) -> Vec<(Fields, String, &'static str)> {
    let challenge = || CHALLENGE.to_owned();
    let unsigned = with(good.clone(), "x-slack-signature", None);
    let before = format!("{}", now.0 - 1);
    let moved = with(good.clone(), "x-slack-request-timestamp", Some(&before));
    let other = r#"{"type":"url_verification","challenge":"x"}"#.to_owned();
    let word = "a".repeat(257);
    let long = format!(r#"{{"type":"url_verification","challenge":"{word}"}}"#);
    let by_another = of_slack("other", now, CHALLENGE);
    let old = of_slack(SLACK, UnixTime(now.0 - 400), CHALLENGE);
    vec![
        (unsigned, challenge(), "signature_missing"),
        (by_another, challenge(), "signature_wrong"),
        (good.clone(), other, "signature_wrong"),
        (moved, challenge(), "signature_wrong"),
        (old, challenge(), "timestamp_old"),
        (of_slack(SLACK, now, &long), long, "challenge_malformed"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_of_slack_is_answered_when_it_is_signed_and_kept_never() {
    let hooks = Hooks::start(system_clock()).await;
    let now = hooks.now();
    let good = of_slack(SLACK, now, CHALLENGE);
    let mut wrong = 0;
    for (fields, body, reason) in refused_challenges(&good, now) {
        let answer = hooks.post_to("/hooks/chat", &fields, &body).await;
        assert_eq!(answer.status.as_u16(), 401, "{reason}: {}", answer.text);
        assert!(!answer.text.contains("3eZbrw"), "{reason}: {}", answer.text);
        let members = [
            ("reason", reason),
            ("route", "chat-hooks"),
            ("source", "chat"),
        ];
        let times = if reason == "signature_wrong" {
            wrong += 1;
            wrong
        } else {
            1
        };
        hooks.has_recorded("webhook.refused", &members, times).await;
    }
    // The twin of all of them; asked again, the same is told again.
    for times in 1..=2 {
        let answer = hooks.post_to("/hooks/chat", &good, CHALLENGE).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        assert_eq!(
            answer.text,
            "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
        );
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
        let told = [
            ("decision", "allowed"),
            ("route", "chat-hooks"),
            ("detail", "source chat; url_verification"),
        ];
        hooks.has_recorded("decision", &told, times).await;
    }
    let fabric = hooks.running.fabric();
    let mut connection = fabric.store().read().await.unwrap();
    let all = webhook_messages::MessagesOf::default();
    let tenant = countersign_base::Tenant::default_tenant();
    let kept = webhook_messages::heads(&mut connection, &tenant, &all, 10).await;
    assert_eq!(kept.unwrap().rows, []);
    drop(connection);
    let event = r#"{"type":"event_callback","event_id":"Ev1"}"#;
    let taken = hooks
        .post_to("/hooks/chat", &of_slack(SLACK, now, event), event)
        .await;
    assert_eq!(taken.status.as_u16(), 202, "{}", taken.text);
    hooks.end().await;
}

/// A database of our own, if there is a server.
async fn database() -> Option<String> {
    let Ok(server) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
        eprintln!("skipped: COUNTERSIGN_TEST_POSTGRES names no PostgreSQL server");
        return None;
    };
    let name = format!("hooks_{}", Random::system().event_id());
    let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    let mut url = Url::parse(&server).unwrap();
    url.set_path(&name);
    Some(url.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_at_one_node_is_known_at_another() {
    let Some(database) = database().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let one = Hooks::start_in(directory, Some(&database), system_clock()).await;
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("data/keys");
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&keys)
        .unwrap();
    for name in ["root.key", "epochs"] {
        let key = one.directory.path().join("data/keys").join(name);
        std::fs::copy(key, keys.join(name)).unwrap();
    }
    let two = Hooks::start_in(directory, Some(&database), system_clock()).await;
    let first = one.attempt("msg_once");
    assert_eq!(one.post(&first, BODY).await, 202);
    let replayed = two.post_to("/hooks/billing", &first, BODY).await;
    assert_eq!(replayed.status.as_u16(), 409, "{}", replayed.text);
    let again = signed(SECRET, "msg_once", UnixTime(two.now().0 - 7), BODY);
    assert_eq!(two.post(&again, BODY).await, 200);
    // Of the very same attempt at both at once, one is taken in.
    let both = two.attempt("msg_race");
    let (at_one, at_two) = tokio::join!(one.post(&both, BODY), two.post(&both, BODY));
    let mut statuses = [at_one, at_two];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409]);
    assert_eq!(two.post(&two.attempt("msg_two"), BODY).await, 202);
    two.end().await;
    one.end().await;
    // Digests of ids are what the database holds of them.
    let mut connection = sqlx::PgConnection::connect(&database).await.unwrap();
    let known: Vec<Vec<u8>> = sqlx::query_scalar("SELECT event_id FROM webhook_receipts")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(known.len(), 3);
    assert!(known.contains(&sha256(b"msg_once").to_vec()));
}
