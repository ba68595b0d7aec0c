//! Opaque access tokens, and what a person may list and end.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{
    GRANT, USER, client_record, code, event, grant, handle, issuer, other_tenant, populate, portal,
    public_client, tenant,
};
use countersign_authn::SubjectId;
use countersign_authn::access_token::{AccessTokenClaims, Act, AuthorizationDetails};
use countersign_base::{Bounded, Duration, Secret, UnixTime};
use countersign_crypto::mac::MacKey;
use countersign_oauth::{Change, ConsentRecord, Taken};
use countersign_store::tables::access_tokens::{self, ListedToken, NewAccessToken};
use countersign_store::tables::{consents, grants, one_time};
use countersign_store::{
    AuthorizationCode, Connection, Judged, NewOneTime, Presented, Sweep, Swept, Write,
};
use std::collections::{BTreeMap, BTreeSet};

behaviours! {
    an_opaque_token_is_found_by_itself_in_its_own_tenant,
    an_expired_token_is_swept_and_a_live_one_stays,
    r57_a_person_lists_and_ends_what_they_allowed,
    r23_code_2_a_spent_code_is_remembered_as_long_as_its_grant_lives,
}

fn key() -> MacKey {
    MacKey::new(Secret::new([5; 32]))
}

fn claims(expires: UnixTime) -> AccessTokenClaims {
    AccessTokenClaims {
        iss: issuer(),
        sub: SubjectId::User(USER),
        aud: "https://orders.example".parse().unwrap(),
        exp: expires,
        iat: NOW,
        nbf: None,
        jti: Bounded::parse("jti").unwrap(),
        client_id: portal(),
        scope: "orders:read".parse().unwrap(),
        grant_id: Some(GRANT),
        sid: None,
        auth_time: Some(NOW),
        acr: None,
        amr: std::collections::BTreeSet::new(),
        roles: BTreeSet::new(),
        attrs: BTreeMap::new(),
        act: Act::none(),
        may_act: None,
        authorization_details: AuthorizationDetails::none(),
        cnf: None,
    }
}

fn write(token: &str, expires: UnixTime) -> Write {
    let new = NewAccessToken::new(&key(), &tenant(), token, &claims(expires)).unwrap();
    Write::AddAccessToken(Box::new(new))
}

async fn change(fixture: &Fixture, writes: Vec<Write>) {
    fixture
        .store
        .change(&tenant(), writes, event(), NOW)
        .await
        .unwrap();
}

async fn is_found(fixture: &Fixture, token: &str) -> bool {
    let mut connection = fixture.store.read().await.unwrap();
    access_tokens::find(&mut connection, &tenant(), &key(), token)
        .await
        .unwrap()
        .is_some()
}

async fn an_opaque_token_is_found_by_itself_in_its_own_tenant(fixture: Fixture) {
    let later = NOW.plus(Duration::from_secs(300));
    change(&fixture, vec![write("csat_one", later)]).await;
    assert!(is_found(&fixture, "csat_one").await);
    assert!(!is_found(&fixture, "csat_two").await);
    let mut connection = fixture.store.read().await.unwrap();
    let elsewhere = access_tokens::find(&mut connection, &other_tenant(), &key(), "csat_one").await;
    assert!(elsewhere.unwrap().is_none(), "another tenant");
    let another_key = MacKey::new(Secret::new([6; 32]));
    let elsewhere = access_tokens::find(&mut connection, &tenant(), &another_key, "csat_one").await;
    assert!(elsewhere.unwrap().is_none(), "another key");
}

async fn an_expired_token_is_swept_and_a_live_one_stays(fixture: Fixture) {
    let later = NOW.plus(Duration::from_secs(300));
    change(
        &fixture,
        vec![write("csat_old", NOW), write("csat_new", later)],
    )
    .await;
    let sweep = *Sweep::ALL
        .iter()
        .find(|sweep| sweep.table() == "access_tokens")
        .unwrap();
    let now = NOW.plus(Duration::from_secs(61));
    assert_eq!(fixture.store.sweep(sweep, now).await.unwrap(), Swept::Clean);
    assert!(!is_found(&fixture, "csat_old").await);
    assert!(is_found(&fixture, "csat_new").await);
}

