//! The typed tables: what goes in comes out, and only in its own tenant.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{
    SESSION, USER, client_record, event, event_id, family, grant, group_record, other_tenant,
    populate, portal, session, tag, tenant, tenant_record, user_record,
};
use countersign_base::{Bounded, ClientId, Duration, GrantId, SessionId, Tenant, UnixTime, UserId};
use countersign_crypto::jose::{Algorithm, KeyAlgorithm};
use countersign_keys::rotation::SigningKeyState;
use countersign_oauth::client::Origin;
use countersign_oauth::{ConsentRecord, StoredPassword, UserRecord};
use countersign_store::audit::Outbox;
use countersign_store::tables::event_details::{self, EventDetail};
use countersign_store::tables::keks::{self, KekRow};
use countersign_store::tables::settings::{self, Setting};
use countersign_store::tables::signing_keys::{self, SigningKeyRecord};
use countersign_store::tables::subject_keys::{self, SubjectKey};
use countersign_store::tables::throttle::Allowance;
use countersign_store::tables::users::{Held, NewPassword, RenewedPassword};
use countersign_store::tables::{
    clients, consents, grants, refresh_families, sessions, tenants, throttle, user_groups, users,
};
use countersign_store::{Connection, Constraint, Store, StoreError, Write};
use std::collections::BTreeSet;

behaviours! {
    clients_are_added_once_listed_in_pages_and_kept_apart_by_tenant,
    people_come_with_their_groups,
    a_username_is_taken_once_in_a_tenant,
    a_person_is_held_as_they_were_judged,
    a_new_password_ends_every_other_session,
    a_stronger_hash_replaces_the_one_it_was_compared_with_alone,
    sessions_are_found_by_cookie_and_end_for_good,
    consents_follow_their_client,
    signing_keys_move_from_the_state_they_are_in,
    single_values_are_decided_by_the_first,
    an_erased_key_stays_erased,
    details_stay_with_their_event,
    failures_are_counted_within_their_window,
    a62_guesses_have_an_end_that_is_forgotten_in_time,
    a_change_is_committed_with_its_event_or_not_at_all,
    the_outbox_gives_until_it_is_emptied,
    many_rows_go_in_together_or_not_at_all,
}

async fn change(store: &Store, writes: Vec<Write>) -> Result<(), StoreError> {
    store
        .change(&tenant(), writes, event(), NOW)
        .await
        .map(drop)
}

fn named(id: &str) -> Write {
    let mut record = client_record();
    record.id = id.parse().unwrap();
    Write::AddClient(Box::new(record))
}

async fn clients_are_added_once_listed_in_pages_and_kept_apart_by_tenant(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    change(store, vec![named("a"), named("b"), named("c")])
        .await
        .unwrap();
    let refused = change(store, vec![named("d"), named("a")]).await;
    assert!(matches!(
        refused,
        Err(StoreError::Conflict(Constraint::Unique, _))
    ));
    let mut connection = store.read().await.unwrap();
    let mut page = async |after: Option<&str>| {
        let after: Option<ClientId> = after.map(|id| id.parse().unwrap());
        let page = clients::list(&mut connection, &tenant(), after.as_ref(), 2)
            .await
            .unwrap();
        page.iter()
            .map(|client| client.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(page(None).await, ["a", "b"]);
    assert_eq!(page(Some("b")).await, ["c", "portal"]);
    assert_eq!(page(Some("portal")).await, [""; 0]);
    assert_eq!(
        clients::find(&mut connection, &other_tenant(), &portal())
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        clients::find(&mut connection, &tenant(), &portal())
            .await
            .unwrap(),
        Some(client_record())
    );
    assert_eq!(
        tenants::all(&mut connection).await.unwrap(),
        [tenant_record(&tenant())]
    );
}

async fn people_come_with_their_groups(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let mut connection = store.read().await.unwrap();
    let name = "alice".parse().unwrap();
    assert_eq!(
        users::find_by_name(&mut connection, &tenant(), &name)
            .await
            .unwrap(),
        Some(user_record())
    );
    assert_eq!(
        user_groups::of_user(&mut connection, &tenant(), USER)
            .await
            .unwrap(),
        [group_record()]
    );
    assert_eq!(
        users::find_by_name(&mut connection, &other_tenant(), &name)
            .await
            .unwrap(),
        None
    );

    let mut stray = user_record();
    stray.groups = BTreeSet::from(["no-such-group".parse().unwrap()]);
    let refused = change(store, vec![Write::PutUser(Box::new(stray))]).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(Constraint::Reference, _))),
        "{refused:?}"
    );

    change(store, vec![Write::RemoveGroup("staff".parse().unwrap())])
        .await
        .unwrap();
    let alice = users::find(&mut connection, &tenant(), USER)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        alice.groups,
        BTreeSet::new(),
        "a group that is gone has no members"
    );
    change(store, vec![Write::RemoveUser(USER)]).await.unwrap();
    assert_eq!(
        users::find(&mut connection, &tenant(), USER).await.unwrap(),
        None
    );
}

