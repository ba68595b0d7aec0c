//! Identity providers, links and the sessions that came of them: each ends with what it came of.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{USER, event, populate, session, tag, tenant};
use countersign_base::{Bounded, SessionId, UnixTime};
use countersign_federation::id_token::UpstreamSubject;
use countersign_federation::provider::ProviderState;
use countersign_federation::{LinkOrigin, LinkRecord, PendingLogin, ProviderRecord};
use countersign_federation::{LoginPurpose, login::Freshness};
use countersign_oauth::{Session, Taken};
use countersign_store::tables::upstream_sessions::UpstreamSession;
use countersign_store::tables::{identity_providers, one_time, sessions, upstream_links, users};
use countersign_store::{
    Constraint, HandleHash, Judged, NewOneTime, Settled, Store, StoreError, UpstreamState, Write,
};

behaviours! {
    rt_13_a59_a_disabled_provider_ends_its_sessions,
    rt_13_a59_an_ended_link_ends_the_sessions_of_its_person,
    a59_no_session_begins_without_provider_link_and_person,
    a53_an_identity_has_one_link,
    rp_2_a_state_is_spent_once,
}

fn provider() -> ProviderRecord {
    ProviderRecord::new(
        tenant(),
        "corp".parse().unwrap(),
        Bounded::parse("Corp").unwrap(),
        "https://corp.example".parse().unwrap(),
        Bounded::parse("countersign").unwrap(),
    )
}

fn subject() -> UpstreamSubject {
    UpstreamSubject::try_from("7".to_owned()).unwrap()
}

fn link() -> LinkRecord {
    LinkRecord {
        tenant: tenant(),
        provider: provider().name,
        issuer: provider().issuer,
        subject: subject(),
        user: USER,
        origin: LinkOrigin::Person,
        linked: NOW,
    }
}

fn begun(id: u64) -> Write {
    let session = Session {
        id: SessionId::from_u64(id),
        ..session()
    };
    Write::AddUpstreamSession(Box::new(UpstreamSession {
        handle: tag(u8::try_from(id).unwrap()),
        session,
        provider: provider().name,
        issuer: provider().issuer,
        subject: subject(),
    }))
}

async fn change(store: &Store, writes: Vec<Write>) -> Result<(), StoreError> {
    store
        .change(&tenant(), writes, event(), NOW)
        .await
        .map(drop)
}

async fn linked(store: &Store) {
    populate(store).await;
    let provider = Write::PutProvider(Box::new(provider()));
    change(store, vec![provider, Write::AddLink(Box::new(link()))])
        .await
        .unwrap();
}

async fn is_live(store: &Store, id: u64) -> bool {
    let mut connection = store.read().await.unwrap();
    sessions::find(&mut connection, &tenant(), SessionId::from_u64(id))
        .await
        .unwrap()
        .unwrap()
        .is_live(NOW)
}

async fn rt_13_a59_a_disabled_provider_ends_its_sessions(fixture: Fixture) {
    let store = &fixture.store;
    linked(store).await;
    change(store, (100..103).map(begun).collect())
        .await
        .unwrap();
    let same = Write::PutProvider(Box::new(provider()));
    change(store, vec![same]).await.unwrap();
    assert!(is_live(store, 100).await, "the twin");
    let disabled = ProviderRecord {
        state: ProviderState::Disabled,
        ..provider()
    };
    change(store, vec![Write::PutProvider(Box::new(disabled.clone()))])
        .await
        .unwrap();
    for id in 100..103 {
        assert!(!is_live(store, id).await, "{id}");
    }
    let mut connection = store.read().await.unwrap();
    assert_eq!(
        identity_providers::list(&mut connection, &tenant())
            .await
            .unwrap(),
        [disabled]
    );
}

