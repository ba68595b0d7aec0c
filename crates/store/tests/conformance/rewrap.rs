//! The rotation of the key-encryption key: every column is walked, a stop anywhere loses nothing, what went stays gone, and a version goes last.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{GRANT, USER, event, handle, populate, tag, tenant};
use crate::webhooks::{message, record};
use countersign_base::{
    Bounded, Clock, Duration, EndpointId, EventId, GrantId, Secret, Tenant, UnixMillis, UnixTime,
    UserId, WebhookSecretId,
};
use countersign_crypto::base64url;
use countersign_crypto::mac::MacKey;
use countersign_crypto::random::Random;
use countersign_keys::envelope::{self, OpenError};
use countersign_keys::{Aad, Kek, KekSet, KeyVersion, RootKey, Sealed, SigningKeyState};
use countersign_oauth::decoupled::{CIBA_PING, DecoupledRequest, Flow, PingDelivery};
use countersign_oauth::totp::TimeStep;
use countersign_store::idempotency::{DurableKeys, Told};
use countersign_store::redis::{Found, KeyEnd, SharedKey};
use countersign_store::tables::browser_sessions::NewBrowserSession;
use countersign_store::tables::event_details::EventDetail;
use countersign_store::tables::keks::{self, KekRow};
use countersign_store::tables::settings::{self, Setting};
use countersign_store::tables::signing_keys::SigningKeyRecord;
use countersign_store::tables::subject_keys::{self, SubjectKey};
use countersign_store::tables::vault_keys::{self, NewVaultKey};
use countersign_store::tables::webhook_endpoints::WebhookOrder;
use countersign_store::tables::webhook_secrets::{NewWebhookSecret, SecretKind};
use countersign_store::webhooks::{Accepted, Addressee, NewEndpoint, WebhookWrite};
use countersign_store::{
    AuthReqId, AuthenticatorChange, DeliveryId, KekProgress, KeksDestroyed, NewDecoupled,
    NewDelivery, RewrapTurn, SEALED_COLUMNS, Store, StoreError, Write, kek_status,
};
use std::sync::Arc;

behaviours! {
    every_column_is_walked_and_the_older_version_goes_last,
    a_stop_after_any_page_loses_nothing,
    who_is_erased_meanwhile_stays_erased,
    what_is_written_late_under_an_older_version_keeps_it,
    what_does_not_open_keeps_the_older_version,
    of_two_rotations_at_once_one_happens,
    no_more_versions_are_made_than_may_be,
}

const KEPT: Duration = Duration::from_secs(60);

/// The versions as a process has them, and the root key above them.
struct Hierarchy {
    root: RootKey,
    random: Random,
    keks: Arc<KekSet>,
    now: UnixTime,
}

impl Hierarchy {
    async fn begin(store: &Store) -> Self {
        let random = Random::system();
        let root = RootKey::from_bytes(&random.secret());
        let keks = KekSet::generate(&random);
        let row = row_of(&keks, &root, &random);
        store
            .write(move |tx| Box::pin(async move { keks::add(tx, &row).await }))
            .await
            .unwrap();
        Self {
            root,
            random,
            keks: Arc::new(keks),
            now: NOW,
        }
    }

    /// What the stored versions are, as a process that starts reads them.
    async fn read(&self, store: &Store) -> KekSet {
        let rows = keks::all(&mut store.read().await.unwrap()).await.unwrap();
        let open = |row: &KekRow| {
            Kek::unwrap(&self.root, &Sealed::from_bytes(row.wrapped.clone())).unwrap()
        };
        KekSet::new(rows.iter().map(open).collect(), KeyVersion(1)).unwrap()
    }

    async fn rotate(&mut self, store: &Store) -> Result<(), StoreError> {
        let next = self.read(store).await.rotate(&self.random).unwrap();
        let row = row_of(&next, &self.root, &self.random);
        store
            .begin_kek_rotation(next.current().id(), row, event())
            .await?;
        self.keks = Arc::new(self.read(store).await);
        Ok(())
    }

