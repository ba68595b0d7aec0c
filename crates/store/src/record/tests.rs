//! What is recorded of a decision, and that nothing is permitted without a record.

use super::{About, Durability, Ending, Recordable, Recorder, commitment};
use crate::audit::{AuditLog, AuditOptions, AuditTask, AuditUnavailable, NoOutbox, tail};
use crate::details::{DetailError, Details};
use crate::subjects::Subjects;
use crate::tables::event_details;
use crate::{Recorded, Store, StoreOptions, StoreUrl};
use countersign_audit::event::{self, Verdict};
use countersign_audit::{Code, Event, Origin, Record};
use countersign_base::{Clock, Duration, Kid, Tenant, UnixMillis, UnixTime, UserId};
use countersign_crypto::jose::Algorithm;
use countersign_crypto::puncturable::PuncturableKey;
use countersign_crypto::random::Random;
use countersign_crypto::signing::{SigningKey, generate_pkcs8};
use countersign_keys::hierarchy::KekSet;
use countersign_policy::{Permitted, PolicySet, Query, Target, decide, defaults, vocabulary};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

const NOW: UnixTime = UnixTime(1_800_000_000);
const ALICE: UserId = UserId::from_bytes([1; 16]);

fn tenant() -> Tenant {
    "demo".parse().unwrap()
}

/// An administrative request of an operator (permitted) or of a person without the role (denied).
struct Request {
    principal: Principal,
    from: Option<IpAddr>,
}

#[derive(Clone, Copy)]
enum Principal {
    Alice,
    Operator,
}

impl Target for Request {
    fn query(&self) -> Query {
        let principal = match self.principal {
            Principal::Alice => vocabulary::user(ALICE, &tenant(), [], [], &BTreeMap::new()),
            Principal::Operator => vocabulary::operator("local", &tenant()),
        };
        Query {
            principal,
            action: "administer".to_owned(),
            resource: vocabulary::administration(&tenant()),
            context: BTreeMap::from([
                ("area".to_owned(), "client".into()),
                ("operation".to_owned(), "list".into()),
                ("time".to_owned(), NOW.0.into()),
            ]),
            others: Vec::new(),
        }
    }
}

impl Recordable for Request {
    fn about(&self) -> About {
        let mut about = About::new(tenant(), Code::of("admin"));
        about.anonymous_from = self.from;
        if let Principal::Alice = self.principal {
            about.user = Some(ALICE);
        }
        about
    }
}

fn permitted() -> Permitted<Request> {
    let request = Request {
        principal: Principal::Operator,
        from: None,
    };
    decide(&policies(), request).expect("the default policies permit an operator")
}

fn policies() -> PolicySet {
    PolicySet::load(defaults::SCHEMA, &defaults::POLICIES).unwrap()
}

fn clock() -> Clock {
    Clock::from_fn(|| UnixMillis(NOW.0 * 1000))
}

fn open_log(directory: &Path) -> (AuditLog, AuditTask) {
    let pkcs8 = generate_pkcs8(Algorithm::EdDsa).unwrap();
    let kid: Kid = "log".parse().unwrap();
    let signer = SigningKey::from_pkcs8(Algorithm::EdDsa, kid, &pkcs8).unwrap();
    let origin: Origin = "test.example".parse().unwrap();
    AuditLog::open(
        directory,
        &origin,
        signer,
        &clock(),
        Arc::new(NoOutbox),
        AuditOptions::default(),
    )
    .unwrap()
}

struct Fixture {
    recorder: Recorder,
    task: Option<AuditTask>,
    directory: tempfile::TempDir,
}

impl Fixture {
    fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (log, task) = open_log(directory.path());
        let recorder = Recorder::new(log, clock(), Random::system(), None);
        Self {
            recorder,
            task: Some(task),
            directory,
        }
    }

    /// Everything that stands in the log after it was closed.
    async fn records(mut self) -> Vec<Record> {
        let log = self.recorder.log().directory().to_owned();
        self.task.take().unwrap().close().await.unwrap();
        let (records, _) = tail(&log, 0).unwrap();
        drop(self.directory);
        records.into_iter().map(|(_, record)| record).collect()
    }
}

#[tokio::test]
async fn a_permit_becomes_its_target_only_through_its_record() {
    let fixture = Fixture::open();
    let recorded = fixture
        .recorder
        .record(permitted(), Durability::Durable)
        .await
        .unwrap();
    let receipt = recorded.receipt();
    let target: Request = recorded.into_target();
    assert!(matches!(target.principal, Principal::Operator));
    let ending = Ending {
        status: 200,
        bytes: 12,
        took: Duration::from_millis(3),
        detail: None,
    };
    fixture
        .recorder
        .outcome(&tenant(), None, receipt, ending)
        .unwrap();
    let records = fixture.records().await;
    let [decision, outcome] = &records[..] else {
        panic!("two records, not {records:?}")
    };
    let Event::Decision(event) = &decision.event else {
        panic!("a decision, not {decision:?}")
    };
    assert_eq!(
        (decision.id, &decision.tenant, event.decision),
        (receipt, &tenant(), Verdict::Allowed)
    );
    let json = serde_json::to_value(&decision.event).unwrap();
    assert!(json["policies"].to_string().contains("operator"), "{json}");
    let Event::Outcome(event) = &outcome.event else {
        panic!("an outcome, not {outcome:?}")
    };
    assert_eq!(
        (event.of, event.status, event.micros.as_u64()),
        (receipt, 200, 3000)
    );
}

