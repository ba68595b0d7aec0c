use super::{Subjects, outer_aad};
use crate::details::{AT_HAND_UNASKED_MAX, Details};
use crate::tables::subject_keys::{self, OutsideEpochs, SubjectKey};
use crate::{Keks, Store, StoreOptions, StoreUrl, Write, subjects::SubjectKeyError};
use countersign_audit::event::{Actor, SubjectErased};
use countersign_audit::{Digest, Record};
use countersign_base::{Clock, Duration, EventId, Secret, Tenant, UnixMillis, UnixTime, UserId};
use countersign_crypto::puncturable::PuncturableKey;
use countersign_crypto::random::Random;
use countersign_keys::envelope::{self, Aad, Sealed};
use countersign_keys::hierarchy::{DataKey, KekSet};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

const NOW: UnixTime = UnixTime(1_790_000_000);
const ALICE: UserId = UserId::from_bytes([1; 16]);
const BOB: UserId = UserId::from_bytes([2; 16]);

fn tenant() -> Tenant {
    Tenant::default_tenant()
}

/// The file of the epoch key, which can be set back and can refuse.
#[derive(Clone, Default)]
struct File(Arc<Mutex<(Vec<u8>, bool)>>);

impl File {
    fn refuse(&self, refuse: Refuse) {
        self.0.lock().unwrap().1 = refuse == Refuse::Yes;
    }

    fn content(&self) -> Vec<u8> {
        self.0.lock().unwrap().0.clone()
    }

    /// What a process reads that starts now.
    fn opened(&self, keks: &Arc<KekSet>) -> Subjects {
        let key = PuncturableKey::from_bytes(&self.content()).unwrap();
        self.keeping(keks, key)
    }

    fn keeping(&self, keks: &Arc<KekSet>, key: PuncturableKey) -> Subjects {
        let (file, keks) = (self.clone(), Arc::clone(keks));
        let keks: Keks = Arc::new(move || Arc::clone(&keks));
        let keep = move |bytes: &[u8]| {
            let mut held = file.0.lock().unwrap();
            if held.1 {
                return Err(io::Error::other("the disk is full"));
            }
            held.0 = bytes.to_vec();
            Ok(())
        };
        Subjects::new(keks, key, Arc::new(keep))
    }
}

#[derive(PartialEq, Eq)]
enum Refuse {
    No,
    Yes,
}

struct Fixture {
    directory: tempfile::TempDir,
    keks: Arc<KekSet>,
    file: File,
}

impl Fixture {
    fn new() -> Self {
        let file = File::default();
        let key = PuncturableKey::generate(&Random::system());
        file.0.lock().unwrap().0 = key.to_bytes().to_vec();
        Self {
            directory: tempfile::tempdir().unwrap(),
            keks: Arc::new(KekSet::generate(&Random::system())),
            file,
        }
    }

    fn database(&self) -> std::path::PathBuf {
        self.directory.path().join("state.db")
    }

    async fn store(&self) -> Store {
        open(&self.database()).await
    }

    fn details(&self, store: &Store, clock: Clock) -> Details {
        Details::start(
            store.clone(),
            self.file.opened(&self.keks),
            Random::system(),
            clock,
            Duration::from_secs(3600),
        )
    }
}

async fn open(database: &Path) -> Store {
    let url = StoreUrl::Sqlite(database.to_owned());
    Store::open(&StoreOptions::new(url), NOW).await.unwrap()
}

fn still() -> Clock {
    Clock::from_fn(|| UnixMillis(NOW.0 * 1000))
}

async fn ask(details: &Details, user: UserId, event: u8) -> EventId {
    let id = EventId::from_bytes([event; 16]);
    assert!(details.offer(&tenant(), Some(user), id, [9; 16], "{\"a\":1}".to_owned()));
    details.settled().await;
    id
}

async fn opens(details: &Details, event: EventId) -> bool {
    details.open(&tenant(), event).await.is_ok()
}

fn erased(by: u8) -> Record {
    Record {
        id: EventId::from_bytes([by; 16]),
        time: UnixMillis(NOW.0 * 1000),
        tenant: tenant(),
        request: None,
        event: SubjectErased {
            by: Actor::LocalAdministrator,
            epoch: Digest::of(b"epoch"),
            subject: Digest::of(b"subject"),
        }
        .into(),
    }
}