    async fn page(&self, store: &Store) -> RewrapTurn {
        let keks = Arc::clone(&self.keks);
        store
            .rewrap_page(keks, self.random.clone(), KEPT, self.now)
            .await
            .unwrap()
    }

    async fn walk(&self, store: &Store) -> RewrapTurn {
        loop {
            match self.page(store).await {
                RewrapTurn::More => {}
                turn => return turn,
            }
        }
    }

    async fn destroy(&self, store: &Store, now: UnixTime) -> KeksDestroyed {
        let id = self.keks.current().id();
        store.destroy_keks(id, |_, _| event(), now).await.unwrap()
    }

    fn sealed(&self, aad: &Aad) -> Vec<u8> {
        let sealed = envelope::seal(&*self.keks, aad, b"what is sealed", &self.random);
        sealed.unwrap().into_bytes()
    }

    fn row(&self, table: &'static str, column: &'static str, row: &[u8]) -> Vec<u8> {
        self.sealed(&Aad::row(&tenant(), table, column, row))
    }
}

fn row_of(keks: &KekSet, root: &RootKey, random: &Random) -> KekRow {
    KekRow {
        version: keks.current().version().0,
        wrapped: keks.current().wrap(root, random).unwrap().into_bytes(),
        created: NOW,
    }
}

fn vault_key(wrapped: Vec<u8>) -> NewVaultKey {
    NewVaultKey {
        key: [5; 8],
        wrapped,
        created: NOW,
        term: 1,
    }
}

fn later() -> UnixTime {
    NOW.plus(KEPT)
}

const fn person(number: u8) -> UserId {
    UserId::from_bytes([number; 16])
}

fn details(hierarchy: &Hierarchy, numbers: std::ops::Range<u16>) -> Vec<Write> {
    let detail = |number: u16| {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        Write::Detail(EventDetail {
            event: EventId::from_bytes(id),
            user: None,
            salt: [0; 16],
            sealed: hierarchy.row("event_details", "sealed", &id),
            expires: NOW.plus(Duration::from_secs(3600)),
        })
    };
    numbers.map(detail).collect()
}

/// A request for a sign-in elsewhere that wants to be told, and the telling.
fn decoupled(hierarchy: &Hierarchy) -> (NewDecoupled, NewDelivery) {
    let place = GRANT.as_u64().to_be_bytes();
    let notice = Aad::row(&tenant(), "decoupled_requests", "notification", &place);
    let notice = Bounded::parse(&base64url::encode(&hierarchy.sealed(&notice))).unwrap();
    let ping = PingDelivery {
        client: "portal".parse().unwrap(),
        grant: GRANT,
        notice: notice.clone(),
    };
    let ping = NewDelivery::new(
        DeliveryId::from_bytes([1; 16]),
        CIBA_PING,
        Bounded::parse("somewhere").unwrap(),
        &ping,
        later(),
    );
    let request = DecoupledRequest {
        flow: Flow::Ciba,
        tenant: tenant(),
        client: "portal".parse().unwrap(),
        grant: GRANT,
        scopes: "orders:read".parse().unwrap(),
        audiences: Vec::new(),
        particulars: countersign_oauth::Particulars::default(),
        dpop_jkt: None,
        user: Some(USER),
        binding_message: None,
        source: Bounded::parse("127.0.0.1").unwrap(),
        notification: Some(notice),
        issued: NOW,
        expires: NOW.plus(Duration::from_secs(600)),
    };
    let auth_req_id = handle::<AuthReqId>("auth_req_id");
    let request = NewDecoupled::new(&auth_req_id, None, request);
    (request, ping.unwrap())
}

fn browser_session(hierarchy: &Hierarchy) -> NewBrowserSession {
    NewBrowserSession {
        handle: tag(3),
        replaces: None,
        name: "portal".to_owned(),
        subject: tag(4),
        upstream_session: None,
        sealed: hierarchy.row("browser_sessions", "sealed", tag(3).as_bytes()),
        expires: later(),
    }
}

