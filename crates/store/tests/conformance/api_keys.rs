//! API keys: found by themselves alone, bounded, ended, replaced, and gone with their client.

use crate::behaviours;
use crate::fixture::{Fixture, NOW};
use crate::sample::{client_record, event, portal, tenant, tenant_record};
use countersign_authn::api_key::generate;
use countersign_base::{Bounded, Duration, GrantId, Secret};
use countersign_crypto::mac::MacKey;
use countersign_oauth::api_key::ApiKeyRecord;
use countersign_store::tables::api_keys::{self, KEYS_MAX, NewApiKey};
use countersign_store::tables::revocations::{self, Revoked};
use countersign_store::{StoreError, Sweep, Swept, Write};
use std::collections::BTreeSet;

behaviours! {
    a_key_is_found_by_the_whole_of_it_in_its_own_tenant,
    a_key_that_ended_is_not_found_and_is_told_as_a_grant,
    a_replaced_key_ends_after_the_overlap_and_no_later_than_before,
    a_client_has_so_many_keys_and_no_more,
    a_key_goes_with_its_client_and_is_swept_after_its_time,
    of_the_last_use_the_latest_day_stays,
}

fn mac() -> MacKey {
    MacKey::new(Secret::new([5; 32]))
}

fn record(id: u64) -> ApiKeyRecord {
    ApiKeyRecord {
        id: GrantId::from_u64(id),
        client: portal(),
        name: Bounded::parse("night batch").unwrap(),
        audience: "https://orders.example".parse().unwrap(),
        scopes: "orders:read".parse().unwrap(),
        networks: BTreeSet::from(["192.0.2.0/24".parse().unwrap()]),
        created: NOW,
        expires: NOW.plus(Duration::from_secs(3600)),
        ended: None,
        used_on: None,
    }
}

fn shown(id: u64, fill: u8) -> Secret<String> {
    generate(GrantId::from_u64(id), &Secret::new([fill; 32]))
}

fn add(id: u64) -> Write {
    let new = NewApiKey::new(&mac(), &tenant(), &shown(id, 1), record(id));
    Write::AddApiKey(Box::new(new))
}

async fn change(fixture: &Fixture, writes: Vec<Write>) -> Result<(), StoreError> {
    let changed = fixture.store.change(&tenant(), writes, event(), NOW).await;
    changed.map(drop)
}

/// The tenant, and the client whose keys they are.
async fn with_client(fixture: &Fixture) {
    let mut client = client_record();
    client.audiences = BTreeSet::from(["https://orders.example".parse().unwrap()]);
    client.scopes = "orders:read".parse().unwrap();
    let writes = vec![
        Write::PutTenant(Box::new(tenant_record(&tenant()))),
        Write::PutClient(Box::new(client)),
    ];
    change(fixture, writes).await.unwrap();
}

async fn is_found(fixture: &Fixture, key: &Secret<String>, mac: &MacKey, of: &str) -> bool {
    let mut connection = fixture.store.read().await.unwrap();
    let of = tenant_record(&of.parse().unwrap());
    api_keys::find(&mut connection, &of, mac, key.expose(), NOW)
        .await
        .unwrap()
        .is_some()
}

async fn known(fixture: &Fixture, id: u64) -> Option<ApiKeyRecord> {
    let mut connection = fixture.store.read().await.unwrap();
    api_keys::by_id(&mut connection, &tenant(), GrantId::from_u64(id))
        .await
        .unwrap()
}

async fn a_key_is_found_by_the_whole_of_it_in_its_own_tenant(fixture: Fixture) {
    with_client(&fixture).await;
    change(&fixture, vec![add(7)]).await.unwrap();
    let name = tenant().to_string();
    assert!(is_found(&fixture, &shown(7, 1), &mac(), &name).await);
    assert!(
        !is_found(&fixture, &shown(7, 2), &mac(), &name).await,
        "its id and another secret"
    );
    assert!(!is_found(&fixture, &shown(8, 1), &mac(), &name).await);
    assert!(!is_found(&fixture, &shown(7, 1), &mac(), "other").await);
    let another = MacKey::new(Secret::new([6; 32]));
    assert!(!is_found(&fixture, &shown(7, 1), &another, &name).await);
    assert_eq!(known(&fixture, 7).await, Some(record(7)));
}