#[tokio::test]
async fn a_denial_is_recorded_with_the_same_fields() {
    let fixture = Fixture::open();
    let request = Request {
        principal: Principal::Alice,
        from: None,
    };
    let denied = decide(&policies(), request).expect_err("nobody gave her the role");
    let recorded = fixture.recorder.record_denied(denied).unwrap();
    let receipt = recorded.receipt();
    let records = fixture.records().await;
    let [record] = &records[..] else {
        panic!("one record, not {records:?}")
    };
    let Event::Decision(event) = &record.event else {
        panic!("a decision, not {record:?}")
    };
    assert_eq!(
        (record.id, event.decision, event.user),
        (receipt, Verdict::Denied, Some(ALICE))
    );
    assert_eq!(event.reason.as_str(), "nothing_permits");
    assert!(event.bundle.is_some());
}

#[tokio::test]
async fn the_doors_close_when_the_log_cannot_be_written() {
    let mut fixture = Fixture::open();
    // Twin: while the log is open, both kinds of record are taken.
    for durability in [Durability::Durable, Durability::Queued] {
        assert!(
            fixture
                .recorder
                .record(permitted(), durability)
                .await
                .is_ok()
        );
    }
    fixture.task.take().unwrap().close().await.unwrap();
    for durability in [Durability::Durable, Durability::Queued] {
        let refused: Result<Recorded<Permitted<Request>>, _> =
            fixture.recorder.record(permitted(), durability).await;
        assert_eq!(refused.unwrap_err().0, AuditUnavailable::Closing);
    }
}

#[tokio::test]
async fn anonymous_denials_are_bounded_by_their_source() {
    let fixture = Fixture::open();
    let from = |last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
    let refuse = |from| {
        let event =
            event::Decision::new(Code::of("gateway"), Verdict::Denied, Code::of("no_route"));
        fixture
            .recorder
            .refused(from, &tenant(), None, event)
            .unwrap();
    };
    (0..500).for_each(|_| refuse(from(1)));
    // Somebody else's refusals are recorded all the same.
    refuse(from(2));
    let records = fixture.records().await;
    let decisions = records
        .iter()
        .filter(|record| matches!(record.event, Event::Decision(_)))
        .count();
    assert_eq!(decisions, 21, "20 of the one who knocks, one of the other");
    let text: String = records
        .iter()
        .map(|record| String::from_utf8(record.encode().into_bytes()).unwrap())
        .collect();
    assert!(!text.contains("192.0.2"), "no address stands in a record");
}

/// A store and a keeper of queries beside it.
async fn details(directory: &Path) -> (Store, Details) {
    let url = StoreUrl::Sqlite(directory.join("state.db"));
    let store = Store::open(&StoreOptions::new(url), NOW).await.unwrap();
    let keks = Arc::new(KekSet::generate(&Random::system()));
    let keks: crate::Keks = Arc::new(move || Arc::clone(&keks));
    let epochs = PuncturableKey::generate(&Random::system());
    let details = Details::start(
        store.clone(),
        Subjects::new(keks, epochs, Arc::new(|_| Ok(()))),
        Random::system(),
        clock(),
        Duration::from_secs(60),
    );
    (store, details)
}

#[tokio::test]
async fn the_query_is_kept_sealed_and_erased_with_its_person() {
    let fixture = Fixture::open();
    let (store, details) = details(fixture.directory.path()).await;
    let recorder = Recorder::new(
        fixture.recorder.log().clone(),
        clock(),
        Random::system(),
        Some(details.clone()),
    );
    let denied = decide(
        &policies(),
        Request {
            principal: Principal::Alice,
            from: None,
        },
    )
    .unwrap_err();
    let query = denied.query().canonical_json();
    let of_alice = recorder.record_denied(denied).unwrap().receipt();
    let of_operator = recorder
        .record(permitted(), Durability::Durable)
        .await
        .unwrap()
        .receipt();
    details.settled().await;

    let (salt, text) = details.open(&tenant(), of_alice).await.unwrap();
    assert_eq!(text, query);
    let mut connection = store.read().await.unwrap();
    let (_, _, sealed) = event_details::find(&mut connection, &tenant(), of_alice)
        .await
        .unwrap()
        .unwrap();
    assert!(
        !sealed
            .windows(16)
            .any(|window| query.as_bytes().windows(16).any(|part| part == window)),
        "it is sealed"
    );
    assert!(
        details
            .open(&"other".parse().unwrap(), of_alice)
            .await
            .is_err(),
        "another tenant has no such event"
    );

    details.erase(&tenant(), ALICE).await.unwrap();
    assert!(matches!(
        details.open(&tenant(), of_alice).await,
        Err(DetailError::Erased)
    ));
    // What is not about her is still there, and no later query about her is kept.
    assert!(details.open(&tenant(), of_operator).await.is_ok());
    let denied = decide(
        &policies(),
        Request {
            principal: Principal::Alice,
            from: None,
        },
    )
    .unwrap_err();
    let later = recorder.record_denied(denied).unwrap().receipt();
    details.settled().await;
    assert!(matches!(
        details.open(&tenant(), later).await,
        Err(DetailError::Unknown)
    ));

    // The log holds commitments, which the kept query opens, and verifies.
    let records = fixture.records().await;
    let of_alice = records.iter().find(|record| record.id == of_alice).unwrap();
    let Event::Decision(event) = &of_alice.event else {
        panic!("a decision, not {of_alice:?}")
    };
    assert_eq!(event.commitment, Some(commitment(&salt, &query)));
}
