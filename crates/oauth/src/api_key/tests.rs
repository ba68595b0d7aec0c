//! What a key may be, and what it says while it stands.

use super::{ApiKeyError, ApiKeyRecord};
use crate::fixture::{NOW, ORDERS, after, portal, tenant};
use countersign_base::{Bounded, GrantId};
use std::collections::BTreeSet;

fn record() -> ApiKeyRecord {
    let client = portal();
    ApiKeyRecord {
        id: GrantId::from_u64(7),
        client: client.id.clone(),
        name: Bounded::parse("night batch").unwrap(),
        audience: ORDERS.parse().unwrap(),
        scopes: client.scopes.iter().take(1).cloned().collect(),
        networks: BTreeSet::new(),
        created: NOW,
        expires: after(90 * 86_400),
        ended: None,
        used_on: None,
    }
}

#[test]
fn a_key_is_never_more_than_its_client_and_never_without_end() {
    let (client, tenant) = (portal(), tenant());
    assert_eq!(record().check(&client, &tenant), Ok(()));
    let check = |flaw: &dyn Fn(&mut ApiKeyRecord)| {
        let mut record = record();
        flaw(&mut record);
        record.check(&client, &tenant).unwrap_err()
    };
    assert_eq!(
        check(&|key| key.expires = after(90 * 86_400 + 1)),
        ApiKeyError::Life(90)
    );
    assert_eq!(check(&|key| key.expires = NOW), ApiKeyError::Life(90));
    assert_eq!(
        check(&|key| key.scopes = "everything".parse().unwrap()),
        ApiKeyError::Scopes
    );
    assert_eq!(
        check(&|key| key.scopes = "".parse().unwrap()),
        ApiKeyError::Scopes
    );
    assert!(matches!(
        check(&|key| key.audience = "https://nowhere.example".parse().unwrap()),
        ApiKeyError::Audience(_)
    ));
    assert_eq!(
        check(&|key| key.networks = (0..33)
            .map(|last| format!("192.0.2.{last}").parse().unwrap())
            .collect()),
        ApiKeyError::Networks
    );
    let mut disabled = client.clone();
    disabled.enabled = false;
    assert_eq!(record().check(&disabled, &tenant), Err(ApiKeyError::Client));
    let mut unlimited = tenant.clone();
    unlimited.api_keys.days_max = u16::MAX;
    let mut key = record();
    key.expires = after(367 * 86_400);
    assert_eq!(key.check(&client, &unlimited), Err(ApiKeyError::Life(366)));
}

#[test]
fn what_changes_around_a_key_changes_what_it_says() {
    let (client, tenant) = (portal(), tenant());
    let claims = record().claims(&client, &tenant, NOW).unwrap();
    assert_eq!(claims.grant_id, Some(record().id));
    assert_eq!(claims.exp, record().expires);
    assert_eq!(claims.scope, record().scopes);
    let says = |change: &dyn Fn(&mut ApiKeyRecord)| {
        let mut record = record();
        change(&mut record);
        record.claims(&client, &tenant, NOW)
    };
    assert!(says(&|key| key.ended = Some(NOW)).is_none());
    assert!(says(&|key| key.expires = NOW).is_none());
    let mut narrowed = client.clone();
    narrowed.scopes = "".parse().unwrap();
    let claims = record().claims(&narrowed, &tenant, NOW).unwrap();
    assert!(claims.scope.is_empty());
    let mut elsewhere = client.clone();
    elsewhere.audiences.clear();
    assert!(record().claims(&elsewhere, &tenant, NOW).is_none());
    let mut disabled = client.clone();
    disabled.enabled = false;
    assert!(record().claims(&disabled, &tenant, NOW).is_none());
    let mut shorter = tenant.clone();
    shorter.api_keys.days_max = 1;
    let claims = record().claims(&client, &shorter, NOW).unwrap();
    assert_eq!(claims.exp, after(86_400));
    assert!(record().claims(&client, &shorter, after(86_400)).is_none());
}

#[test]
fn of_its_last_use_the_day_is_kept() {
    let day = ApiKeyRecord::day_of(NOW);
    assert_eq!(day.0 % 86_400, 0);
    assert!(day <= NOW && NOW.0 - day.0 < 86_400);
}