async fn a_key_that_ended_is_not_found_and_is_told_as_a_grant(fixture: Fixture) {
    with_client(&fixture).await;
    change(&fixture, vec![add(7)]).await.unwrap();
    let id = GrantId::from_u64(7);
    change(&fixture, vec![Write::EndApiKey(id)]).await.unwrap();
    let name = tenant().to_string();
    assert!(!is_found(&fixture, &shown(7, 1), &mac(), &name).await);
    assert_eq!(known(&fixture, 7).await.unwrap().ended, Some(NOW));
    let again = change(&fixture, vec![Write::EndApiKey(id)]).await;
    assert!(matches!(again, Err(StoreError::Superseded("api_keys"))));
    let mut connection = fixture.store.read().await.unwrap();
    let revoked = Revoked::Grant(id);
    assert!(
        revocations::is_revoked(&mut connection, &tenant(), &revoked)
            .await
            .unwrap()
    );
}

async fn a_replaced_key_ends_after_the_overlap_and_no_later_than_before(fixture: Fixture) {
    with_client(&fixture).await;
    change(&fixture, vec![add(7)]).await.unwrap();
    let id = GrantId::from_u64(7);
    let shorten = |seconds| {
        let at = NOW.plus(Duration::from_secs(seconds));
        Write::ShortenApiKey(portal(), id, at)
    };
    change(&fixture, vec![shorten(60), add(8)]).await.unwrap();
    change(&fixture, vec![shorten(600)]).await.unwrap();
    let expires = known(&fixture, 7).await.unwrap().expires;
    assert_eq!(expires, NOW.plus(Duration::from_secs(60)));
    let of_another = Write::ShortenApiKey("another".parse().unwrap(), id, NOW);
    // And then the new one does not come into being either.
    let refused = change(&fixture, vec![of_another, add(9)]).await;
    assert!(matches!(refused, Err(StoreError::Superseded("api_keys"))));
    assert_eq!(known(&fixture, 9).await, None);
}

async fn a_client_has_so_many_keys_and_no_more(fixture: Fixture) {
    with_client(&fixture).await;
    let all = (0..u64::from(KEYS_MAX)).map(add).collect();
    change(&fixture, all).await.unwrap();
    let more = change(&fixture, vec![add(99)]).await;
    assert!(matches!(more, Err(StoreError::Full("api_keys"))));
    let end = Write::EndApiKey(GrantId::from_u64(0));
    change(&fixture, vec![end, add(99)]).await.unwrap();
    let mut disabled = client_record();
    disabled.enabled = false;
    let end = Write::EndApiKey(GrantId::from_u64(1));
    change(&fixture, vec![end, Write::PutClient(Box::new(disabled))])
        .await
        .unwrap();
    let of_disabled = change(&fixture, vec![add(100)]).await;
    assert!(matches!(
        of_disabled,
        Err(StoreError::Superseded("clients"))
    ));
}

async fn a_key_goes_with_its_client_and_is_swept_after_its_time(fixture: Fixture) {
    with_client(&fixture).await;
    change(&fixture, vec![add(7)]).await.unwrap();
    let sweep = *Sweep::ALL
        .iter()
        .find(|sweep| sweep.table() == "api_keys")
        .unwrap();
    let month = Duration::from_secs(30 * 24 * 3600);
    let last = record(7).expires.plus(month);
    assert_eq!(
        fixture.store.sweep(sweep, last).await.unwrap(),
        Swept::Clean
    );
    assert!(known(&fixture, 7).await.is_some());
    let later = last.plus(Duration::from_secs(1));
    fixture.store.sweep(sweep, later).await.unwrap();
    assert!(known(&fixture, 7).await.is_none());
    change(&fixture, vec![add(8)]).await.unwrap();
    change(&fixture, vec![Write::RemoveClient(portal())])
        .await
        .unwrap();
    assert!(known(&fixture, 8).await.is_none());
}

async fn of_the_last_use_the_latest_day_stays(fixture: Fixture) {
    with_client(&fixture).await;
    change(&fixture, vec![add(7)]).await.unwrap();
    let id = GrantId::from_u64(7);
    let tomorrow = NOW.plus(Duration::from_secs(86_400));
    for used in [NOW, tomorrow, NOW] {
        fixture
            .store
            .api_key_used(&tenant(), id, used)
            .await
            .unwrap();
    }
    let used_on = known(&fixture, 7).await.unwrap().used_on;
    assert_eq!(used_on, Some(ApiKeyRecord::day_of(tomorrow)));
}