#[test]
fn a_key_opens_at_its_own_place_alone() {
    let fixture = Fixture::new();
    let subjects = fixture.file.opened(&fixture.keks);
    let random = Random::system();
    let (wrapped, epoch) = subjects.generate(&tenant(), ALICE, &random).unwrap();
    assert_eq!(epoch, subjects.epoch());
    assert!(subjects.unwrap(&tenant(), ALICE, wrapped.clone()).is_ok());
    assert!(subjects.unwrap(&tenant(), BOB, wrapped.clone()).is_err());
    let other = "other".parse().unwrap();
    assert!(subjects.unwrap(&other, ALICE, wrapped.clone()).is_err());
    subjects.forget([(&tenant(), ALICE)]).unwrap();
    assert_eq!(
        subjects.unwrap(&tenant(), ALICE, wrapped.clone()).err(),
        Some(SubjectKeyError::Erased)
    );
    assert_eq!(
        subjects.generate(&tenant(), ALICE, &random).err(),
        Some(SubjectKeyError::Erased),
        "there is no second key"
    );
    assert!(subjects.generate(&tenant(), BOB, &random).is_ok());
    // What was stored forgot them too.
    let again = fixture.file.opened(&fixture.keks);
    assert!(again.is_forgotten(&tenant(), ALICE));
    assert!(!again.is_forgotten(&other, ALICE));
    assert!(again.unwrap(&tenant(), ALICE, wrapped).is_err());
}

#[test]
fn the_file_that_could_not_be_written_is_written_the_next_time() {
    let fixture = Fixture::new();
    let subjects = fixture.file.opened(&fixture.keks);
    fixture.file.refuse(Refuse::Yes);
    assert!(subjects.forget([(&tenant(), ALICE)]).is_err());
    assert!(subjects.is_forgotten(&tenant(), ALICE), "here it is gone");
    assert!(
        !fixture
            .file
            .opened(&fixture.keks)
            .is_forgotten(&tenant(), ALICE)
    );
    fixture.file.refuse(Refuse::No);
    subjects.forget([(&tenant(), ALICE)]).unwrap();
    assert!(
        fixture
            .file
            .opened(&fixture.keks)
            .is_forgotten(&tenant(), ALICE)
    );
}

/// The point of it all: a database from before an erasure, with the epoch key of after it.
#[tokio::test]
async fn an_old_database_does_not_bring_an_erased_person_back_and_everybody_else_is_there() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let details = fixture.details(&store, still());
    let (of_alice, of_bob) = (ask(&details, ALICE, 1).await, ask(&details, BOB, 2).await);
    assert!(opens(&details, of_alice).await && opens(&details, of_bob).await);
    store.close().await;
    let backup = fixture.directory.path().join("backup.db");
    std::fs::copy(fixture.database(), &backup).unwrap();

    let store = fixture.store().await;
    let details = fixture.details(&store, still());
    details.erase(&tenant(), ALICE).await.unwrap();
    assert!(!opens(&details, of_alice).await);

    let restored = open(&backup).await;
    let mut connection = restored.read().await.unwrap();
    let found = subject_keys::find(&mut connection, &tenant(), ALICE).await;
    assert!(
        matches!(found, Ok(SubjectKey::Wrapped(_))),
        "the old row is there"
    );
    drop(connection);
    let details = fixture.details(&restored, still());
    assert!(!opens(&details, of_alice).await);
    assert!(opens(&details, of_bob).await, "the twin");
    // Nor is anything new about her kept under the key of the old row.
    let later = ask(&details, ALICE, 3).await;
    assert!(!opens(&details, later).await);
}

/// Killed between the transaction and the file: the next start completes it before anything is opened.
#[tokio::test]
async fn an_erasure_that_was_cut_off_is_completed_by_the_next_start() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let details = fixture.details(&store, still());
    let (of_alice, of_bob) = (ask(&details, ALICE, 1).await, ask(&details, BOB, 2).await);
    let writes = vec![Write::EraseSubject(ALICE)];
    let _id = store
        .change(&tenant(), writes, erased(7), NOW)
        .await
        .unwrap();
    // Committed, and nothing else: her row says it, her place is still in the file.
    assert!(!opens(&details, of_alice).await);
    assert!(
        !fixture
            .file
            .opened(&fixture.keks)
            .is_forgotten(&tenant(), ALICE)
    );

    let details = fixture.details(&store, still());
    details.take_erasures().await.unwrap();
    assert!(
        fixture
            .file
            .opened(&fixture.keks)
            .is_forgotten(&tenant(), ALICE)
    );
    assert!(!opens(&details, of_alice).await);
    assert!(opens(&details, of_bob).await);
    // And once more, which changes nothing.
    let before = fixture.file.content();
    details.take_erasures().await.unwrap();
    assert_eq!(fixture.file.content(), before);
}

