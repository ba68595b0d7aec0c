use super::*;
use crate::client::{AccessTokenFormat, RegistrationError};
use crate::fixture::portal;
use countersign_base::Secret;

fn key(number: u8) -> MacKey {
    MacKey::new(Secret::new([number; 32]))
}

fn pairwise(id: &str, uri: &str, sector: Option<&str>) -> ClientRecord {
    let mut client = portal();
    client.id = id.parse().unwrap();
    client.redirect_uris = [uri.parse().unwrap()].into();
    client.token_rules.subject_type = SubjectType::Pairwise;
    client.token_rules.sector = sector.map(|sector| sector.parse().unwrap());
    client
}

fn sub(client: &ClientRecord, user: u8, key: &MacKey) -> String {
    SubjectOrder::of(UserId::from_bytes([user; 16]), client)
        .derive(key)
        .to_string()
}

#[test]
fn a_sector_sees_one_subject_and_two_sectors_two() {
    let one = pairwise("one", "https://a.example/cb", None);
    let (a, b) = (key(1), key(2));
    assert_eq!(sub(&one, 1, &a), sub(&one, 1, &a), "always the same");
    assert_eq!(
        sub(&one, 1, &a),
        sub(&pairwise("two", "https://a.example/other", None), 1, &a),
        "one host is one sector"
    );
    let elsewhere = pairwise("three", "https://b.example/cb", None);
    assert_ne!(sub(&one, 1, &a), sub(&elsewhere, 1, &a));
    assert_eq!(
        sub(
            &pairwise("four", "https://c.example/cb", Some("a.example")),
            1,
            &a
        ),
        sub(&one, 1, &a),
        "a named sector joins"
    );
    assert_ne!(sub(&one, 1, &a), sub(&one, 2, &a), "another person");
    assert_ne!(sub(&one, 1, &a), sub(&one, 1, &b), "another tenant's key");
    assert_eq!(sub(&one, 1, &a).len(), 43);
    assert!(sub(&one, 1, &a).parse::<UserId>().is_err());
    assert_eq!(
        sub(&portal(), 1, &a),
        UserId::from_bytes([1; 16]).to_string(),
        "a public client learns the person's own"
    );
}

#[test]
fn a_pairwise_client_gets_opaque_tokens_and_has_one_sector() {
    let mut client = pairwise("one", "https://a.example/cb", None);
    assert_eq!(client.access_token_format(), AccessTokenFormat::Opaque);
    assert_eq!(client.check(), Ok(()));
    client
        .redirect_uris
        .insert("https://b.example/cb".parse().unwrap());
    assert_eq!(client.check(), Err(RegistrationError::SectorUnclear));
    client.token_rules.sector = Some("a.example".parse().unwrap());
    assert_eq!(client.check(), Ok(()));
}

#[test]
fn a_sector_is_a_host_as_it_is_written() {
    assert!("a.example".parse::<Sector>().is_ok());
    for bad in ["", "A.example", "https://a.example", "a.example/x", "a b"] {
        assert!(bad.parse::<Sector>().is_err(), "{bad}");
    }
}