async fn a_username_is_taken_once_in_a_tenant(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let mut twin = user_record();
    twin.id = countersign_base::UserId::from_bytes([8; 16]);
    let refused = change(store, vec![Write::AddUser(Box::new(twin.clone()))]).await;
    assert!(matches!(
        refused,
        Err(StoreError::Conflict(Constraint::Unique, _))
    ));
    let refused = change(store, vec![Write::PutUser(Box::new(twin.clone()))]).await;
    assert!(matches!(
        refused,
        Err(StoreError::Conflict(Constraint::Unique, _))
    ));
    // Twins: another name here, the same name in another tenant.
    twin.groups = BTreeSet::new();
    let elsewhere: Tenant = other_tenant();
    let writes = vec![
        Write::PutTenant(Box::new(tenant_record(&elsewhere))),
        Write::AddUser(Box::new(twin.clone())),
    ];
    store
        .change(&elsewhere, writes, event(), NOW)
        .await
        .unwrap();
    twin.username = "alice2".parse().unwrap();
    change(store, vec![Write::AddUser(Box::new(twin))])
        .await
        .unwrap();
}

async fn a_person_is_held_as_they_were_judged(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let password = |text: &str| StoredPassword::new(text.to_owned());
    let hold = async |held: Held| change(store, vec![Write::HoldUser(USER, held)]).await;
    let put = async |enabled: bool, text: &str| {
        let mut record = user_record();
        record.enabled = enabled;
        record.password = Some(password(text));
        change(store, vec![Write::PutUser(Box::new(record))])
            .await
            .unwrap();
    };
    put(true, "one").await;
    hold(Held::Enabled).await.unwrap();
    hold(Held::Password(password("one"))).await.unwrap();
    put(true, "two").await;
    hold(Held::Enabled).await.unwrap();
    let superseded = hold(Held::Password(password("one"))).await;
    assert!(matches!(superseded, Err(StoreError::Superseded("users"))));
    put(false, "two").await;
    for held in [Held::Enabled, Held::Password(password("two"))] {
        let disabled = hold(held).await;
        assert!(matches!(disabled, Err(StoreError::Superseded("users"))));
    }
}

async fn a_new_password_ends_every_other_session(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let mut record = user_record();
    record.origin = Origin::Script;
    record.password = Some(StoredPassword::new("one".to_owned()));
    let put = |record: &UserRecord| vec![Write::PutUser(Box::new(record.clone()))];
    change(store, put(&record)).await.unwrap();
    for number in 0..3 {
        let mut other = session();
        other.id = SessionId::from_u64(1_000 + u64::from(number));
        // One of them expired long ago; its refresh tokens may live.
        other.expires = NOW.plus(Duration::from_secs(u64::from(number)));
        let added = Write::AddSession(tag(50 + number), Box::new(other));
        change(store, vec![added]).await.unwrap();
    }
    let set = async |before: &str| {
        let new = NewPassword {
            user: USER,
            before: Some(StoredPassword::new(before.to_owned())),
            after: StoredPassword::new("two".to_owned()),
            session: SESSION,
        };
        change(store, vec![Write::SetPassword(Box::new(new))]).await
    };
    let superseded = |done| matches!(done, Err(StoreError::Superseded("users")));
    assert!(superseded(set("another").await));
    let mut declared = record.clone();
    declared.origin = Origin::Configuration;
    change(store, put(&declared)).await.unwrap();
    assert!(superseded(set("one").await), "the configuration has it");
    change(store, put(&record)).await.unwrap();
    let mut connection = store.read().await.unwrap();
    let ended = async |connection: &mut Connection, id: SessionId| {
        let found = sessions::find(connection, &tenant(), id).await;
        found.unwrap().unwrap().ended.is_some()
    };
    assert!(!ended(&mut connection, SessionId::from_u64(1_000)).await);
    set("one").await.unwrap();
    for number in 0..3 {
        assert!(ended(&mut connection, SessionId::from_u64(1_000 + number)).await);
    }
    assert!(!ended(&mut connection, SESSION).await, "the twin");
    assert!(superseded(set("one").await), "somebody was first");
}