#[tokio::test]
async fn another_node_forgets_what_it_has_at_hand_at_its_next_look() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let (here, there) = (
        fixture.details(&store, still()),
        fixture.details(&store, still()),
    );
    let _one = ask(&here, ALICE, 3).await;
    let _other = ask(&there, ALICE, 4).await;
    assert!(here.has_at_hand(&tenant(), ALICE) && there.has_at_hand(&tenant(), ALICE));
    here.erase(&tenant(), ALICE).await.unwrap();
    assert!(!here.has_at_hand(&tenant(), ALICE));
    assert!(there.has_at_hand(&tenant(), ALICE), "it has not looked yet");
    there.take_erasures().await.unwrap();
    assert!(!there.has_at_hand(&tenant(), ALICE));
    assert!(there.subjects().is_forgotten(&tenant(), ALICE));
}

#[tokio::test]
async fn a_node_that_cannot_ask_uses_nothing_at_hand() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let time = Arc::new(AtomicI64::new(NOW.0 * 1000));
    let told = Arc::clone(&time);
    let clock = Clock::from_fn(move || UnixMillis(told.load(Ordering::Relaxed)));
    let details = fixture.details(&store, clock);
    let _event = ask(&details, ALICE, 1).await;
    let limit = i64::try_from(AT_HAND_UNASKED_MAX.as_secs()).unwrap() * 1000;
    time.store(NOW.0 * 1000 + limit, Ordering::Relaxed);
    assert!(details.has_at_hand(&tenant(), ALICE));
    time.store(NOW.0 * 1000 + limit + 1000, Ordering::Relaxed);
    assert!(!details.has_at_hand(&tenant(), ALICE));
    let _event = ask(&details, ALICE, 2).await;
    details.take_erasures().await.unwrap();
    let _event = ask(&details, ALICE, 3).await;
    assert!(details.has_at_hand(&tenant(), ALICE), "the twin");
}

#[tokio::test]
async fn keys_from_before_there_were_epochs_open_and_are_taken_in() {
    let fixture = Fixture::new();
    let store = fixture.store().await;
    let random = Random::system();
    let key = DataKey::generate(&random);
    let aad = outer_aad(&tenant(), ALICE);
    let wrapped = key.wrap(&fixture.keks, &aad, &random).unwrap().into_bytes();
    let subjects = fixture.file.opened(&fixture.keks);
    let place = Aad::installation("test");
    let sealed = envelope::seal(&key, &place, b"before", &random).unwrap();
    let read = |subjects: &Subjects, wrapped: Vec<u8>| {
        let key = subjects.unwrap(&tenant(), ALICE, wrapped)?;
        let sealed = Sealed::from_bytes(sealed.as_bytes().to_vec());
        Ok::<_, SubjectKeyError>(envelope::open(&key, &place, &sealed)?.expose().clone())
    };
    assert_eq!(read(&subjects, wrapped.clone()).unwrap(), b"before");
    let old = OutsideEpochs {
        tenant: tenant(),
        user: ALICE,
        wrapped: wrapped.clone(),
    };
    let (taken, _epoch) = subjects.take_in(&old, &random).unwrap();
    assert_eq!(read(&subjects, taken).unwrap(), b"before");
    // In the table: a row without an epoch, as a program before this one left it.
    let details = fixture.details(&store, still());
    let database = rusqlite::Connection::open(fixture.database()).unwrap();
    database
        .execute(
            "INSERT INTO subject_keys (tenant, user_id, wrapped, created_at) VALUES ('default', ?1, ?2, 0)",
            (ALICE.as_bytes().as_slice(), &wrapped),
        )
        .unwrap();
    assert_eq!(details.take_in(10).await.unwrap(), 1);
    assert_eq!(details.take_in(10).await.unwrap(), 0, "nothing is left");
    let mut connection = store.read().await.unwrap();
    let found = subject_keys::find(&mut connection, &tenant(), ALICE).await;
    let Ok(SubjectKey::Wrapped(stored)) = found else {
        panic!("it is still there")
    };
    assert_ne!(stored, wrapped);
    assert_eq!(read(details.subjects(), stored).unwrap(), b"before");
}

#[test]
fn bytes_of_another_length_are_no_key() {
    assert!(DataKey::from_content(&Secret::new(vec![0; 43])).is_none());
    assert!(DataKey::from_content(&Secret::new(vec![0; 44])).is_some());
    assert!(DataKey::from_content(&Secret::new(vec![0; 45])).is_none());
}