fn signing_key(hierarchy: &Hierarchy) -> SigningKeyRecord {
    SigningKeyRecord {
        tenant: tenant(),
        kid: "key-1".parse().unwrap(),
        purpose: "tokens".to_owned(),
        algorithm: serde_json::from_value(serde_json::json!("ES256")).unwrap(),
        state: SigningKeyState::Current,
        public_jwk: "{}".to_owned(),
        sealed: hierarchy.row("signing_keys", "sealed", b"key-1"),
        created: NOW,
        changed: NOW,
    }
}

/// Something in every column, and in one of them more than a page. How much it is.
async fn fill(store: &Store, hierarchy: &Hierarchy) -> u64 {
    populate(store).await;
    let (request, ping) = decoupled(hierarchy);
    let app = hierarchy.row("totp_secrets", "sealed", USER.as_bytes());
    let app = AuthenticatorChange::PutTotp(USER, app, TimeStep(1));
    let mut writes = vec![
        Write::AddBrowserSession(Box::new(browser_session(hierarchy))),
        Write::AddDecoupled(request),
        Write::AddSigningKey(Box::new(signing_key(hierarchy))),
        Write::Authenticator(app),
        Write::Deliver(Box::new(ping)),
    ];
    writes.extend(details(hierarchy, 0..450));
    store.change(&tenant(), writes, event(), NOW).await.unwrap();
    for (setting, place) in [
        (Setting::AuthorityKey, "authority key"),
        (Setting::LogKey, "log key"),
    ] {
        let sealed = hierarchy.sealed(&Aad::installation(place));
        store
            .write(move |tx| Box::pin(async move { settings::put(tx, setting, sealed).await }))
            .await
            .unwrap();
    }
    let key = hierarchy.row("vault_keys", "wrapped", &[5; 8]);
    store
        .write(move |tx| {
            Box::pin(async move { vault_keys::add(tx, &tenant(), vault_key(key)).await })
        })
        .await
        .unwrap();
    add_answer(store, hierarchy).await;
    for number in 1..=3 {
        add_person(store, hierarchy, number).await;
    }
    add_webhooks(store, hierarchy).await;
    5 + 450 + 2 + 1 + 1 + 3 + 2
}

/// A message, and an endpoint with its secret.
async fn add_webhooks(store: &Store, hierarchy: &Hierarchy) {
    let mut new = message(1, Addressee::Everyone, NOW);
    let place = *new.message.id.as_bytes();
    new.message.sealed = hierarchy.row("webhook_messages", "sealed", &place);
    let accepted = store.accept_message(new, event(), NOW).await.unwrap();
    assert_eq!(accepted, Accepted::New(0));
    let endpoint = NewEndpoint {
        id: EndpointId::from_bytes([1; 16]),
        partner: None,
        record: record(WebhookOrder::Any),
        patterns: ["*".parse().unwrap()].into(),
        secret: NewWebhookSecret {
            id: WebhookSecretId::from_bytes([2; 16]),
            kind: SecretKind::Hmac,
            sealed: hierarchy.row("webhook_secrets", "sealed", &[2; 16]),
        },
    };
    let write = WebhookWrite::AddEndpoint(Box::new(endpoint));
    let writes = vec![Write::Webhook(Box::new(write))];
    store.change(&tenant(), writes, event(), NOW).await.unwrap();
}

async fn add_answer(store: &Store, hierarchy: &Hierarchy) {
    let keks = Arc::clone(&hierarchy.keks);
    let keys = DurableKeys::new(
        store.clone(),
        Arc::new(move || Arc::clone(&keks)),
        MacKey::new(Secret::new([6; 32])),
        hierarchy.random.clone(),
        Clock::from_fn(|| UnixMillis(NOW.0 * 1000)),
    );
    let key = SharedKey {
        tenant: &tenant(),
        caller: &[6; 32],
        name: &[6; 32],
        fingerprint: &[6; 32],
    };
    let Found::Run(held) = keys.begin(key, KEPT).await.unwrap() else {
        panic!("not the first")
    };
    let told = held.end(KeyEnd::Answered(b"done".to_vec())).await;
    assert_eq!(told, Told::Durable);
}