async fn a_stronger_hash_replaces_the_one_it_was_compared_with_alone(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let put = async |enabled: bool, text: &str| {
        let mut record = user_record();
        record.password = Some(StoredPassword::new(text.to_owned()));
        record.enabled = enabled;
        change(store, vec![Write::PutUser(Box::new(record))])
            .await
            .unwrap();
    };
    let renew = async |before: &str| {
        let renewed = RenewedPassword {
            user: USER,
            before: StoredPassword::new(before.to_owned()),
            after: StoredPassword::new("strong".to_owned()),
        };
        change(store, vec![Write::RenewPassword(Box::new(renewed))]).await
    };
    let superseded = |done| matches!(done, Err(StoreError::Superseded("users")));
    put(true, "weak").await;
    assert!(superseded(renew("another").await), "changed meanwhile");
    put(false, "weak").await;
    assert!(superseded(renew("weak").await), "disabled meanwhile");
    put(true, "weak").await;
    renew("weak").await.unwrap();
    assert!(superseded(renew("weak").await), "somebody was first");
    let mut connection = store.read().await.unwrap();
    let found = users::find(&mut connection, &tenant(), USER).await.unwrap();
    assert_eq!(found.unwrap().password.unwrap().phc(), "strong");
    let session = sessions::find(&mut connection, &tenant(), SESSION).await;
    assert!(session.unwrap().unwrap().ended.is_none(), "no session ends");
}

async fn sessions_are_found_by_cookie_and_end_for_good(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let mut connection = store.read().await.unwrap();
    assert_eq!(
        sessions::find_by_handle(&mut connection, &tenant(), &tag(9))
            .await
            .unwrap(),
        Some(session())
    );
    assert_eq!(
        sessions::find_by_handle(&mut connection, &tenant(), &tag(8))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        sessions::find_by_handle(&mut connection, &other_tenant(), &tag(9))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        sessions::of_user(&mut connection, &tenant(), USER, 10, NOW)
            .await
            .unwrap(),
        [session()]
    );
    assert_eq!(
        sessions::of_user(&mut connection, &tenant(), USER, 10, session().expires)
            .await
            .unwrap(),
        []
    );
    change(store, vec![Write::EndSession(SESSION)])
        .await
        .unwrap();
    let later = NOW.plus(Duration::from_secs(5));
    store
        .change(&tenant(), vec![Write::EndSession(SESSION)], event(), later)
        .await
        .unwrap();
    let ended = sessions::find(&mut connection, &tenant(), SESSION)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.ended, Some(NOW), "it ended when it ended first");
    assert_eq!(
        sessions::of_user(&mut connection, &tenant(), USER, 10, NOW)
            .await
            .unwrap(),
        []
    );
}