async fn rt_13_a59_an_ended_link_ends_the_sessions_of_its_person(fixture: Fixture) {
    let store = &fixture.store;
    linked(store).await;
    change(store, vec![begun(100)]).await.unwrap();
    assert!(is_live(store, 100).await, "the twin");
    change(store, vec![Write::RemoveLinks(provider().name, USER)])
        .await
        .unwrap();
    assert!(!is_live(store, 100).await);
    let mut connection = store.read().await.unwrap();
    assert!(
        upstream_links::of_user(&mut connection, &tenant(), USER)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a59_no_session_begins_without_provider_link_and_person(fixture: Fixture) {
    let store = &fixture.store;
    linked(store).await;
    change(store, vec![begun(100)]).await.unwrap();
    let refused = async |before: Write, table: &str| {
        change(store, vec![before]).await.unwrap();
        let refused = change(store, vec![begun(101)]).await;
        assert!(
            matches!(&refused, Err(StoreError::Superseded(named)) if *named == table),
            "{table}: {refused:?}"
        );
    };
    let mut connection = store.read().await.unwrap();
    let person = users::find(&mut connection, &tenant(), USER)
        .await
        .unwrap()
        .unwrap();
    drop(connection);
    let mut disabled = person.clone();
    disabled.enabled = false;
    refused(Write::PutUser(Box::new(disabled)), "users").await;
    change(store, vec![Write::PutUser(Box::new(person))])
        .await
        .unwrap();
    let moved = ProviderRecord {
        issuer: "https://moved.example".parse().unwrap(),
        ..provider()
    };
    refused(Write::PutProvider(Box::new(moved)), "identity_providers").await;
    change(store, vec![Write::PutProvider(Box::new(provider()))])
        .await
        .unwrap();
    refused(Write::RemoveLinks(provider().name, USER), "upstream_links").await;
}

async fn a53_an_identity_has_one_link(fixture: Fixture) {
    let store = &fixture.store;
    linked(store).await;
    let refused = change(store, vec![Write::AddLink(Box::new(link()))]).await;
    assert!(matches!(
        refused,
        Err(StoreError::Conflict(Constraint::Unique, _))
    ));
    let mut connection = store.read().await.unwrap();
    let (name, issuer) = (provider().name, provider().issuer);
    let found = upstream_links::find(&mut connection, &tenant(), &name, &issuer, &subject()).await;
    assert_eq!(found.unwrap(), Some(link()));
    let moved = "https://moved.example".parse().unwrap();
    let found = upstream_links::find(&mut connection, &tenant(), &name, &moved, &subject()).await;
    assert_eq!(found.unwrap(), None, "behind another issuer it is nobody");
}

async fn rp_2_a_state_is_spent_once(fixture: Fixture) {
    let store = &fixture.store;
    linked(store).await;
    let pending = PendingLogin {
        provider: provider().name,
        issuer: provider().issuer,
        browser: tag(1),
        purpose: LoginPurpose::SignIn {
            ticket: "ticket".to_owned(),
        },
        freshness: Freshness::Any,
        begun: NOW,
    };
    let handle: HandleHash<UpstreamState> = crate::sample::handle("state");
    let new = NewOneTime::new::<UpstreamState>(&handle, &pending, pending.expires()).unwrap();
    change(store, vec![Write::AddOneTime(new)]).await.unwrap();
    let take = async |now: UnixTime| {
        let judge = move |taken: Taken<PendingLogin>| match taken {
            Taken::Fresh(_) => Judged::Commit {
                permit: (),
                writes: Vec::new(),
                event: event(),
            },
            Taken::Spent(_) => Judged::Refuse { error: "spent" },
            Taken::Unknown => Judged::Refuse { error: "unknown" },
        };
        let settled = store
            .spend::<UpstreamState, (), &'static str, _>(&tenant(), handle.clone(), now, judge)
            .await
            .unwrap();
        match settled {
            Settled::Permitted(_) => "permitted",
            Settled::Refused(_) => "refused",
            Settled::RefusedUnrecorded(why) => why,
        }
    };
    assert_eq!(take(NOW).await, "permitted", "the twin");
    assert_eq!(take(NOW).await, "spent");
    let mut connection = store.read().await.unwrap();
    assert!(matches!(
        one_time::find(&mut connection, &tenant(), &handle, NOW).await,
        Ok(Taken::Spent(_))
    ));
}