async fn add_person(store: &Store, hierarchy: &Hierarchy, number: u8) {
    let user = person(number);
    let key = hierarchy.row("subject_keys", "wrapped", user.as_bytes());
    store
        .write(move |tx| {
            Box::pin(async move {
                subject_keys::put_first(tx, &tenant(), user, (key, [0; 8]), NOW).await
            })
        })
        .await
        .unwrap();
}

async fn key_of(store: &Store, number: u8) -> SubjectKey {
    let mut connection = store.read().await.unwrap();
    subject_keys::find(&mut connection, &tenant(), person(number))
        .await
        .unwrap()
}

async fn versions(store: &Store) -> Vec<u32> {
    let rows = keks::all(&mut store.read().await.unwrap()).await.unwrap();
    rows.iter().map(|row| row.version).collect()
}

/// Rotates to the end; how much was sealed again. What does not open would block it.
async fn rotated(store: &Store, hierarchy: &mut Hierarchy) -> u64 {
    hierarchy.rotate(store).await.unwrap();
    let sealing = hierarchy.keks.current().version();
    assert_eq!(hierarchy.walk(store).await, RewrapTurn::Walked(sealing));
    assert_eq!(
        hierarchy.page(store).await,
        RewrapTurn::Idle,
        "nothing is destroyed at once"
    );
    assert_eq!(hierarchy.destroy(store, NOW).await, KeksDestroyed::Not);
    let older: Vec<u32> = (1..sealing.0)
        .filter(|version| *version + 1 == sealing.0)
        .collect();
    assert_eq!(
        hierarchy.destroy(store, later()).await,
        KeksDestroyed::Gone(older)
    );
    assert_eq!(versions(store).await, [sealing.0]);
    hierarchy.keks = Arc::new(hierarchy.read(store).await);
    let mut connection = store.read().await.unwrap();
    let (_, progress, finished) = kek_status(&mut connection).await.unwrap();
    assert_eq!(progress, KekProgress::Idle);
    finished.unwrap().rewrapped
}

async fn every_column_is_walked_and_the_older_version_goes_last(fixture: Fixture) {
    let store = &fixture.store;
    let mut hierarchy = Hierarchy::begin(store).await;
    let all = fill(store, &hierarchy).await;
    let version_1 = Arc::clone(&hierarchy.keks);
    hierarchy.rotate(store).await.unwrap();
    let mut connection = store.read().await.unwrap();
    let (_, progress, _) = kek_status(&mut connection).await.unwrap();
    drop(connection);
    let KekProgress::Walking(_, progress) = progress else {
        panic!("it is under way");
    };
    assert_eq!((progress.done, progress.total), (0, all));
    assert_eq!(
        hierarchy.walk(store).await,
        RewrapTurn::Walked(KeyVersion(2))
    );
    let gone = hierarchy.destroy(store, later()).await;
    assert_eq!(gone, KeksDestroyed::Gone(vec![1]));
    hierarchy.keks = Arc::new(hierarchy.read(store).await);
    let SubjectKey::Wrapped(wrapped) = key_of(store, 1).await else {
        panic!("nobody was erased");
    };
    let (aad, sealed) = (
        Aad::row(&tenant(), "subject_keys", "wrapped", person(1).as_bytes()),
        Sealed::from_bytes(wrapped),
    );
    assert!(matches!(
        envelope::open(&*version_1, &aad, &sealed),
        Err(OpenError::KeyUnknown { .. })
    ));
    assert!(envelope::open(&*hierarchy.keks, &aad, &sealed).is_ok());
    // That all of it opens by the second version alone is what another rotation needs.
    assert_eq!(rotated(store, &mut hierarchy).await, all);
    let tables: Vec<&str> = SEALED_COLUMNS.iter().map(|column| column.table).collect();
    let mut sorted = tables.clone();
    sorted.sort_unstable();
    assert_eq!(tables, sorted);
}