async fn consents_follow_their_client(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let consent = ConsentRecord {
        tenant: tenant(),
        user: USER,
        client: portal(),
        scopes: "orders:read".parse().unwrap(),
        audiences: BTreeSet::new(),
        claims: BTreeSet::new(),
        granted: NOW,
    };
    change(store, vec![Write::PutConsent(Box::new(consent.clone()))])
        .await
        .unwrap();
    let mut connection = store.read().await.unwrap();
    assert_eq!(
        consents::find(&mut connection, &tenant(), USER, &portal())
            .await
            .unwrap(),
        Some(consent)
    );
    change(store, vec![Write::RemoveClient(portal())])
        .await
        .unwrap();
    assert_eq!(
        consents::find(&mut connection, &tenant(), USER, &portal())
            .await
            .unwrap(),
        None
    );
    // A client of the same name that comes later inherits nothing.
    change(store, vec![Write::AddClient(Box::new(client_record()))])
        .await
        .unwrap();
    assert_eq!(
        consents::find(&mut connection, &tenant(), USER, &portal())
            .await
            .unwrap(),
        None
    );
}

async fn signing_keys_move_from_the_state_they_are_in(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let key = SigningKeyRecord {
        tenant: tenant(),
        kid: "k1".parse().unwrap(),
        purpose: "access_token".to_owned(),
        algorithm: KeyAlgorithm::Signature(Algorithm::Es256),
        state: SigningKeyState::Next,
        public_jwk: "{}".to_owned(),
        sealed: vec![1, 2, 3],
        created: NOW,
        changed: NOW,
    };
    change(store, vec![Write::AddSigningKey(Box::new(key.clone()))])
        .await
        .unwrap();
    let step = || {
        Write::MoveSigningKey(
            key.kid.clone(),
            SigningKeyState::Next,
            SigningKeyState::Current,
        )
    };
    change(store, vec![step()]).await.unwrap();
    let again = change(store, vec![step()]).await;
    assert!(
        matches!(again, Err(StoreError::Superseded("signing_keys"))),
        "another node was first: {again:?}"
    );
    let mut connection = store.read().await.unwrap();
    let found = signing_keys::list(&mut connection, &tenant())
        .await
        .unwrap();
    assert!(
        found
            == [SigningKeyRecord {
                state: SigningKeyState::Current,
                ..key
            }]
    );
    assert!(
        signing_keys::list(&mut connection, &other_tenant())
            .await
            .unwrap()
            .is_empty()
    );
}

async fn single_values_are_decided_by_the_first(fixture: Fixture) {
    let store = &fixture.store;
    let put = |value: u8| {
        store.write(move |tx| {
            Box::pin(async move { settings::put_first(tx, Setting::Issuer, vec![value]).await })
        })
    };
    assert_eq!(put(1).await.unwrap(), [1]);
    assert_eq!(put(2).await.unwrap(), [1]);
    let kek = KekRow {
        version: 1,
        wrapped: vec![1],
        created: NOW,
    };
    let add = || {
        let kek = kek.clone();
        store.write(move |tx| Box::pin(async move { keks::add(tx, &kek).await }))
    };
    add().await.unwrap();
    assert!(matches!(
        add().await,
        Err(StoreError::Conflict(Constraint::Unique, _))
    ));
    let mut connection = store.read().await.unwrap();
    assert!(keks::all(&mut connection).await.unwrap() == [kek]);
    assert_eq!(
        settings::find(&mut connection, Setting::LogSigned)
            .await
            .unwrap(),
        None
    );
}

async fn an_erased_key_stays_erased(fixture: Fixture) {
    let store = &fixture.store;
    let put = |wrapped: u8| {
        store.write(move |tx| {
            Box::pin(async move {
                subject_keys::put_first(tx, &tenant(), USER, (vec![wrapped], [1; 8]), NOW).await
            })
        })
    };
    assert!(put(1).await.unwrap() == SubjectKey::Wrapped(vec![1]));
    assert!(
        put(2).await.unwrap() == SubjectKey::Wrapped(vec![1]),
        "the first one stands"
    );
    store
        .write(|tx| Box::pin(async move { subject_keys::erase(tx, &tenant(), USER, NOW).await }))
        .await
        .unwrap();
    assert!(
        put(3).await.unwrap() == SubjectKey::Erased(NOW),
        "there is no second key for a person who was erased"
    );
    let mut connection = store.read().await.unwrap();
    assert!(
        subject_keys::find(&mut connection, &other_tenant(), USER)
            .await
            .unwrap()
            == SubjectKey::Absent
    );
}

