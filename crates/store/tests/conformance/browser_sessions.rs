//! Sessions of browsers at the gateway: found by their cookie alone, replaced, bounded, refreshed by one, ended.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{event, other_tenant, tenant};
use countersign_base::{Duration, Tenant, UnixTime};
use countersign_crypto::mac::Tag;
use countersign_store::tables::browser_sessions::{
    self, BrowserSession, NewBrowserSession, Replaced, SESSIONS_MAX, Whose,
};
use countersign_store::{Sweep, Swept, Write};

behaviours! {
    a_session_is_found_by_its_own_handle_in_its_own_tenant,
    a61_a_new_session_takes_the_place_of_the_one_before,
    a_person_has_so_many_sessions_and_the_oldest_go,
    of_two_that_refresh_at_once_one_is_kept,
    r59_what_the_issuer_ends_is_what_began_before_it_said_so,
}

const fn tag(byte: u8) -> Tag {
    Tag::from_bytes([byte; 32])
}

fn new(handle: u8) -> NewBrowserSession {
    NewBrowserSession {
        handle: tag(handle),
        replaces: None,
        name: "portal".to_owned(),
        subject: tag(200),
        upstream_session: Some(tag(201)),
        sealed: vec![handle],
        expires: NOW.plus(Duration::from_secs(3600)),
    }
}

async fn change(fixture: &Fixture, writes: Vec<Write>, now: UnixTime) {
    fixture
        .store
        .change(&tenant(), writes, event(), now)
        .await
        .unwrap();
}

async fn add(fixture: &Fixture, new: NewBrowserSession, now: UnixTime) {
    change(fixture, vec![Write::AddBrowserSession(Box::new(new))], now).await;
}

async fn found_in(fixture: &Fixture, tenant: &Tenant, handle: u8) -> Option<BrowserSession> {
    let mut connection = fixture.store.read().await.unwrap();
    browser_sessions::find(&mut connection, tenant, &tag(handle))
        .await
        .unwrap()
}

async fn found(fixture: &Fixture, handle: u8) -> Option<BrowserSession> {
    found_in(fixture, &tenant(), handle).await
}

async fn a_session_is_found_by_its_own_handle_in_its_own_tenant(fixture: Fixture) {
    add(&fixture, new(1), NOW).await;
    let session = found(&fixture, 1).await.unwrap();
    assert_eq!((session.name.as_str(), session.sealed), ("portal", vec![1]));
    assert_eq!((session.created, session.used), (NOW, NOW));
    assert!(found(&fixture, 2).await.is_none());
    assert!(found_in(&fixture, &other_tenant(), 1).await.is_none());
    let later = NOW.plus(Duration::from_secs(60));
    for used in [later, NOW] {
        fixture
            .store
            .browser_session_used(&tenant(), &tag(1), used)
            .await
            .unwrap();
    }
    assert_eq!(found(&fixture, 1).await.unwrap().used, later);
    let sweep = *Sweep::ALL
        .iter()
        .find(|sweep| sweep.table() == "browser_sessions")
        .unwrap();
    let expires = new(1).expires;
    assert_eq!(
        fixture.store.sweep(sweep, expires).await.unwrap(),
        Swept::Clean
    );
    assert!(found(&fixture, 1).await.is_some());
    let after = expires.plus(Duration::from_secs(1));
    fixture.store.sweep(sweep, after).await.unwrap();
    assert!(found(&fixture, 1).await.is_none());
}

async fn a61_a_new_session_takes_the_place_of_the_one_before(fixture: Fixture) {
    add(&fixture, new(1), NOW).await;
    let mut next = new(2);
    next.replaces = Some(tag(1));
    add(&fixture, next, NOW).await;
    assert!(found(&fixture, 1).await.is_none());
    assert!(found(&fixture, 2).await.is_some());
    change(&fixture, vec![Write::EndBrowserSession(tag(2))], NOW).await;
    assert!(found(&fixture, 2).await.is_none());
}

async fn a_person_has_so_many_sessions_and_the_oldest_go(fixture: Fixture) {
    let count = u8::try_from(SESSIONS_MAX).unwrap();
    for number in 0..=count {
        let at = NOW.plus(Duration::from_secs(u64::from(number)));
        add(&fixture, new(number), at).await;
    }
    let mut other = new(100);
    other.subject = tag(202);
    add(&fixture, other, NOW).await;
    assert!(found(&fixture, 0).await.is_none());
    for number in 1..=count {
        assert!(found(&fixture, number).await.is_some(), "{number}");
    }
    assert!(found(&fixture, 100).await.is_some(), "somebody else's");
}

async fn of_two_that_refresh_at_once_one_is_kept(fixture: Fixture) {
    add(&fixture, new(1), NOW).await;
    let replace = async |generation, sealed: Vec<u8>| {
        fixture
            .store
            .replace_browser_tokens(&tenant(), &tag(1), generation, sealed)
            .await
            .unwrap()
    };
    assert_eq!(replace(0, vec![7]).await, Replaced::Yes);
    assert_eq!(replace(0, vec![8]).await, Replaced::No);
    let session = found(&fixture, 1).await.unwrap();
    assert_eq!((session.sealed, session.generation), (vec![7], 1));
    assert_eq!(replace(1, vec![9]).await, Replaced::Yes);
}

async fn r59_what_the_issuer_ends_is_what_began_before_it_said_so(fixture: Fixture) {
    let later = NOW.plus(Duration::from_secs(10));
    add(&fixture, new(1), NOW).await;
    add(&fixture, new(2), later).await;
    let mut another = new(3);
    another.upstream_session = Some(tag(203));
    add(&fixture, another, NOW).await;
    let end = |whose: Whose| Write::EndBrowserSessions {
        name: "portal".to_owned(),
        whose,
        said: NOW,
    };
    let of_another_name = Write::EndBrowserSessions {
        name: "other".to_owned(),
        whose: Whose::Subject(tag(200)),
        said: later,
    };
    change(
        &fixture,
        vec![of_another_name, end(Whose::Session(tag(201)))],
        later,
    )
    .await;
    assert!(found(&fixture, 1).await.is_none());
    assert!(found(&fixture, 2).await.is_some(), "it began afterwards");
    assert!(found(&fixture, 3).await.is_some(), "another sign-in");
    change(&fixture, vec![end(Whose::Subject(tag(200)))], later).await;
    assert!(found(&fixture, 3).await.is_none());
    assert!(found(&fixture, 2).await.is_some());
}