async fn a_stop_after_any_page_loses_nothing(fixture: Fixture) {
    let store = fixture.opened_again().await;
    let mut hierarchy = Hierarchy::begin(&store).await;
    let all = fill(&store, &hierarchy).await;
    hierarchy.rotate(&store).await.unwrap();
    store.close().await;
    let mut pages = 0;
    loop {
        // Another process each time: all that goes on is in the database.
        let store = fixture.opened_again().await;
        hierarchy.keks = Arc::new(hierarchy.read(&store).await);
        let turn = hierarchy.page(&store).await;
        store.close().await;
        pages += 1;
        match turn {
            RewrapTurn::More => {}
            RewrapTurn::Walked(KeyVersion(2)) => break,
            turn => panic!("{turn:?}"),
        }
    }
    assert!(pages > 2 * SEALED_COLUMNS.len(), "{pages}: two walks");
    let store = fixture.opened_again().await;
    assert_eq!(
        hierarchy.destroy(&store, later()).await,
        KeksDestroyed::Gone(vec![1])
    );
    hierarchy.keks = Arc::new(hierarchy.read(&store).await);
    assert_eq!(rotated(&store, &mut hierarchy).await, all);
}

async fn who_is_erased_meanwhile_stays_erased(fixture: Fixture) {
    let store = &fixture.store;
    let mut hierarchy = Hierarchy::begin(store).await;
    fill(store, &hierarchy).await;
    hierarchy.rotate(store).await.unwrap();
    let (mut pages, mut erased) = (0, 0);
    loop {
        let turn = hierarchy.page(store).await;
        pages += 1;
        // One person every few pages: before the cursor and behind it.
        if pages % 4 == 1 && erased < 3 {
            erased += 1;
            let writes = vec![Write::EraseSubject(person(erased))];
            store.change(&tenant(), writes, event(), NOW).await.unwrap();
        }
        match turn {
            RewrapTurn::More => {}
            RewrapTurn::Walked(_) => break,
            turn => panic!("{turn:?}"),
        }
    }
    assert_eq!(erased, 3);
    let gone = hierarchy.destroy(store, later()).await;
    assert_eq!(gone, KeksDestroyed::Gone(vec![1]));
    for number in 1..=3 {
        assert!(matches!(key_of(store, number).await, SubjectKey::Erased(_)));
    }
}

async fn what_is_written_late_under_an_older_version_keeps_it(fixture: Fixture) {
    let store = &fixture.store;
    let mut hierarchy = Hierarchy::begin(store).await;
    fill(store, &hierarchy).await;
    let late = Hierarchy {
        root: RootKey::from_bytes(&Random::system().secret()),
        random: Random::system(),
        keks: Arc::clone(&hierarchy.keks),
        now: NOW,
    };
    hierarchy.rotate(store).await.unwrap();
    assert_eq!(
        late.page(store).await,
        RewrapTurn::Idle,
        "who seals by an older version walks nothing"
    );
    assert_eq!(
        hierarchy.walk(store).await,
        RewrapTurn::Walked(KeyVersion(2))
    );
    add_person(store, &late, 9).await;
    assert_eq!(
        hierarchy.destroy(store, later()).await,
        KeksDestroyed::Named("subject_keys")
    );
    assert_eq!(versions(store).await, [1, 2]);
    hierarchy.now = later();
    assert_eq!(
        hierarchy.walk(store).await,
        RewrapTurn::Walked(KeyVersion(2))
    );
    // A text that holds an envelope is looked into too.
    let grant = GrantId::from_u64(7);
    let notice = Aad::row(
        &tenant(),
        "decoupled_requests",
        "notification",
        &grant.as_u64().to_be_bytes(),
    );
    let ping = PingDelivery {
        client: "portal".parse().unwrap(),
        grant,
        notice: Bounded::parse(&base64url::encode(&late.sealed(&notice))).unwrap(),
    };
    let ping = NewDelivery::new(
        DeliveryId::from_bytes([2; 16]),
        CIBA_PING,
        Bounded::parse("somewhere").unwrap(),
        &ping,
        later(),
    );
    let writes = vec![Write::Deliver(Box::new(ping.unwrap()))];
    store.change(&tenant(), writes, event(), NOW).await.unwrap();
    hierarchy.now = hierarchy.now.plus(KEPT);
    assert_eq!(
        hierarchy.destroy(store, hierarchy.now).await,
        KeksDestroyed::Named("deliveries")
    );
    assert_eq!(
        hierarchy.walk(store).await,
        RewrapTurn::Walked(KeyVersion(2))
    );
    assert_eq!(
        hierarchy.destroy(store, hierarchy.now.plus(KEPT)).await,
        KeksDestroyed::Gone(vec![1])
    );
}