async fn details_stay_with_their_event(fixture: Fixture) {
    let store = &fixture.store;
    let detail = EventDetail {
        event: event_id(),
        user: Some(USER),
        salt: [5; 16],
        sealed: vec![9; 40],
        expires: NOW,
    };
    change(store, vec![Write::Detail(detail.clone())])
        .await
        .unwrap();
    let mut connection = store.read().await.unwrap();
    let found = event_details::find(&mut connection, &tenant(), detail.event)
        .await
        .unwrap();
    assert_eq!(found, Some((Some(USER), [5; 16], vec![9; 40])));
    assert_eq!(
        event_details::find(&mut connection, &other_tenant(), detail.event)
            .await
            .unwrap(),
        None
    );
}

async fn failures_are_counted_within_their_window(fixture: Fixture) {
    let store = &fixture.store;
    let window = Duration::from_secs(60);
    let fail = |now| {
        store.write(move |tx| {
            Box::pin(async move { throttle::fail(tx, &tenant(), &tag(1), window, now).await })
        })
    };
    let mut connection = store.read().await.unwrap();
    fail(NOW).await.unwrap();
    let later = NOW.plus(Duration::from_secs(30));
    fail(later).await.unwrap();
    let counted = throttle::find(&mut connection, &tenant(), &tag(1), later)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((counted.count, counted.last), (2, later));
    assert_eq!(
        throttle::find(&mut connection, &tenant(), &tag(2), later)
            .await
            .unwrap(),
        None
    );
    let much_later = later.plus(window);
    assert_eq!(
        throttle::find(&mut connection, &tenant(), &tag(1), much_later)
            .await
            .unwrap(),
        None
    );
    fail(much_later).await.unwrap();
    assert_eq!(
        throttle::find(&mut connection, &tenant(), &tag(1), much_later)
            .await
            .unwrap()
            .unwrap()
            .count,
        1
    );
    store
        .write(|tx| Box::pin(async move { throttle::clear(tx, &tenant(), &tag(1)).await }))
        .await
        .unwrap();
    assert_eq!(
        throttle::find(&mut connection, &tenant(), &tag(1), much_later)
            .await
            .unwrap(),
        None
    );
}

async fn a62_guesses_have_an_end_that_is_forgotten_in_time(fixture: Fixture) {
    let store = &fixture.store;
    let window = Duration::from_secs(60);
    let begin = async |at: UnixTime| {
        let begun = store.write(move |tx| {
            let guess = async move { throttle::begin(tx, &tenant(), &tag(3), 3, window, at).await };
            Box::pin(guess)
        });
        begun.await.unwrap()
    };
    for number in 1..=3 {
        assert_eq!(begin(NOW).await, Allowance::Left(number));
    }
    let last = NOW.plus(Duration::from_secs(59));
    assert_eq!(begin(last).await, Allowance::Spent);
    let later = NOW.plus(window);
    assert_eq!(
        begin(later).await,
        Allowance::Left(1),
        "what is refused keeps nothing alive"
    );
    assert_eq!(begin(later).await, Allowance::Left(2));
    change(store, vec![Write::ClearFailures(tag(3))])
        .await
        .unwrap();
    let at_once: Vec<Allowance> =
        futures_util::future::join_all((0..9).map(|_| begin(later))).await;
    let mut numbers: Vec<i64> = at_once
        .iter()
        .filter_map(|allowance| match allowance {
            Allowance::Left(number) => Some(*number),
            Allowance::Spent => None,
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3], "{at_once:?}");
}

async fn a_change_is_committed_with_its_event_or_not_at_all(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let before = store.peek(10).await.unwrap().len();
    assert!(
        change(store, vec![named("new"), named("portal")])
            .await
            .is_err()
    );
    let mut connection = store.read().await.unwrap();
    assert_eq!(
        clients::find(&mut connection, &tenant(), &"new".parse().unwrap())
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store.peek(10).await.unwrap().len(),
        before,
        "no event of what did not happen"
    );
    change(store, vec![named("new")]).await.unwrap();
    assert_eq!(store.peek(10).await.unwrap().len(), before + 1);
}