async fn r57_a_person_lists_and_ends_what_they_allowed(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let later = NOW.plus(Duration::from_secs(300));
    let consent = |client: &str| ConsentRecord {
        tenant: tenant(),
        user: USER,
        client: client.parse().unwrap(),
        scopes: "orders:read".parse().unwrap(),
        audiences: BTreeSet::new(),
        claims: BTreeSet::new(),
        granted: NOW,
    };
    let (mut other, mut other_grant) = (client_record(), grant());
    other.id = "another".parse().unwrap();
    other_grant.client = other.id.clone();
    other_grant.id = countersign_base::GrantId::from_u64(77);
    let writes = vec![
        Write::AddClient(Box::new(other)),
        Write::PutConsent(Box::new(consent("portal"))),
        Write::PutConsent(Box::new(consent("another"))),
        Change::GrantCreated(grant()).into(),
        Change::GrantCreated(other_grant).into(),
        write("csat_one", later),
    ];
    change(&fixture, writes).await;
    let mut connection = store.read().await.unwrap();
    let listed = access_tokens::of_user(&mut connection, &tenant(), USER, 10, NOW).await;
    let expected = ListedToken {
        client: portal(),
        grant: Some(GRANT),
        expires: later,
    };
    assert_eq!(listed.unwrap(), [expected]);
    let names = async |connection: &mut Connection| {
        let listed = consents::of_user(connection, &tenant(), USER, 10).await;
        let names = listed
            .unwrap()
            .into_iter()
            .map(|consent| consent.client.to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&mut connection).await, ["another", "portal"]);
    change(&fixture, vec![Write::RemoveConsent(USER, portal())]).await;
    assert_eq!(names(&mut connection).await, ["another"]);
    let live = grants::of_user(&mut connection, &tenant(), USER, 10, NOW).await;
    let live: Vec<_> = live
        .unwrap()
        .into_iter()
        .map(|grant| grant.client)
        .collect();
    assert_eq!(
        live,
        ["another".parse().unwrap()],
        "its grant ended with it"
    );
}

async fn r23_code_2_a_spent_code_is_remembered_as_long_as_its_grant_lives(fixture: Fixture) {
    let store = &fixture.store;
    populate(store).await;
    let add = |value: &str| {
        let record = code();
        let new = NewOneTime::new::<AuthorizationCode>(&handle(value), &record, record.expires);
        Write::AddOneTime(new.unwrap())
    };
    change(&fixture, vec![add("redeemed"), add("refused")]).await;
    let mut lasting = grant();
    lasting.expires = NOW.plus(Duration::from_secs(30 * 24 * 3600));
    let ends = lasting.expires;
    let redeemed = store.issue(
        public_client(),
        Presented::Code(handle("redeemed")),
        NOW,
        |_, _| Judged::<(), ()>::Commit {
            permit: (),
            writes: vec![Change::GrantCreated(lasting).into()],
            event: event(),
        },
    );
    assert!(redeemed.await.unwrap().is_ok());
    let refused = store.issue(
        public_client(),
        Presented::Code(handle("refused")),
        NOW,
        |_, _| Judged::<(), ()>::Refuse { error: () },
    );
    assert!(refused.await.unwrap().is_ok());
    store.sweep_all(UnixTime(ends.0 - 1)).await.unwrap();
    let mut connection = store.read().await.unwrap();
    let seen = async |connection: &mut Connection, value: &str| {
        one_time::find::<AuthorizationCode>(connection, &tenant(), &handle(value), ends)
            .await
            .unwrap()
    };
    assert_eq!(
        seen(&mut connection, "redeemed").await,
        Taken::Spent(code()),
        "a second use still ends the grant"
    );
    assert_eq!(
        seen(&mut connection, "refused").await,
        Taken::Unknown,
        "nothing came of it"
    );
}