async fn what_does_not_open_keeps_the_older_version(fixture: Fixture) {
    let store = &fixture.store;
    let mut hierarchy = Hierarchy::begin(store).await;
    populate(store).await;
    let other: Tenant = "other".parse().unwrap();
    let moved = hierarchy.sealed(&Aad::row(&other, "vault_keys", "wrapped", &[5; 8]));
    store
        .write(move |tx| {
            Box::pin(async move { vault_keys::add(tx, &tenant(), vault_key(moved)).await })
        })
        .await
        .unwrap();
    hierarchy.rotate(store).await.unwrap();
    assert_eq!(hierarchy.walk(store).await, RewrapTurn::Blocked(1));
    assert_eq!(hierarchy.page(store).await, RewrapTurn::Idle, "for a while");
    assert_eq!(hierarchy.destroy(store, later()).await, KeksDestroyed::Not);
    assert_eq!(versions(store).await, [1, 2]);
}

async fn of_two_rotations_at_once_one_happens(fixture: Fixture) {
    let store = &fixture.store;
    let hierarchy = Hierarchy::begin(store).await;
    let next = |random: &Random| {
        let next = KekSet::new(
            vec![
                Kek::unwrap(
                    &hierarchy.root,
                    &hierarchy
                        .keks
                        .current()
                        .wrap(&hierarchy.root, random)
                        .unwrap(),
                )
                .unwrap(),
            ],
            KeyVersion(1),
        );
        row_of(
            &next.unwrap().rotate(random).unwrap(),
            &hierarchy.root,
            random,
        )
    };
    let id = hierarchy.keks.current().id();
    let (one, two) = (next(&hierarchy.random), next(&hierarchy.random));
    let results = tokio::join!(
        store.begin_kek_rotation(id, one, event()),
        store.begin_kek_rotation(id, two, event())
    );
    let results = [results.0, results.1];
    let lost = |result: &&Result<(), StoreError>| matches!(result, Err(StoreError::Conflict(..)));
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(results.iter().filter(lost).count(), 1, "{results:?}");
    assert_eq!(versions(store).await, [1, 2]);
}

async fn no_more_versions_are_made_than_may_be(fixture: Fixture) {
    let store = &fixture.store;
    let mut hierarchy = Hierarchy::begin(store).await;
    for _ in 1..countersign_store::KEK_VERSIONS_MAX {
        hierarchy.rotate(store).await.unwrap();
    }
    assert!(matches!(
        hierarchy.rotate(store).await,
        Err(StoreError::Full("keks"))
    ));
    let newest = KeyVersion(16);
    assert_eq!(hierarchy.walk(store).await, RewrapTurn::Walked(newest));
    assert_eq!(
        hierarchy.destroy(store, later()).await,
        KeksDestroyed::Gone((1..16).collect())
    );
}