async fn the_outbox_gives_until_it_is_emptied(fixture: Fixture) {
    let store = &fixture.store;
    let events = [event(), event(), event()];
    for event in &events {
        store
            .change(&tenant(), Vec::new(), event.clone(), NOW)
            .await
            .unwrap();
    }
    let rows = store.peek(2).await.unwrap();
    assert_eq!(store.peek(2).await.unwrap(), rows, "looking takes nothing");
    let records: Vec<_> = rows.iter().map(|row| row.record.clone()).collect();
    let expected: Vec<_> = events
        .iter()
        .take(2)
        .map(|event| event.encode().into_bytes())
        .collect();
    assert_eq!(records, expected);
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    store.remove(ids.clone()).await.unwrap();
    store.remove(ids.clone()).await.unwrap();
    let rest = store.peek(10).await.unwrap();
    assert_eq!(rest.len(), 1);
    store
        .remove(rest.iter().map(|row| row.id).collect())
        .await
        .unwrap();
    // An id is never used again, also when the table was empty in between.
    store
        .change(&tenant(), Vec::new(), event(), NOW)
        .await
        .unwrap();
    let next = store.peek(10).await.unwrap();
    assert!(
        next.iter()
            .all(|row| rest.iter().all(|removed| row.id > removed.id))
    );
}

async fn many_rows_go_in_together_or_not_at_all(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let mut registered = [client_record(), client_record()];
    registered[0].id = "first".parse().unwrap();
    registered[1].id = "second".parse().unwrap();
    registered[1].name = Bounded::parse("\"quoted\" \\ \u{1f511}").unwrap();
    let mut given = [grant(), grant()];
    // Ids and people of which every byte counts, and one grant that was revoked.
    given[1].id = GrantId::from_u64(1);
    given[1].user = UserId::from_bytes([0xff, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0]);
    given[1].revoked = Some(NOW);
    let mut families = [family(), family()];
    families[1].id = countersign_oauth::FamilyId::from_u64(2);
    families[1].grant = given[1].id;
    families[1].revoked = Some(NOW);
    add_many(store, &registered, &given, &families)
        .await
        .unwrap();
    let mut connection = store.read().await.unwrap();
    for record in &registered {
        let found = clients::find(&mut connection, &tenant(), &record.id).await;
        assert_eq!(found.unwrap().as_ref(), Some(record));
        let elsewhere = clients::find(&mut connection, &other_tenant(), &record.id).await;
        assert_eq!(elsewhere.unwrap(), None);
    }
    for grant in &given {
        let found = grants::find(&mut connection, &tenant(), grant.id).await;
        assert_eq!(found.unwrap().as_ref(), Some(grant));
    }
    let of_user = grants::of_user(&mut connection, &tenant(), USER, 10, NOW).await;
    assert_eq!(of_user.unwrap(), [given[0].clone()]);
    for family in &families {
        let found = refresh_families::find(&mut connection, &tenant(), family.id).await;
        assert_eq!(found.unwrap().as_ref(), Some(family));
    }
    drop(connection);
    registered[0].id = "third".parse().unwrap();
    let refused = add_many(store, &registered, &[], &[]).await;
    assert!(matches!(
        refused,
        Err(StoreError::Conflict(Constraint::Unique, _))
    ));
    let mut connection = store.read().await.unwrap();
    let third = clients::find(&mut connection, &tenant(), &registered[0].id).await;
    assert_eq!(third.unwrap(), None, "one of two was taken: none is added");
}

async fn add_many(
    store: &Store,
    registered: &[countersign_oauth::ClientRecord],
    given: &[countersign_oauth::GrantRecord],
    families: &[countersign_oauth::RefreshFamily],
) -> Result<(), StoreError> {
    let (registered, given, families) = (registered.to_vec(), given.to_vec(), families.to_vec());
    store
        .write(move |tx| {
            Box::pin(async move {
                clients::add_all(tx, &tenant(), &registered, NOW).await?;
                grants::add_all(tx, &tenant(), &given).await?;
                refresh_families::add_all(tx, &tenant(), &families).await
            })
        })
        .await
}
